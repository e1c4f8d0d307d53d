import assert from "node:assert/strict";
import { test } from "node:test";
import { TurnkeyError, TurnkeyErrorCodes } from "@turnkey/core";
import { KeyfobError } from "../../src/index.js";
import type { VaultTurnkeyClient } from "../../src/turnkey/index.js";
import { fails, reasonOf } from "./failure.js";
import { sessionToken } from "./token.js";
import { TestVault } from "./vault.js";

/** Kills the daemon while this call is on its way to it, and checks that its outcome is said to be unknown. */
async function isUnknown(
  vault: TestVault,
  method: string,
  code: TurnkeyErrorCodes,
  run: (app: VaultTurnkeyClient) => Promise<void>,
): Promise<void> {
  const [app, tap] = await vault.tappedApp();
  vault.daemon.halt();
  const called = tap.called(method);
  const failure = reasonOf(run(app));
  await called;
  await vault.daemon.kill();
  const error = await failure;
  assert.ok(error instanceof TurnkeyError && error.cause instanceof KeyfobError);
  assert.deepEqual([error.code, error.cause.code, error.cause.outcome], [code, "DISCONNECTED", "unknown"]);
  assert.match(error.message, /not known/);
  await vault.daemon.run();
}

test("what was on its way to a daemon that was killed is reported as unknown, and can be done again", async (t) => {
  const vault = await TestVault.start(t);
  const publicKey = await vault.login("work");
  const token = sessionToken({ publicKey });
  const work = { sessionKey: "work" };
  const stored = { ...work, sessionToken: token };
  const codes = TurnkeyErrorCodes;
  await isUnknown(vault, "clearSession", codes.CLEAR_SESSION_ERROR, (app) => app.clearSession(work));
  await isUnknown(vault, "clearSession", codes.LOGOUT_ERROR, (app) => app.logout());
  await isUnknown(vault, "clearAllSessions", codes.CLEAR_ALL_SESSIONS_ERROR, (app) => app.clearAllSessions());
  await isUnknown(vault, "storeSession", codes.STORE_SESSION_ERROR, (app) => app.storeSession(stored));
  assert.deepEqual(await vault.sessions(), { work: publicKey });
  assert.deepEqual(await vault.keyPairs(), [publicKey]);
  await (await vault.app()).clearAllSessions();
  assert.deepEqual(await vault.keyPairs(), []);
});

test("a client goes on after its daemon was killed and started again", async (t) => {
  const vault = await TestVault.start(t);
  const publicKey = await vault.login("work");
  const app = await vault.app();
  await vault.daemon.kill();
  await vault.daemon.run();
  await app.httpClient.getWhoami();
  assert.equal(vault.api.requests[0]?.publicKey, publicKey);
});

test("a refresh whose store was done and not answered is unknown, and its session keeps its key pair", async (t) => {
  const vault = await TestVault.start(t);
  const old = await vault.login("work");
  const [app, tap] = await vault.tappedApp();
  tap.loseAnswerTo("storeSession");
  const shown = await fails(app.refreshSession(), TurnkeyErrorCodes.REFRESH_SESSION_ERROR, "DISCONNECTED");
  assert.match(shown, /outcome: 'unknown'/);
  assert.ok(!shown.includes("is left"));
  const { work } = await vault.sessions();
  assert.notEqual(work, old);
  assert.deepEqual(await vault.keyPairs(), [work]);
});

test("a refresh that the daemon does not survive leaves the old session, and says which key pair is left", async (t) => {
  const vault = await TestVault.start(t);
  const old = await vault.login("work");
  const app = await vault.app();
  vault.api.beforeLogin = () => vault.daemon.kill();
  const error = await reasonOf(app.refreshSession());
  assert.ok(error instanceof TurnkeyError && error.cause instanceof KeyfobError);
  assert.equal(error.code, TurnkeyErrorCodes.REFRESH_SESSION_ERROR);
  assert.notEqual(error.cause.outcome, "failed");
  await vault.daemon.run();
  assert.deepEqual(await vault.sessions(), { work: old });
  const [left] = (await vault.keyPairs()).filter((publicKey) => publicKey !== old);
  assert.ok(left !== undefined && error.message.includes(`the key pair ${left} is left`));
});
