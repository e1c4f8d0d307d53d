import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Client, KeyfobError, type CreateGrant, type GrantCreated } from "../src/index.js";
import { Daemon, KEYFOBD, logIn, scratch, withEnv } from "./daemon.js";

/** A grant on the session `work` alone, beside a session `private`; and a client that has it. */
async function onWork(daemon: Daemon, may: CreateGrant["may"]): Promise<[Client, GrantCreated, Client]> {
  const owner = await daemon.client();
  await logIn(owner, "work");
  await logIn(owner, "private");
  const grant = await owner.createGrant({ name: "g", may, sessionKeys: ["work"] });
  return [owner, grant, await daemon.client({ socket: grant.socket, dataDir: undefined })];
}

test("a grant on one session stamps with it, and is refused all else", async (t) => {
  const [owner, { expiresAt }, guest] = await onWork(await Daemon.start(t), ["stamp"]);
  assert.equal((await guest.stamp("{}")).sessionKey, "work");
  await assert.rejects(guest.stamp("{}", { sessionKey: "private" }), { code: "NOT_FOUND" });
  await assert.rejects(guest.clearSession(), (error: KeyfobError) => {
    assert.deepEqual([error.code, error.outcome], ["ACCESS_DENIED", "failed"]);
    assert.deepEqual(error.data?.granted, { may: ["stamp"], sessionKeys: ["work"] });
    return true;
  });
  await assert.rejects(guest.listGrants(), { code: "ACCESS_DENIED" });
  const { grant, paths } = await guest.status();
  assert.deepEqual([grant?.name, grant?.expiresAt, paths], ["g", expiresAt, undefined]);

  const { grants } = await owner.listGrants();
  assert.deepEqual(grants.map(({ used, refused, lastUse }) => [used, refused, lastUse?.method]), [[1, 2, "stamp"]]);
});

test("to revoke a grant ends it and its connections", async (t) => {
  const [owner, { name, socket }, guest] = await onWork(await Daemon.start(t), ["stamp", "watch"]);
  const ends = owner.events({ types: ["grantEnded"] });
  const watched = guest.events();
  await Promise.all([ends.subscribed, watched.subscribed]);
  assert.deepEqual(await owner.revokeGrant({ name }), { name, revoked: true });
  await assert.rejects(watched.next(), { code: "DISCONNECTED" });
  const { value } = await ends.next();
  assert.ok(value?.type === "grantEnded" && value.name === name && value.reason === "revoked");
  await assert.rejects(Client.connect({ socket }), { code: "NOT_RUNNING" });
  await assert.rejects(owner.revokeGrant({ name }), { code: "GRANT_NOT_FOUND" });
  assert.deepEqual(await owner.revokeAllGrants(), { names: [] });
});

test("the socket of a grant is refused where a data directory is meant", async (t) => {
  const daemon = await Daemon.start(t);
  const [, { socket }] = await onWork(daemon, ["stamp"]);
  const isGrant = { code: "IS_GRANT", outcome: "not-sent", message: /a part of a vault/ } as const;
  await assert.rejects(Client.connect({ socket, dataDir: daemon.dataDir }), isGrant);
  const dataDir = scratch(t);
  writeFileSync(join(dataDir, "listening"), JSON.stringify({ socket, pid: 1 }));
  await assert.rejects(Client.connectOrStart({ dataDir, daemon: KEYFOBD }), isGrant);
});

test("a program that runs with a grant starts no daemon", async (t) => {
  const daemon = Daemon.place(t);
  await withEnv({ KEYFOB_GRANT: "g" }, async () => {
    await assert.rejects(daemon.starter(), {
      code: "NOT_STARTED",
      outcome: "not-sent",
      message: "the grant g, which this program runs with, has ended: ask for another",
    });
  });
  assert.deepEqual(readdirSync(daemon.dataDir), []);
  const client = await withEnv({ KEYFOB_GRANT: "" }, () => daemon.starter());
  assert.equal((await client.status()).grant, undefined);
});
