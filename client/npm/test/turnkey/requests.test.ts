import assert from "node:assert/strict";
import { verify, webcrypto } from "node:crypto";
import { test } from "node:test";
import { TurnkeyErrorCodes } from "@turnkey/core";
import { TurnkeyClient as HttpClient } from "@turnkey/http";
import { TurnkeyServerClient } from "@turnkey/sdk-server";
import { vaultStamper } from "../../src/turnkey/stamper.js";
import { fails } from "./failure.js";
import { keyOf, ORGANIZATION } from "./token.js";
import { TestVault } from "./vault.js";

test("a request is stamped by the active session with one call for the stamp and one for the organization", async (t) => {
  const vault = await TestVault.start(t);
  const publicKey = await vault.login("work");
  const [app, tap] = await vault.tappedApp();
  tap.taken();
  const { organizationId } = await app.httpClient.getWhoami();
  assert.deepEqual(tap.taken(), ["getSession", "stamp"]);
  assert.equal(organizationId, ORGANIZATION);
  assert.equal(vault.api.requests[0]?.publicKey, publicKey);
});

test("a body with lone surrogates, NUL and emoji is signed as it is sent", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login("work");
  const app = await vault.app();
  const organizationId = `\ud800 \udc00 \0 🔑 ${"é".repeat(100_000)}`;
  await app.httpClient.getWhoami({ organizationId });
  const [request] = vault.api.requests;
  assert.deepEqual(request?.raw, Buffer.from(new TextEncoder().encode(JSON.stringify({ organizationId }))));
});

test("a login with OAuth is stamped by its new key pair, and stored", async (t) => {
  const vault = await TestVault.start(t);
  const app = await vault.app();
  const publicKey = await app.createApiKeyPair();
  await app.loginWithOauth({ oidcToken: "header.payload.signature", publicKey, sessionKey: "work" });
  assert.equal(vault.api.requests[0]?.publicKey, publicKey);
  assert.deepEqual(await vault.sessions(), { work: publicKey });
});

test("a login that Turnkey refuses leaves no key pair", async (t) => {
  const vault = await TestVault.start(t);
  const app = await vault.app();
  vault.api.refusal = "not you";
  const publicKey = await app.createApiKeyPair();
  await assert.rejects(app.loginWithOauth({ oidcToken: "header.payload.signature", publicKey }), {
    code: TurnkeyErrorCodes.OAUTH_LOGIN_ERROR,
  });
  assert.deepEqual(await vault.keyPairs(), []);
});

test("a key pair chosen for the moment stamps in place of the session's", async (t) => {
  const vault = await TestVault.start(t);
  const publicKey = await vault.login("work");
  const { publicKey: machine } = await vault.observer.createApiKeyPair({ keep: true });
  const app = await vault.app();
  await app.overrideApiKeyStamper({ temporaryPublicKey: machine });
  await app.httpClient.getWhoami();
  await app.overrideApiKeyStamper({ temporaryPublicKey: "" });
  await app.httpClient.getWhoami();
  assert.deepEqual(vault.api.requests.map((request) => request.publicKey), [machine, publicKey]);
});

test("a key pair that is deleted while it is chosen for the moment is chosen no longer", async (t) => {
  const vault = await TestVault.start(t);
  const session = await vault.login("work");
  const app = await vault.app();
  const publicKey = await app.createApiKeyPair();
  await app.overrideApiKeyStamper({ temporaryPublicKey: publicKey });
  await app.deleteApiKeyPair({ publicKey });
  await app.httpClient.getWhoami();
  assert.equal(vault.api.requests[0]?.publicKey, session);
});

test("signWithApiKey signs r and s, and other requests meanwhile are stamped by the session", async (t) => {
  const vault = await TestVault.start(t);
  const session = await vault.login("work");
  const app = await vault.app();
  const publicKey = await app.createApiKeyPair();
  const [signature] = await Promise.all([
    app.signWithApiKey({ message: "\ud800é", publicKey }),
    app.httpClient.getWhoami(),
  ]);
  const key = { key: keyOf(publicKey), dsaEncoding: "ieee-p1363" } as const;
  assert.ok(verify("sha256", new TextEncoder().encode("\ud800é"), key, Buffer.from(signature, "hex")));
  assert.equal(vault.api.requests[0]?.publicKey, session);
});

test("fetchOrCreateP256ApiKeyUser finds the user of the session's key pair", async (t) => {
  const vault = await TestVault.start(t);
  const publicKey = await vault.login("work");
  const app = await vault.app();
  const user = await app.fetchOrCreateP256ApiKeyUser({ publicKey });
  assert.equal(user.apiKeys[0]?.credential.publicKey, publicKey);
  assert.equal(vault.api.requests[0]?.body["organizationId"], ORGANIZATION);
});

test("a request without an active session is not sent, and its body is not in the error", async (t) => {
  const vault = await TestVault.start(t);
  const app = await vault.app();
  const request = app.httpClient.getWhoami({ organizationId: "a secret" });
  const error = await fails(request, TurnkeyErrorCodes.NO_SESSION_FOUND, "NO_SESSION_FOUND");
  assert.ok(!error.includes("a secret"));
  await assert.rejects(app.fetchUser(), { code: TurnkeyErrorCodes.NO_SESSION_FOUND });
  assert.deepEqual(vault.api.requests, []);
});

test("key pairs of the Web Crypto API are taken in if they can be exported", async (t) => {
  const vault = await TestVault.start(t);
  const app = await vault.app();
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const publicKeys: string[] = [];
  // The first character pair of a public key is one of two: eight key pairs are enough to meet both.
  for (let count = 0; count < 8; count += 1) {
    const externalKeyPair = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const publicKey = await app.createApiKeyPair({ externalKeyPair });
    const signature = Buffer.from(await app.signWithApiKey({ message: "hello", publicKey }), "hex");
    const hash = { name: "ECDSA", hash: "SHA-256" };
    assert.ok(await webcrypto.subtle.verify(hash, externalKeyPair.publicKey, signature, Buffer.from("hello")));
    publicKeys.push(publicKey);
  }
  const sealed = await webcrypto.subtle.generateKey(algorithm, false, ["sign", "verify"]);
  const taken = app.createApiKeyPair({ externalKeyPair: sealed });
  await assert.rejects(taken, { code: TurnkeyErrorCodes.CREATE_API_KEY_PAIR_ERROR, message: /cannot be exported/ });
  assert.deepEqual(await vault.keyPairs(), publicKeys.sort());
});

test("a private key that does not fit its public key is not in the error", async (t) => {
  const vault = await TestVault.start(t);
  const app = await vault.app();
  const publicKey = await app.createApiKeyPair();
  const privateKey = "5ec0".repeat(16);
  const taken = app.createApiKeyPair({ externalKeyPair: { publicKey, privateKey } });
  const error = await fails(taken, TurnkeyErrorCodes.CREATE_API_KEY_PAIR_ERROR, "INVALID_KEY_PAIR");
  assert.ok(!error.includes("5ec05ec0"));
});

test("deleting a key pair twice is no error, and deleting one that a session names is", async (t) => {
  const vault = await TestVault.start(t);
  const used = await vault.login("work");
  const app = await vault.app();
  const publicKey = await app.createApiKeyPair();
  await app.deleteApiKeyPair({ publicKey });
  await app.deleteApiKeyPair({ publicKey });
  const deletion = app.deleteApiKeyPair({ publicKey: used });
  await fails(deletion, TurnkeyErrorCodes.DELETE_API_KEY_PAIR_ERROR, "KEY_PAIR_IN_USE");
  assert.deepEqual(await vault.keyPairs(), [used]);
});

test("vaultStamper stamps for the other clients of Turnkey, by session, key pair or the active session", async (t) => {
  const vault = await TestVault.start(t);
  const work = await vault.login("work");
  const home = await vault.login("home");
  const { publicKey: machine } = await vault.observer.createApiKeyPair({ keep: true });
  const { url } = vault.api;
  const input = { organizationId: ORGANIZATION };
  for (const signer of [{ sessionKey: "work" }, { publicKey: machine }, undefined]) {
    const stamper = vaultStamper(vault.observer, signer);
    await new HttpClient({ baseUrl: url }, stamper).getWhoami(input);
    await new TurnkeyServerClient({ apiBaseUrl: url, stamper, ...input })["getWhoami"](input);
  }
  const stampedBy = vault.api.requests.map((request) => request.publicKey);
  assert.deepEqual(stampedBy, [work, work, machine, machine, home, home]);
});

test("vaultStamper is one call a stamp", async (t) => {
  const vault = await TestVault.start(t);
  await vault.login("work");
  const [app, tap] = await vault.tappedApp();
  tap.taken();
  await vaultStamper(app.vault).stamp("{}");
  assert.deepEqual(tap.taken(), ["stamp"]);
});
