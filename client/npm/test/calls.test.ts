import assert from "node:assert/strict";
import { createHash, verify } from "node:crypto";
import { test } from "node:test";
import { inspect } from "node:util";
import type { Client, ErrorCode } from "../src/index.js";
import { Daemon, logIn } from "./daemon.js";
import { keyOf, sessionToken } from "./turnkey/token.js";

/** A key pair of a book (RFC 6979, A.2.5): nobody's. */
const BOOK_KEY_PAIR = {
  publicKey: "0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
  privateKey: "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
};

async function fails(call: Promise<unknown>, code: ErrorCode, outcome = "failed"): Promise<void> {
  await assert.rejects(call, { name: "KeyfobError", code, outcome });
}

async function vault(t: Parameters<typeof Daemon.start>[0]): Promise<Client> {
  return (await Daemon.start(t)).client();
}

test("a session is stored, read, described, listed and cleared", async (t) => {
  const client = await vault(t);
  const { publicKey, created, kept } = await client.createApiKeyPair();
  assert.deepEqual([created, kept], [true, false]);
  const token = sessionToken({ publicKey });
  const stored = await client.storeSession({ sessionToken: token, sessionKey: "work" });
  assert.deepEqual([stored.sessionKey, stored.hasKeyPair, stored.active], ["work", true, true]);
  assert.equal(stored.replacedPublicKey ?? null, null);

  const found = await client.getSession();
  assert.deepEqual([found.sessionKey, found.session?.token, found.hasKeyPair], ["work", token, true]);
  const { session } = await client.describeSession({ sessionKey: "work" });
  assert.deepEqual(session, { sessionKey: "work", publicKey, expiry: found.session?.expiry, active: true, hasKeyPair: true });
  assert.deepEqual((await client.listSessions()).sessions, [session]);
  assert.equal((await client.getAllSessions({ limit: 1 })).sessions[0]?.session.token, token);
  assert.deepEqual(await client.getActiveSessionKey(), { sessionKey: "work" });

  const cleared = await client.clearSession({ sessionKey: "work", ifPublicKey: publicKey });
  assert.deepEqual(cleared, { cleared: true, sessionKey: "work", deletedPublicKey: publicKey, wasActive: true });
  assert.deepEqual((await client.listApiKeyPairs()).keyPairs, []);
  await fails(client.clearSession({ sessionKey: "work" }), "NOT_FOUND");
  assert.equal((await client.clearSession({ sessionKey: "work", ifExists: true })).cleared, false);
  assert.equal((await client.describeSession({ sessionKey: "work" })).session, null);
});

test("a store that expects another session conflicts and changes nothing", async (t) => {
  const client = await vault(t);
  const publicKey = await logIn(client, "work");
  const { publicKey: other } = await client.createApiKeyPair();
  const store = { sessionToken: sessionToken({ publicKey: other }), sessionKey: "work" };
  await fails(client.storeSession({ ...store, ifPublicKey: null }), "CONFLICT");
  await fails(client.storeSession({ ...store, ifPublicKey: other }), "CONFLICT");
  await fails(client.clearSession({ sessionKey: "work", ifPublicKey: other }), "CONFLICT");
  assert.equal((await client.describeSession({ sessionKey: "work" })).session?.publicKey, publicKey);

  const stored = await client.storeSession({ ...store, ifPublicKey: publicKey, activate: false });
  assert.deepEqual([stored.replacedPublicKey, stored.active], [publicKey, true]);
});

test("clearing all sessions leaves nothing but unused key pairs", async (t) => {
  const client = await vault(t);
  await logIn(client, "home");
  await logIn(client, "work");
  await client.setActiveSession({ sessionKey: "home" });
  const { publicKey } = await client.createApiKeyPair();
  assert.deepEqual(await client.clearAllSessions(), { clearedSessions: 2, deletedKeyPairs: 2 });
  assert.deepEqual((await client.listApiKeyPairs()).keyPairs.map((each) => each.publicKey), [publicKey]);
  assert.deepEqual(await client.getActiveSessionKey(), { sessionKey: null });
  await fails(client.clearAllSessions(), "NO_SESSION_FOUND");
  assert.deepEqual(await client.clearAllSessions({ ifExists: true }), { clearedSessions: 0, deletedKeyPairs: 0 });
  assert.deepEqual(await client.clearUnusedKeyPairs(), { deletedPublicKeys: [], more: false });
  const swept = await client.clearUnusedKeyPairs({ minAgeSeconds: 0 });
  assert.deepEqual(swept, { deletedPublicKeys: [publicKey], more: false });
});

test("a kept key pair stays until it is deleted by name", async (t) => {
  const client = await vault(t);
  const { publicKey } = await client.createApiKeyPair({ externalKeyPair: BOOK_KEY_PAIR, keep: true, label: "café 🔑" });
  assert.equal(publicKey, BOOK_KEY_PAIR.publicKey);
  await client.clearUnusedKeyPairs({ minAgeSeconds: 0 });
  const [entry] = (await client.listApiKeyPairs()).keyPairs;
  assert.deepEqual([entry?.publicKey, entry?.kept, entry?.label], [publicKey, true, "café 🔑"]);
  assert.deepEqual(await client.deleteApiKeyPair({ publicKey }), { deleted: true, publicKey });
  await fails(client.deleteApiKeyPair({ publicKey }), "KEY_PAIR_NOT_FOUND");
  assert.deepEqual(await client.deleteApiKeyPair({ publicKey, ifExists: true }), { deleted: false, publicKey });
});

test("signatures and stamps are over exactly the bytes that were given", async (t) => {
  const client = await vault(t);
  const publicKey = await logIn(client, "work");
  const every = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const view = every.subarray(3, 200);
  const payloads: [string | Uint8Array, Uint8Array][] = [
    ["", Buffer.alloc(0)],
    ["{\"a\":\"café 🔑\"}", Buffer.from("{\"a\":\"café 🔑\"}")],
    ["\ud800 lone \udfff", new TextEncoder().encode("\ud800 lone \udfff")],
    [every, every],
    [view, Uint8Array.from(view)],
    ["x".repeat(100_000), Buffer.alloc(100_000, "x")],
  ];
  for (const [payload, bytes] of payloads) {
    const { signature, publicKey: signer, sessionKey } = await client.sign(payload, undefined, { format: "raw" });
    assert.deepEqual([signer, sessionKey], [publicKey, "work"]);
    const key = { key: keyOf(publicKey), dsaEncoding: "ieee-p1363" } as const;
    assert.ok(verify("sha256", bytes, key, Buffer.from(signature, "hex")));

    const stamped = await client.stamp(payload, { publicKey });
    assert.deepEqual([stamped.stampHeaderName, stamped.publicKey], ["X-Stamp", publicKey]);
    const stamp = JSON.parse(Buffer.from(stamped.stampHeaderValue, "base64url").toString()) as Record<string, string>;
    assert.equal(stamp["publicKey"], publicKey);
    assert.ok(verify("sha256", bytes, keyOf(publicKey), Buffer.from(stamp["signature"] ?? "", "hex")));
  }
  const der = await client.sign("x", { sessionKey: "work" });
  assert.match(der.signature, /^30/);
  await fails(client.stamp("x", { sessionKey: "home" }), "NOT_FOUND");
  await fails(client.sign("x", { publicKey: BOOK_KEY_PAIR.publicKey }), "KEY_PAIR_NOT_FOUND");
  await assert.rejects(client.stamp(17 as unknown as string), TypeError);
});

test("a locked vault clears and tells names, and needs its passphrase for all else", async (t) => {
  const client = await vault(t);
  const publicKey = await logIn(client, "work");
  const passphrase = "correct horse battery staple";
  assert.deepEqual(await client.rekey({ keySource: "passphrase", passphrase }), { keySource: "passphrase", records: 2 });
  assert.deepEqual(await client.setLockAfter({ lockAfterSeconds: 900 }), { lockAfterSeconds: 900 });
  assert.deepEqual(await client.lock(), { wasLocked: false });
  await fails(client.getSession(), "VAULT_LOCKED");
  await fails(client.stamp("{}"), "VAULT_LOCKED");
  await fails(client.unlock({ passphrase: "wrong" }), "WRONG_PASSPHRASE");
  await assert.rejects(client.unlock({ passphrase }), (error: { code: string; data: { retryAfterSeconds: number } }) => {
    assert.deepEqual([error.code, error.data.retryAfterSeconds], ["UNLOCK_DELAYED", 1]);
    return true;
  });
  assert.equal((await client.describeSession()).session?.publicKey, publicKey);
  assert.equal((await client.status()).lock.locked, true);
  assert.equal((await client.clearSession()).deletedPublicKey, publicKey);
});

test("a vault that was locked is unlocked", async (t) => {
  const client = await vault(t);
  await client.lock();
  assert.deepEqual(await client.unlock(), { wasLocked: true });
  assert.equal((await client.createApiKeyPair()).created, true);
});

test("an expired token and an unknown parameter are refused", async (t) => {
  const client = await vault(t);
  const { publicKey } = await client.createApiKeyPair();
  const expired = client.storeSession({ sessionToken: sessionToken({ publicKey, expiry: 1_700_000_000 }) });
  await fails(expired, "SESSION_EXPIRED");
  await fails(client.storeSession({ sessionToken: "not a token" }), "INVALID_TOKEN");
  const unknown = { sessionKey: "work", force: true };
  await fails(client.clearSession(unknown), "INVALID_PARAMS");
  await fails(client.clearSession({ sessionKey: "\ud800" }), "INVALID_PARAMS");
});

test("pages follow each other to the end", async (t) => {
  const client = await vault(t);
  const names = ["a", "b", "c"];
  await Promise.all(names.map((name) => logIn(client, name)));
  const found: string[] = [];
  let after: string | undefined;
  do {
    const page = await client.listSessions({ after, limit: 2 });
    found.push(...page.sessions.map(({ sessionKey }) => sessionKey));
    after = page.next ?? undefined;
  } while (after !== undefined);
  assert.deepEqual(found, names);
});

test("a thousand calls that overlap are each answered with their own reply", async (t) => {
  const daemon = await Daemon.start(t);
  const client = await daemon.client();
  await logIn(client, "work");
  const before = (await client.status()).counts.mutations ?? 0;
  const labels = Array.from({ length: 500 }, (_, index) => `key ${index}`);
  const replies = await Promise.all(
    labels.flatMap((label) => [client.createApiKeyPair({ label }), client.sign(label, undefined, { format: "raw" })]),
  );
  labels.forEach((label, index) => {
    const [created, signed] = [replies[2 * index], replies[2 * index + 1]];
    assert.ok(created && "label" in created && created.label === label);
    assert.ok(signed && "signature" in signed);
    const key = { key: keyOf(signed.publicKey), dsaEncoding: "ieee-p1363" } as const;
    assert.ok(verify("sha256", Buffer.from(label), key, Buffer.from(signed.signature, "hex")));
  });
  const { counts } = await client.status();
  assert.equal(counts.mutations, before + 500);
  assert.equal(counts.connections, 1);
});

test("no error shows what the call was given", async (t) => {
  const client = await vault(t);
  const secret = `secret-${createHash("sha256").update("x").digest("hex")}`;
  const calls = [
    client.storeSession({ sessionToken: secret }),
    client.rekey({ keySource: "keyFile", passphrase: secret }),
    client.createApiKeyPair({ externalKeyPair: { publicKey: BOOK_KEY_PAIR.publicKey, privateKey: secret } }),
    client.stamp(secret, { sessionKey: "none" }),
    client.stamp(secret, undefined, { signal: AbortSignal.abort() }),
    client.storeSession({ sessionToken: secret.repeat(100_000) }),
  ];
  for (const result of await Promise.allSettled(calls)) {
    assert.equal(result.status, "rejected");
    const shown = inspect(result.status === "rejected" && result.reason, { depth: 9, showHidden: true });
    assert.ok(!shown.includes(secret) && !shown.includes(Buffer.from(secret).toString("base64")), shown);
  }
});

test("a time that is none is refused before anything is sent", async (t) => {
  const client = await vault(t);
  for (const timeoutMs of [0, -1, Number.NaN]) {
    await assert.rejects(client.lock({}, { timeoutMs }), RangeError);
  }
  assert.equal((await client.status()).lock.locked, false);
});
