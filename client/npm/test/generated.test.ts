import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseMessage } from "../src/message.js";
import { PACKAGE } from "./daemon.js";

const PROTO = join(PACKAGE, "../../proto");

test("the generated files are what the schema makes them", async () => {
  const script = (await import(join(PACKAGE, "scripts/generate.mjs"))) as { generate(): Record<string, string> };
  for (const [name, text] of Object.entries(script.generate())) {
    assert.equal(readFileSync(join(PACKAGE, "src/generated", name), "utf8"), text, `${name}: npm run generate`);
  }
});

test("each golden answer and event is read as what it is", () => {
  const schema = JSON.parse(readFileSync(join(PROTO, "schema.json"), "utf8")) as { codes: object };
  let read = 0;
  for (const kind of ["reply", "event", "fault"]) {
    for (const file of readdirSync(join(PROTO, "golden", kind))) {
      for (const line of readFileSync(join(PROTO, "golden", kind, file), "utf8").trim().split("\n")) {
        const message = parseMessage(line);
        assert.equal(message?.kind, kind, line);
        if (message?.kind === "fault") {
          assert.equal(`${message.data.code}.jsonl`, file);
          assert.ok(message.data.code in schema.codes);
        }
        if (message?.kind === "event") {
          assert.equal(`${message.event.type}.jsonl`, file);
        }
        read += 1;
      }
    }
  }
  assert.ok(read > 60, `${read} lines`);
});
