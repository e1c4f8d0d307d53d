import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { TurnkeyErrorCodes } from "@turnkey/core";
import { fails } from "./failure.js";
import { ORGANIZATION } from "./token.js";
import { TestVault } from "./vault.js";

const OTHER_ORGANIZATION = "0a2f4e1c-0000-4000-8000-000000000001";

/** An expiry that leaves just the time to store the session. */
function soon(): number {
  return Math.ceil((Date.now() + 700) / 1000);
}

async function until(expiry: number): Promise<void> {
  while (Date.now() < expiry * 1000) {
    await setTimeout(expiry * 1000 - Date.now());
  }
}

test("an expired session is answered with its expiry and nothing else, and the kit's steps then clear it", async (t) => {
  const vault = await TestVault.start(t);
  const expiry = soon();
  await vault.login("work", { expiry });
  const app = await vault.app();
  await until(expiry);
  const expired = { sessionType: "", userId: "", organizationId: "", expiry, token: "" };
  assert.deepEqual(await app.getSession(), expired);
  assert.deepEqual(await app.getSession({ sessionKey: "work" }), expired);
  assert.equal(await app.getActiveSessionKey(), "work");
  await app.clearSession({ sessionKey: "work" });
  assert.equal(await app.getActiveSessionKey(), undefined);
  await fails(app.logout(), TurnkeyErrorCodes.NO_SESSION_FOUND, "NO_SESSION_FOUND");
  assert.deepEqual(await vault.keyPairs(), []);
});

test("an expired session neither stamps nor is refreshed, and Turnkey is not asked", async (t) => {
  const vault = await TestVault.start(t);
  const expiry = soon();
  await vault.login("work", { expiry });
  const app = await vault.app();
  await until(expiry);
  await fails(app.httpClient.getWhoami(), TurnkeyErrorCodes.SESSION_EXPIRED, "SESSION_EXPIRED");
  await fails(app.refreshSession(), TurnkeyErrorCodes.SESSION_EXPIRED, "SESSION_EXPIRED");
  await assert.rejects(app.fetchUser(), { code: TurnkeyErrorCodes.NO_SESSION_FOUND });
  assert.equal(await app.getAllSessions(), undefined);
  assert.deepEqual(vault.api.requests, []);
});

test("a login after the active session has expired goes to the client's own organization", async (t) => {
  const vault = await TestVault.start(t);
  const expiry = soon();
  await vault.login("work", { expiry, organizationId: OTHER_ORGANIZATION });
  const app = await vault.app();
  await until(expiry);
  const publicKey = await app.createApiKeyPair();
  await app.loginWithOauth({ oidcToken: "header.payload.signature", publicKey, sessionKey: "work" });
  assert.equal(vault.api.requests[0]?.body["organizationId"], ORGANIZATION);
  assert.equal((await app.getSession())?.publicKey, publicKey);
  assert.deepEqual(await vault.keyPairs(), [publicKey]);
});

test("a session that expires during its refresh is gone: CONFLICT, and no key pair is left", async (t) => {
  const vault = await TestVault.start(t);
  const expiry = soon();
  const old = await vault.login("work", { expiry });
  const app = await vault.app();
  const { arrived, release } = vault.api.holdLogins(1);
  const refresh = app.refreshSession();
  await arrived;
  await until(expiry);
  release();
  await fails(refresh, TurnkeyErrorCodes.CONFLICT, "CONFLICT");
  assert.equal(await app.getAllSessions(), undefined);
  assert.ok((await vault.keyPairs()).every((publicKey) => publicKey === old));
});
