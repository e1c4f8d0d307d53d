import assert from "node:assert/strict";
import { test } from "node:test";
import { StamperType, TurnkeyErrorCodes } from "@turnkey/core";
import { fails } from "./failure.js";
import { sessionToken } from "./token.js";
import { TestVault } from "./vault.js";

const OTHER_ORGANIZATION = "0a2f4e1c-0000-4000-8000-000000000001";

test("a refresh puts a session of a new key pair in place of the old one, which goes", async (t) => {
  const vault = await TestVault.start(t);
  const old = await vault.login("work", { sessionProfileId: "profile" });
  const app = await vault.app();
  const response = await app.refreshSession({ expirationSeconds: "600" });
  const session = await app.getSession();
  assert.equal(session?.token, response.session);
  assert.equal(session?.sessionProfileId, "profile");
  assert.notEqual(session?.publicKey, old);
  assert.deepEqual(await vault.keyPairs(), [session?.publicKey]);
  assert.equal(vault.api.requests[0]?.publicKey, old);
  assert.equal(vault.api.requests[0]?.body["parameters"].expirationSeconds, "600");
});

test("a session that is not active is refreshed with its own key pair, in its own organization", async (t) => {
  const vault = await TestVault.start(t);
  const old = await vault.login("work", { organizationId: OTHER_ORGANIZATION });
  const home = await vault.login("home");
  const app = await vault.app();
  await app.refreshSession({ sessionKey: "work" });
  assert.equal(vault.api.requests[0]?.publicKey, old);
  assert.equal(vault.api.requests[0]?.body["organizationId"], OTHER_ORGANIZATION);
  assert.equal(await vault.activeSession(), "home");
  assert.equal((await vault.sessions())["home"], home);
});

test("a refresh that Turnkey completes later is asked for by the session, in its organization", async (t) => {
  const vault = await TestVault.start(t);
  const old = await vault.login("work", { organizationId: OTHER_ORGANIZATION });
  await vault.login("home");
  const app = await vault.app();
  vault.api.completesLater = true;
  await app.refreshSession({ sessionKey: "work" });
  assert.deepEqual(vault.api.requests.map(({ publicKey }) => publicKey), [old, old]);
  assert.equal(vault.api.requests[1]?.body["organizationId"], OTHER_ORGANIZATION);
});

test("a refresh can be stamped in another way, and is in the session's organization all the same", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login("work", { organizationId: OTHER_ORGANIZATION });
  await vault.login("home");
  const app = await vault.app();
  const publicKey = await app.createApiKeyPair();
  await app.overrideAttestedStamper({ oidcToken: "header.payload.signature", publicKey });
  await app.refreshSession({ sessionKey: "work", publicKey, stampWith: StamperType.Attested });
  assert.equal(vault.api.requests[0]?.publicKey, publicKey);
  assert.equal(vault.api.requests[0]?.body["organizationId"], OTHER_ORGANIZATION);
  assert.equal((await vault.sessions())["work"], publicKey);
});

test("a refresh that Turnkey refuses leaves the session as it was, and no key pair", async (t) => {
  const vault = await TestVault.start(t);
  const publicKey = await vault.login("work");
  const app = await vault.app();
  vault.api.refusal = "not now";
  await assert.rejects(app.refreshSession(), { code: TurnkeyErrorCodes.REFRESH_SESSION_ERROR });
  assert.deepEqual(await vault.sessions(), { work: publicKey });
  assert.deepEqual(await vault.keyPairs(), [publicKey]);
  vault.api.refusal = undefined;
  await app.refreshSession();
});

test("a refresh that Turnkey refuses because the key pair has expired answers SESSION_EXPIRED", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login("work");
  const app = await vault.app();
  vault.api.refusal = "Unauthenticated desc = expired api key publicKey";
  await assert.rejects(app.refreshSession(), { code: TurnkeyErrorCodes.SESSION_EXPIRED });
});

test("a refresh where there is no session asks nothing of Turnkey and creates no key pair", async (t) => {
  const vault = await TestVault.start(t);
  const app = await vault.app();
  await assert.rejects(app.refreshSession(), { code: TurnkeyErrorCodes.NO_SESSION_FOUND });
  await assert.rejects(app.refreshSession({ sessionKey: "work" }), { code: TurnkeyErrorCodes.NO_SESSION_FOUND });
  assert.deepEqual(vault.api.requests, []);
  assert.deepEqual(await vault.keyPairs(), []);
});

test("a key pair that was given for the refresh stays when it fails", async (t) => {
  const vault = await TestVault.start(t);
  const old = await vault.login("work");
  const app = await vault.app();
  const publicKey = await app.createApiKeyPair();
  vault.api.refusal = "not now";
  await assert.rejects(app.refreshSession({ publicKey }), { code: TurnkeyErrorCodes.REFRESH_SESSION_ERROR });
  assert.deepEqual(await vault.keyPairs(), [old, publicKey].sort());
});

test("a session without its key pair cannot be refreshed, and the error says which is missing", async (t) => {
  const vault = await TestVault.start(t);
  const publicKey = await vault.login("work");
  await vault.observer.clearSession();
  const token = sessionToken({ publicKey });
  await vault.observer.storeSession({ sessionToken: token, sessionKey: "work", withoutKeyPair: true });
  const app = await vault.app();
  await fails(app.refreshSession(), TurnkeyErrorCodes.REFRESH_SESSION_ERROR, "KEY_PAIR_NOT_FOUND");
  assert.deepEqual(await vault.keyPairs(), []);
});
