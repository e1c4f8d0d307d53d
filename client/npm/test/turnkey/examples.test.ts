import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { KEYFOBD, PACKAGE } from "../daemon.js";
import { ORGANIZATION } from "./token.js";
import { TestVault } from "./vault.js";

const execute = promisify(execFile);

test("the Node example logs in with the machine's key pair, asks, refreshes and logs out", async (t) => {
  const vault = await TestVault.start(t);
  const { publicKey: machine } = await vault.observer.createApiKeyPair({ keep: true });
  const env = {
    PATH: dirname(KEYFOBD),
    KEYFOB_DATA_DIR: vault.daemon.dataDir,
    TURNKEY_ORGANIZATION_ID: ORGANIZATION,
    TURNKEY_API_BASE_URL: vault.api.url,
    TURNKEY_API_KEY: machine,
  };
  const cli = join(PACKAGE, "examples/node-cli/cli.mjs");
  const run = async (command: string): Promise<string> => {
    const { stdout } = await execute(process.execPath, [cli, command], { env });
    return stdout;
  };

  assert.equal(await run("login"), "logged in\n");
  const first = Object.values(await vault.sessions());
  assert.match(await run("whoami"), /^user \(/);
  assert.equal(await run("refresh"), "refreshed\n");
  const second = Object.values(await vault.sessions());
  assert.notDeepEqual(first, second);
  assert.equal(await run("logout"), "logged out\n");
  await assert.rejects(run("whoami"), { stderr: /no session/i });

  assert.deepEqual(vault.api.requests.map(({ publicKey }) => publicKey), [machine, ...first, ...first]);
  assert.deepEqual(await vault.keyPairs(), [machine]);
});

test("the examples are type-checked", async () => {
  const tsc = join(PACKAGE, "node_modules/.bin/tsc");
  const check = execute(process.execPath, [tsc, "-p", join(PACKAGE, "examples")]);
  await check.catch(({ stdout }) => assert.fail(String(stdout)));
});
