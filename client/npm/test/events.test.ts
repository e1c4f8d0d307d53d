import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import type { EventStream, VaultEvent } from "../src/index.js";
import { Daemon, logIn } from "./daemon.js";
import { FakeDaemon, fault, reply } from "./fake-daemon.js";

/** The next so many events. */
async function take(events: EventStream, count: number): Promise<VaultEvent[]> {
  const found: VaultEvent[] = [];
  while (found.length < count) {
    const { value } = await events.next();
    assert.ok(value !== undefined, "the stream ended");
    found.push(value);
  }
  return found;
}

const event = (sequence: number, type = "vaultLocked"): string =>
  `${JSON.stringify({ jsonrpc: "2.0", method: "event", params: { sequence, type } })}\n`;

/** How many bytes a socket has left to write when no more are taken. */
async function settledLength(socket: Socket): Promise<number> {
  for (let [turns, left] = [0, socket.writableLength]; turns < 100; turns += 1) {
    await new Promise(setImmediate);
    if (socket.writableLength !== left) {
      [turns, left] = [0, socket.writableLength];
    }
  }
  return socket.writableLength;
}

test("events come in the order of the commits, with who asked", async (t) => {
  const daemon = await Daemon.start(t);
  const [client, other] = [await daemon.client(), await daemon.client()];
  const events = client.events();
  assert.deepEqual(await events.subscribed, { sequence: 0 });
  const publicKey = await logIn(other, "work");
  await other.clearSession();
  const [created, stored, activated, ...rest] = await take(events, 6);
  assert.ok(created?.type === "keyPairCreated" && created.publicKey === publicKey && !created.kept);
  assert.ok(stored?.type === "sessionStored" && stored.publicKey === publicKey && stored.sessionKey === "work");
  assert.ok(activated?.type === "activeSessionChanged" && activated.sessionKey === "work");
  assert.equal(created.by?.pid, process.pid);
  assert.deepEqual(rest.map(({ type }) => type).sort(), ["activeSessionChanged", "keyPairDeleted", "sessionCleared"]);
  assert.ok(rest.every((each) => !("reason" in each) || each.reason === "cleared"));
  assert.deepEqual([created, stored, activated, ...rest].map(({ sequence }) => sequence), [1, 2, 3, 4, 5, 6]);
});

test("a filter lets through only the types and sessions that it names", async (t) => {
  const daemon = await Daemon.start(t);
  const client = await daemon.client();
  const events = client.events({ types: ["sessionStored"], sessionKeys: ["home"] });
  await events.subscribed;
  await logIn(client, "work");
  await logIn(client, "home");
  await logIn(client, "home");
  const found = await take(events, 2);
  assert.deepEqual(found.map((each) => each.type === "sessionStored" && each.sessionKey), ["home", "home"]);
});

test("breaking out of the loop closes the connection", async (t) => {
  const daemon = await Daemon.start(t);
  const client = await daemon.client();
  const events = client.events();
  await events.subscribed;
  assert.equal((await client.status()).counts.connections, 2);
  await client.lock();
  for await (const { type } of events) {
    assert.equal(type, "vaultLocked");
    break;
  }
  assert.deepEqual(await events.next(), { done: true, value: undefined });
  // The daemon sees the end of a connection in its own time.
  const deadline = Date.now() + 10_000;
  while ((await client.status()).counts.connections !== 1) {
    assert.ok(Date.now() < deadline, "the connection is still open");
  }
});

test("a signal, and closing the client, end a stream that waits", async (t) => {
  const daemon = await Daemon.start(t);
  const client = await daemon.client();
  const abort = new AbortController();
  const streams = [client.events({}, { signal: abort.signal }), client.events()] as const;
  const ends = streams.map((events) => events.next());
  await Promise.all(streams.map((events) => events.subscribed));
  abort.abort();
  assert.deepEqual(await ends[0], { done: true, value: undefined });
  client.close();
  assert.deepEqual(await ends[1], { done: true, value: undefined });
});

test("a stream whose signal has been aborted before ends at once", async (t) => {
  const client = await (await Daemon.start(t)).client();
  const events = client.events({}, { signal: AbortSignal.abort() });
  assert.deepEqual(await events.next(), { done: true, value: undefined });
  await assert.rejects(events.subscribed, { code: "CLOSED" });
});

test("a stream that waits for a daemon ends when it is told to", async (t) => {
  const daemon = await Daemon.start(t);
  const events = (await daemon.client()).events({}, { reconnect: true });
  await events.subscribed;
  await daemon.kill();
  const end = events.next();
  await events.return();
  assert.deepEqual(await end, { done: true, value: undefined });
});

test("a stream fails when the daemon is killed", async (t) => {
  const daemon = await Daemon.start(t);
  const client = await daemon.client();
  const events = client.events();
  await events.subscribed;
  const failed = assert.rejects(events.next(), { name: "KeyfobError", code: "DISCONNECTED", outcome: "failed" });
  await daemon.kill();
  await failed;
  assert.deepEqual(await events.next(), { done: true, value: undefined });
});

test("a stream tells all that came before it fails", async (t) => {
  const daemon = await FakeDaemon.start(t, ({ id }, socket) => {
    socket.end(reply(id, { sequence: 0 }) + event(1) + event(2));
  });
  const { client } = await daemon.connect();
  const events = client.events();
  assert.deepEqual((await take(events, 2)).map(({ sequence }) => sequence), [1, 2]);
  await assert.rejects(events.next(), { code: "DISCONNECTED" });
});

test("a stream that reconnects goes on after a restart, and says that it may have missed some", async (t) => {
  const daemon = await Daemon.start(t);
  const client = await daemon.client();
  const events = client.events({}, { reconnect: true });
  await events.subscribed;
  await daemon.kill();
  await daemon.run();
  assert.deepEqual(await take(events, 1), [{ type: "resync", sequence: 0 }]);
  await client.lock();
  assert.deepEqual((await take(events, 1)).map(({ type, sequence }) => [type, sequence]), [["vaultLocked", 1]]);
});

test("events that come with the reply to a subscription follow the resync", async (t) => {
  const daemon = await FakeDaemon.start(t, ({ id }, socket) => socket.write(reply(id, { sequence: 7 }) + event(8)));
  const { client } = await daemon.connect();
  const events = client.events({}, { reconnect: true });
  assert.deepEqual((await take(events, 1)).map(({ sequence }) => sequence), [8]);
  daemon.socket.destroy();
  assert.deepEqual((await take(events, 2)).map(({ type, sequence }) => [type, sequence]), [["resync", 7], ["vaultLocked", 8]]);
});

test("a subscription that is refused fails the stream with the daemon's reason", async (t) => {
  const daemon = await FakeDaemon.start(t, ({ id }, socket) => socket.write(fault(id, "INVALID_PARAMS")));
  const { client } = await daemon.connect();
  const events = client.events({ sessionKeys: [] }, { reconnect: true });
  await assert.rejects(events.subscribed, { code: "INVALID_PARAMS" });
  await assert.rejects(events.next(), { code: "INVALID_PARAMS" });
});

test("events that nobody reads are left with the daemon", async (t) => {
  const daemon = await FakeDaemon.start(t, ({ id }, socket) => socket.write(reply(id, { sequence: 0 })));
  const { client } = await daemon.connect();
  const events = client.events();
  await events.subscribed;
  const count = 100_000;
  for (let sequence = 1; sequence <= count; sequence += 1) {
    daemon.socket.write(event(sequence));
  }
  const left = await settledLength(daemon.socket);
  assert.ok(left > 0, "they all were read ahead");
  let last = 0;
  for await (const { sequence } of events) {
    assert.equal(sequence, last + 1);
    last = sequence;
    if (last === count) {
      break;
    }
  }
});

test("events of a type that is not known come too", async (t) => {
  const daemon = await FakeDaemon.start(t, ({ id }, socket) => socket.write(reply(id, { sequence: 0 }) + event(1, "later")));
  const { client } = await daemon.connect();
  assert.deepEqual(await take(client.events(), 1), [{ sequence: 1, type: "later" }]);
});
