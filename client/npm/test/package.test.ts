import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Daemon, PACKAGE, scratch } from "./daemon.js";

const run = promisify(execFile);

/** An app that uses the package in a way that its types have to allow. */
const APP = `
import { Client, KeyfobError, type ClientOptions, type Session, type VaultEvent } from "keyfob-client";
import { vaultStamper } from "keyfob-client/turnkey/stamper";

async function main(options: ClientOptions): Promise<string> {
  await using client = await Client.connect(options);
  const { sessionKey } = await client.getActiveSessionKey();
  const found: { session?: Session | null } = await client.getSession({ sessionKey: sessionKey ?? "none" });
  // @ts-expect-error: the method has another name.
  const none: unknown = client.getSessions;
  // @ts-expect-error: the session token may not be left out.
  const refused: unknown = client.storeSession({}).catch((error: KeyfobError) => error.code);
  vaultStamper(client);
  const seen = (event: VaultEvent): string => (event.type === "sessionCleared" ? event.reason : event.type);
  return [found.session, none, await refused, seen({ type: "vaultLocked", sequence: 1 })].join();
}

main({}).then(console.log);
`;

/** The example of the README, which leaves it to the app to log in. */
function readmeExample(): string {
  const [, example] = /```ts\n(.*?)```/s.exec(readFileSync(join(PACKAGE, "README.md"), "utf8")) ?? [];
  assert.ok(example !== undefined);
  return `declare function logIn(publicKey: string): Promise<string>;\n${example}`;
}

test("the package works and type-checks where it is imported and where it is required", async (t) => {
  const daemon = await Daemon.start(t);
  const dir = scratch(t);
  mkdirSync(join(dir, "node_modules"));
  symlinkSync(PACKAGE, join(dir, "node_modules/keyfob-client"));
  const compilerOptions = {
    target: "es2022",
    module: "nodenext",
    strict: true,
    exactOptionalPropertyTypes: true,
    types: ["node"],
    typeRoots: [join(PACKAGE, "node_modules/@types")],
    lib: ["es2022", "esnext.disposable"],
  };
  writeFileSync(join(dir, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["app.mts", "app.cts", "readme.mts"] }));
  writeFileSync(join(dir, "app.mts"), APP);
  writeFileSync(join(dir, "app.cts"), APP);
  writeFileSync(join(dir, "readme.mts"), readmeExample());
  await run(join(PACKAGE, "node_modules/.bin/tsc"), ["-p", dir], { timeout: 50_000 });
  assert.match(readFileSync(join(dir, "app.cjs"), "utf8"), /require\("keyfob-client"\)/);
  assert.match(readFileSync(join(dir, "app.mjs"), "utf8"), /from "keyfob-client"/);
  for (const app of ["app.mjs", "app.cjs"]) {
    const env = { ...process.env, KEYFOB_DATA_DIR: daemon.dataDir, KEYFOB_SOCKET: "" };
    const { stdout } = await run(process.execPath, [join(dir, app)], { env, timeout: 20_000 });
    assert.equal(stdout, ",,INVALID_PARAMS,vaultLocked\n", app);
  }
});

test("the package has no dependency and says so", () => {
  const manifest = JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8")) as Record<string, unknown>;
  assert.equal(manifest["dependencies"], undefined);
  const lock = readFileSync(join(PACKAGE, "package-lock.json"), "utf8");
  assert.ok(!lock.includes("\"resolved\""), "the lock file names no registry");
});
