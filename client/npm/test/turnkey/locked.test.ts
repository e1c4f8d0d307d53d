import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { TurnkeyErrorCodes } from "@turnkey/core";
import { fails } from "./failure.js";
import { sessionToken } from "./token.js";
import { TestVault } from "./vault.js";

async function lockedVault(t: TestContext): Promise<TestVault> {
  const vault = await TestVault.start(t);
  await vault.login("home");
  await vault.login("work");
  await vault.observer.rekey({ keySource: "passphrase", passphrase: "correct horse battery staple" });
  await vault.observer.lock();
  return vault;
}

test("logging out and clearing work on a locked vault, with one call each", async (t) => {
  const vault = await lockedVault(t);
  const [app, tap] = await vault.tappedApp();
  tap.taken();
  await app.logout();
  assert.deepEqual(Object.keys(await vault.sessions()), ["home"]);
  await app.clearSession({ sessionKey: "home" });
  assert.deepEqual(tap.taken(), ["clearSession", "clearSession"]);
  assert.deepEqual(await vault.sessions(), {});
  assert.deepEqual(await vault.keyPairs(), []);
});

test("clearing all works on a locked vault", async (t) => {
  const vault = await lockedVault(t);
  const app = await vault.app();
  await app.clearAllSessions();
  assert.deepEqual(await vault.sessions(), {});
  assert.deepEqual(await vault.keyPairs(), []);
});

test("what needs a token or a private key of a locked vault fails for VAULT_LOCKED and changes nothing", async (t) => {
  const vault = await lockedVault(t);
  const app = await vault.app();
  const [sessions, keyPairs] = [await vault.sessions(), await vault.keyPairs()];
  const sessionTokenOfWork = sessionToken({ publicKey: sessions["work"]! });
  const body = { sessionToken: sessionTokenOfWork, sessionKey: "work" };
  await fails(app.storeSession(body), TurnkeyErrorCodes.STORE_SESSION_ERROR, "VAULT_LOCKED");
  await fails(app.getSession(), TurnkeyErrorCodes.GET_SESSION_ERROR, "VAULT_LOCKED");
  await fails(app.getAllSessions(), TurnkeyErrorCodes.GET_ALL_SESSIONS_ERROR, "VAULT_LOCKED");
  await fails(app.createApiKeyPair(), TurnkeyErrorCodes.CREATE_API_KEY_PAIR_ERROR, "VAULT_LOCKED");
  await fails(app.refreshSession(), TurnkeyErrorCodes.REFRESH_SESSION_ERROR, "VAULT_LOCKED");
  await fails(app.httpClient.getWhoami(), TurnkeyErrorCodes.GET_SESSION_ERROR, "VAULT_LOCKED");
  const message = { message: "hello", publicKey: sessions["work"]! };
  await fails(app.signWithApiKey(message), TurnkeyErrorCodes.INTERNAL_ERROR, "VAULT_LOCKED");
  assert.deepEqual([await vault.sessions(), await vault.keyPairs()], [sessions, keyPairs]);
  assert.deepEqual(vault.api.requests, []);
});

test("a vault that is locked between reading the session and stamping sends nothing", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login("work");
  await vault.observer.rekey({ keySource: "passphrase", passphrase: "correct horse battery staple" });
  const app = await vault.app();
  const { getSession } = app.vault;
  app.vault.getSession = async (...params) => {
    const found = await getSession.apply(app.vault, params);
    await vault.observer.lock();
    return found;
  };
  await fails(app.httpClient.getWhoami(), TurnkeyErrorCodes.INTERNAL_ERROR, "VAULT_LOCKED");
  assert.deepEqual(vault.api.requests, []);
});

test("the active session can be read and changed on a locked vault", async (t) => {
  const vault = await lockedVault(t);
  const app = await vault.app();
  assert.equal(await app.getActiveSessionKey(), "work");
  await app.setActiveSession({ sessionKey: "home" });
  assert.equal(await app.getActiveSessionKey(), "home");
});
