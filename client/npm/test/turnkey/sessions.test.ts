import assert from "node:assert/strict";
import { test } from "node:test";
import { TurnkeyClient, TurnkeyErrorCodes } from "@turnkey/core";
import { fails } from "./failure.js";
import { ORGANIZATION, sessionToken } from "./token.js";
import { TestVault } from "./vault.js";

test("clearSession removes the session, its key pair and the active pointer in one call", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login("work");
  const [app, tap] = await vault.tappedApp();
  tap.taken();
  await app.clearSession({ sessionKey: "work" });
  assert.deepEqual(tap.taken(), ["clearSession"]);
  assert.deepEqual(await vault.sessions(), {});
  assert.deepEqual(await vault.keyPairs(), []);
  assert.equal(await vault.activeSession(), null);
});

test("clearSession leaves another session, its key pair and the active pointer alone", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login("work");
  const home = await vault.login("home");
  const app = await vault.app();
  await app.clearSession({ sessionKey: "work" });
  assert.deepEqual(await vault.sessions(), { home });
  assert.deepEqual(await vault.keyPairs(), [home]);
  assert.equal(await vault.activeSession(), "home");
});

test("clearSession without a name clears the active session, whatever it is called", async (t) => {
  const vault = await TestVault.start(t);
  const byDefault = await vault.login();
  await vault.login("work");
  const app = await vault.app();
  await app.clearSession();
  assert.deepEqual(await vault.sessions(), { "@turnkey/session/v3": byDefault });
  assert.equal(await vault.activeSession(), null);
});

test("clearing what is not there answers the SDK's error", async (t) => {
  const vault = await TestVault.start(t);
  const app = await vault.app();
  await fails(app.clearSession({ sessionKey: "work" }), TurnkeyErrorCodes.NOT_FOUND, "NOT_FOUND");
  await fails(app.clearSession(), TurnkeyErrorCodes.NO_SESSION_FOUND, "NO_SESSION_FOUND");
  await fails(app.clearAllSessions(), TurnkeyErrorCodes.NO_SESSION_FOUND, "NO_SESSION_FOUND");
});

test("clearAllSessions removes every session, its key pair and the active pointer in one call", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login();
  await vault.login("work");
  await vault.login("home");
  const [app, tap] = await vault.tappedApp();
  tap.taken();
  await app.clearAllSessions();
  assert.deepEqual(tap.taken(), ["clearAllSessions"]);
  assert.deepEqual(await vault.sessions(), {});
  assert.deepEqual(await vault.keyPairs(), []);
  assert.equal(await vault.activeSession(), null);
});

test("clearAllSessions leaves kept key pairs, and those of logins in flight", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login("work");
  const app = await vault.app();
  const pending = await app.createApiKeyPair();
  const { publicKey: kept } = await app.vault.createApiKeyPair({ keep: true });
  await app.clearAllSessions();
  assert.deepEqual(await vault.keyPairs(), [pending, kept].sort());
});

test("storeSession, clearSession, clearAllSessions and logout are one call each", async (t) => {
  const vault = await TestVault.start(t);
  const [app, tap] = await vault.tappedApp();
  const store = async (): Promise<void> => {
    const publicKey = await app.createApiKeyPair();
    tap.taken();
    await app.storeSession({ sessionToken: sessionToken({ publicKey }) });
    assert.deepEqual(tap.taken(), ["storeSession"]);
  };
  await store();
  await app.logout();
  assert.deepEqual(tap.taken(), ["clearSession"]);
  await store();
  await app.clearSession();
  assert.deepEqual(tap.taken(), ["clearSession"]);
  await store();
  await app.clearAllSessions();
  assert.deepEqual(tap.taken(), ["clearAllSessions"]);
});

test("storing a session in place of another deletes that one's key pair, and no other", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login();
  const app = await vault.app();
  const pending = await app.createApiKeyPair();
  const publicKey = await app.createApiKeyPair();
  await app.storeSession({ sessionToken: sessionToken({ publicKey }) });
  assert.deepEqual(await vault.keyPairs(), [pending, publicKey].sort());
});

test("a stored session is read back as the SDK has it", async (t) => {
  const vault = await TestVault.start(t);
  const app = await vault.app();
  const publicKey = await app.createApiKeyPair();
  const expiry = Math.ceil(Date.now() / 1000) + 900;
  const claims = { publicKey, expiry, userId: "user", sessionProfileId: "profile" };
  const token = sessionToken(claims);
  await app.storeSession({ sessionToken: token, sessionKey: "work" });
  const { expirationSeconds, ...session } = (await app.getSession()) ?? {};
  assert.deepEqual(session, {
    sessionType: "SESSION_TYPE_READ_WRITE",
    userId: "user",
    organizationId: ORGANIZATION,
    expiry,
    token,
    publicKey,
    sessionProfileId: "profile",
  });
  assert.equal(typeof expirationSeconds, "string");
  assert.ok(Number(expirationSeconds) > 890 && Number(expirationSeconds) <= 901);
});

test("reading where there is no session answers undefined", async (t) => {
  const vault = await TestVault.start(t);
  const app = await vault.app();
  assert.equal(await app.getSession(), undefined);
  assert.equal(await app.getSession({ sessionKey: "work" }), undefined);
  assert.equal(await app.getAllSessions(), undefined);
  assert.equal(await app.getActiveSessionKey(), undefined);
});

test("getAllSessions answers each session by its name, whatever that is", async (t) => {
  const vault = await TestVault.start(t);
  const names = ["__proto__", "constructor", "work"];
  for (const name of names) {
    await vault.login(name, { userId: `user of ${name}` });
  }
  const app = await vault.app();
  const sessions = (await app.getAllSessions()) ?? {};
  assert.deepEqual(Object.keys(sessions).sort(), names);
  assert.ok(names.every((name) => sessions[name]?.userId === `user of ${name}`));
});

test("setActiveSession changes the active session, but not to one that is not there", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login("work");
  await vault.login("home");
  const app = await vault.app();
  await app.setActiveSession({ sessionKey: "work" });
  assert.equal(await app.getActiveSessionKey(), "work");
  await fails(app.setActiveSession({ sessionKey: "none" }), TurnkeyErrorCodes.NOT_FOUND, "NOT_FOUND");
  assert.equal(await app.getActiveSessionKey(), "work");
});

test("a session token that cannot be stored is not in the error", async (t) => {
  const vault = await TestVault.start(t);
  const app = await vault.app();
  const error = await fails(
    app.storeSession({ sessionToken: "secret.secret.secret" }),
    TurnkeyErrorCodes.STORE_SESSION_ERROR,
    "INVALID_TOKEN",
  );
  assert.ok(!error.includes("secret"));
});

test("a session whose key pair the vault does not have is not stored", async (t) => {
  const vault = await TestVault.start(t);
  const publicKey = await vault.login("work");
  const app = await vault.app();
  await app.logout();
  const store = app.storeSession({ sessionToken: sessionToken({ publicKey }) });
  await fails(store, TurnkeyErrorCodes.STORE_SESSION_ERROR, "KEY_PAIR_NOT_FOUND");
  assert.deepEqual(await vault.sessions(), {});
});

test("the client is the SDK's, and its init changes nothing", async (t) => {
  const vault = await TestVault.start(t);
  const app = await vault.app();
  assert.ok(app instanceof TurnkeyClient);
  const { httpClient } = app;
  await app.init();
  assert.equal(app.httpClient, httpClient);
});
