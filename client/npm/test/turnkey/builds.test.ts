import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { TurnkeyErrorCodes } from "@turnkey/core";
import { createTurnkeyClient } from "../../src/turnkey/index.js";
import { PACKAGE } from "../daemon.js";
import { ORGANIZATION } from "./token.js";
import { TestVault } from "./vault.js";

const execute = promisify(execFile);

/** The package as CommonJS has it. */
const required = createRequire(join(PACKAGE, "package.json"));

test("a client of the CommonJS build can be given to the ES module, and its errors are understood", async (t) => {
  const vault = await TestVault.start(t);
  const { Client } = required("keyfob-client") as typeof import("../../src/index.js");
  const client = await Client.connect(vault.daemon.options);
  t.after(() => client.close());
  const turnkey = await createTurnkeyClient(client, { organizationId: ORGANIZATION });
  assert.equal(turnkey.vault, client);
  await assert.rejects(turnkey.logout(), { code: TurnkeyErrorCodes.NO_SESSION_FOUND });
});

test("the CommonJS build is a client of Turnkey, too", async (t) => {
  const vault = await TestVault.start(t);
  const publicKey = await vault.login("work");
  const turnkey = required("keyfob-client/turnkey") as typeof import("../../src/turnkey/index.js");
  const config = { organizationId: ORGANIZATION, apiBaseUrl: vault.api.url };
  const app = await turnkey.createTurnkeyClient(vault.daemon.options, config);
  t.after(() => app.vault.close());
  await app.httpClient.getWhoami();
  assert.equal(vault.api.requests[0]?.publicKey, publicKey);
  await app.logout();
  assert.deepEqual(await vault.keyPairs(), []);
});

test("the stamper loads nothing of the SDK", async () => {
  const script = 'require("keyfob-client/turnkey/stamper"); console.log(Object.keys(require.cache).join("\\n"));';
  const { stdout } = await execute(process.execPath, ["--eval", script], { cwd: PACKAGE });
  assert.match(stdout, /stamper\.js/);
  assert.doesNotMatch(stdout, /@turnkey/);
});
