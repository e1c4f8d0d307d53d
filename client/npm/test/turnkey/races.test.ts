import assert from "node:assert/strict";
import { verify } from "node:crypto";
import { test } from "node:test";
import { TurnkeyClient, TurnkeyErrorCodes } from "@turnkey/core";
import { VaultApiKeyStamper } from "../../src/turnkey/api-key-stamper.js";
import { vaultStorage } from "../../src/turnkey/storage.js";
import { fails } from "./failure.js";
import { keyOf, ORGANIZATION, sessionToken } from "./token.js";
import { TestVault } from "./vault.js";

test("of two refreshes at once one wins, and the other answers CONFLICT and leaves no key pair", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login("work");
  const apps = [await vault.app(), await vault.app()];
  const { arrived, release } = vault.api.holdLogins(2);
  const refreshes = apps.map((app) => app.refreshSession());
  await arrived;
  release();
  const results = await Promise.allSettled(refreshes);
  const lost = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
  assert.equal(lost.length, 1);
  await fails(Promise.reject(lost[0]), TurnkeyErrorCodes.CONFLICT, "CONFLICT");
  const { work } = await vault.sessions();
  assert.deepEqual(await vault.keyPairs(), [work]);
});

test("a session that is cleared during its refresh does not come back", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login("work");
  const [app, other] = [await vault.app(), await vault.app()];
  const { arrived, release } = vault.api.holdLogins(1);
  const refresh = app.refreshSession();
  await arrived;
  await other.clearSession({ sessionKey: "work" });
  release();
  await fails(refresh, TurnkeyErrorCodes.CONFLICT, "CONFLICT");
  assert.deepEqual(await vault.sessions(), {});
  assert.deepEqual(await vault.keyPairs(), []);
});

test("clearing all sessions during a refresh leaves no session and no key pair", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login("work");
  await vault.login("home");
  const [app, other] = [await vault.app(), await vault.app()];
  const { arrived, release } = vault.api.holdLogins(1);
  const refresh = app.refreshSession({ sessionKey: "work" });
  await arrived;
  await other.clearAllSessions();
  release();
  await fails(refresh, TurnkeyErrorCodes.CONFLICT, "CONFLICT");
  assert.deepEqual(await vault.sessions(), {});
  assert.deepEqual(await vault.keyPairs(), []);
});

test("a refresh whose session is stored anew before it stamps is a CONFLICT, and Turnkey is not asked", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login("work");
  const app = await vault.app();
  const { createApiKeyPair } = app.vault;
  let replacement: string | undefined;
  app.vault.createApiKeyPair = async (...params) => {
    const created = await createApiKeyPair.apply(app.vault, params);
    replacement = await vault.login("work");
    return created;
  };
  await fails(app.refreshSession(), TurnkeyErrorCodes.CONFLICT, "KEY_PAIR_NOT_FOUND");
  assert.deepEqual(vault.api.requests, []);
  assert.deepEqual(await vault.keyPairs(), [replacement]);
});

test("the active session that another app chose during a refresh stays the active one", async (t) => {
  const vault = await TestVault.start(t);
  const home = await vault.login("home");
  const old = await vault.login("work");
  const [app, other] = [await vault.app(), await vault.app()];
  const { arrived, release } = vault.api.holdLogins(1);
  const refresh = app.refreshSession();
  await arrived;
  await other.setActiveSession({ sessionKey: "home" });
  release();
  await refresh;
  assert.equal(await vault.activeSession(), "home");
  const sessions = await vault.sessions();
  assert.equal(sessions["home"], home);
  assert.notEqual(sessions["work"], old);
});

test("a clear for the key pair that a refresh has replaced answers CONFLICT and clears nothing", async (t) => {
  const vault = await TestVault.start(t);
  const old = await vault.login("work");
  const [app, other] = [await vault.app(), await vault.app()];
  await app.refreshSession();
  const sessions = await vault.sessions();
  const clear = other.clearSession({ sessionKey: "work", ifPublicKey: old });
  await fails(clear, TurnkeyErrorCodes.CONFLICT, "CONFLICT");
  await fails(other.logout({ sessionKey: "work", ifPublicKey: old }), TurnkeyErrorCodes.CONFLICT, "CONFLICT");
  assert.deepEqual(await vault.sessions(), sessions);
  await app.httpClient.getWhoami();
});

test("a login's key pair survives another app's sweep between its creation and its session", async (t) => {
  const vault = await TestVault.start(t);
  const [app, other] = [await vault.app(), await vault.app()];
  const publicKey = await app.createApiKeyPair();
  await Promise.all([
    other.clearUnusedKeyPairs(),
    app.storeSession({ sessionToken: sessionToken({ publicKey }) }),
    other.clearUnusedKeyPairs(),
  ]);
  await app.httpClient.getWhoami();
  assert.deepEqual(await vault.keyPairs(), [publicKey]);
});

test("of two logins at once each keeps its key pair, and both sessions can stamp", async (t) => {
  const vault = await TestVault.start(t);
  const [app, other] = [await vault.app(), await vault.app()];
  const { arrived, release } = vault.api.holdLogins(2);
  const login = async (one: typeof app, sessionKey: string): Promise<string> => {
    const publicKey = await one.createApiKeyPair();
    await one.loginWithOauth({ oidcToken: "header.payload.signature", publicKey, sessionKey });
    return publicKey;
  };
  const logins = Promise.all([login(app, "work"), login(other, "home")]);
  await arrived;
  release();
  const [work, home] = await logins;
  assert.deepEqual(await vault.sessions(), { work, home });
  for (const sessionKey of ["work", "home"]) {
    await app.setActiveSession({ sessionKey });
    await other.httpClient.getWhoami();
  }
  assert.deepEqual(vault.api.requests.slice(2).map(({ publicKey }) => publicKey), [work, home]);
});

test("of two sessions stored at once under one name one stays, with its key pair and no other", async (t) => {
  const vault = await TestVault.start(t);
  const apps = [await vault.app(), await vault.app()];
  const publicKeys = await Promise.all(apps.map((app) => app.createApiKeyPair()));
  const tokens = publicKeys.map((publicKey) => sessionToken({ publicKey }));
  await Promise.all(apps.map((app, index) => app.storeSession({ sessionToken: tokens[index]! })));
  const [stored, ...others] = Object.values(await vault.sessions());
  assert.deepEqual(others, []);
  assert.ok(publicKeys.includes(stored!));
  assert.deepEqual(await vault.keyPairs(), [stored]);
});

test("a log-out between stamps leaves those before it whole and those after it refused", async (t) => {
  const vault = await TestVault.start(t);
  const publicKey = await vault.login("work");
  const [app, other] = [await vault.app(), await vault.app()];
  const stamps = Array.from({ length: 200 }, () => app.vault.stamp("body"));
  const [logout, ...results] = await Promise.allSettled([other.logout(), ...stamps]);
  assert.equal(logout.status, "fulfilled");
  for (const result of results) {
    if (result.status === "fulfilled") {
      const stamp = JSON.parse(Buffer.from(result.value.stampHeaderValue, "base64url").toString("utf8"));
      assert.equal(stamp.publicKey, publicKey);
      assert.ok(verify("sha256", Buffer.from("body"), keyOf(publicKey), Buffer.from(stamp.signature, "hex")));
    } else {
      assert.equal(result.reason.code, "NO_SESSION_FOUND");
    }
  }
  await fails(app.httpClient.getWhoami(), TurnkeyErrorCodes.NO_SESSION_FOUND, "NO_SESSION_FOUND");
  assert.deepEqual(await vault.keyPairs(), []);
});

test("of two log-outs at once one succeeds, and the other finds no session", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login("home");
  await vault.login("work");
  const [app, other] = [await vault.app(), await vault.app()];
  const results = await Promise.allSettled([app.logout(), other.logout()]);
  const lost = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
  assert.equal(lost.length, 1);
  await fails(Promise.reject(lost[0]), TurnkeyErrorCodes.NO_SESSION_FOUND, "NO_SESSION_FOUND");
  assert.deepEqual(Object.keys(await vault.sessions()), ["home"]);
});

test("no sweep deletes a kept key pair or one of a login in flight, not even the SDK's own", async (t) => {
  const vault = await TestVault.start(t);
  const used = await vault.login("work");
  const { publicKey: kept } = await vault.observer.createApiKeyPair({ keep: true });
  const pending = await (await vault.app()).createApiKeyPair();
  const there = [used, kept, pending].sort();
  await (await vault.app()).clearUnusedKeyPairs();
  assert.deepEqual(await vault.keyPairs(), there);

  const sdk = new TurnkeyClient({ organizationId: ORGANIZATION }, new VaultApiKeyStamper(vault.observer));
  Object.assign(sdk, { storageManager: vaultStorage(vault.observer) });
  await sdk.clearUnusedKeyPairs();
  assert.deepEqual(await vault.keyPairs(), there);

  await vault.observer.clearUnusedKeyPairs({ minAgeSeconds: 0 });
  assert.deepEqual(await vault.keyPairs(), [used, kept].sort());
});

test("the SDK's own sweep deletes what no login can be waiting for any more, but no kept key pair", async (t) => {
  const vault = await TestVault.start(t);
  const used = await vault.login("work");
  const { publicKey: kept } = await vault.observer.createApiKeyPair({ keep: true });
  const { publicKey: forgotten } = await vault.observer.createApiKeyPair();
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 901_000 });
  const stamper = new VaultApiKeyStamper(vault.observer);
  assert.deepEqual(await stamper.listKeyPairs(), [forgotten]);
  const sdk = new TurnkeyClient({ organizationId: ORGANIZATION }, stamper);
  Object.assign(sdk, { storageManager: vaultStorage(vault.observer) });
  await sdk.clearUnusedKeyPairs();
  assert.deepEqual(await vault.keyPairs(), [used, kept].sort());
});
