// Writes src/generated/ from the protocol's schema. `generate` answers the text of each file by its name, so that a
// test can compare it with what is there.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { callsFile } from "./calls.mjs";
import { protocolFile } from "./protocol.mjs";

const SCHEMA = new URL("../../../proto/schema.json", import.meta.url);
const TARGET = new URL("../src/generated/", import.meta.url);

/** The text of each generated file by its name. */
export function generate() {
  const schema = JSON.parse(readFileSync(SCHEMA, "utf8"));
  return { "protocol.ts": protocolFile(schema), "calls.ts": callsFile(schema) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(TARGET, { recursive: true });
  for (const [name, text] of Object.entries(generate())) {
    writeFileSync(new URL(name, TARGET), text);
  }
}
