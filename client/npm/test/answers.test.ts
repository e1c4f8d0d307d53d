import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeDaemon, fault, reply } from "./fake-daemon.js";

const STATUS = { pid: 4711, paths: { socket: "café 🔑", dataDir: "/" } };

test("an answer is read wherever it is cut", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const { client, socket } = await daemon.connect();
  const length = Buffer.byteLength(reply(1, STATUS));
  for (let cut = 1; cut < length; cut += 1) {
    const call = client.status();
    await daemon.received(cut);
    const bytes = Buffer.from(reply(cut, STATUS));
    socket.write(bytes.subarray(0, cut));
    await new Promise(setImmediate);
    socket.write(bytes.subarray(cut));
    assert.equal((await call).paths?.socket, STATUS.paths.socket, `cut at ${cut}`);
  }
});

test("two answers in one chunk go to their own calls, in any order", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const { client, socket } = await daemon.connect();
  const calls = Promise.all([client.lock(), client.getActiveSessionKey()]);
  await daemon.received(2);
  socket.write(reply(2, { sessionKey: "work" }) + reply(1, { wasLocked: true }));
  assert.deepEqual(await calls, [{ wasLocked: true }, { sessionKey: "work" }]);
});

test("an answer without an id belongs to the oldest call, aborted ones included", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const { client, socket } = await daemon.connect();
  const abort = new AbortController();
  const aborted = client.lock({}, { signal: abort.signal });
  const calls = [client.lock(), client.lock(), client.lock()];
  await daemon.received(4);
  abort.abort();
  await assert.rejects(aborted, { code: "ABORTED", outcome: "unknown" });
  socket.write(fault(null, "PARSE_ERROR") + fault(null, "INVALID_REQUEST") + reply(3, { wasLocked: true }));
  socket.end(fault(null, "LINE_TIMEOUT"));
  await assert.rejects(calls[0] as Promise<unknown>, { code: "INVALID_REQUEST", outcome: "failed" });
  assert.deepEqual(await calls[1], { wasLocked: true });
  await assert.rejects(calls[2] as Promise<unknown>, { code: "LINE_TIMEOUT" });
});

interface Failure {
  code: string;
  outcome: string;
  cause?: Failure;
}

async function failures(calls: Promise<unknown>[]): Promise<Failure[]> {
  const results = await Promise.allSettled(calls);
  return results.map((result) => {
    assert.equal(result.status, "rejected");
    return (result as PromiseRejectedResult).reason as Failure;
  });
}

test("when the daemon hangs up after an answer without an id, the other calls get errors of their own", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const { client, socket } = await daemon.connect();
  const calls = [client.lock(), client.lock(), client.lock()];
  await daemon.received(3);
  socket.end(fault(null, "LINE_TIMEOUT"));
  const errors = await failures(calls);
  assert.deepEqual(errors.map(({ code }) => code), ["LINE_TIMEOUT", "DISCONNECTED", "DISCONNECTED"]);
  assert.deepEqual(errors.map(({ outcome }) => outcome), ["failed", "unknown", "unknown"]);
  assert.deepEqual(errors.map(({ cause }) => cause?.code), [undefined, "LINE_TIMEOUT", "LINE_TIMEOUT"]);
  assert.equal(new Set(errors).size, 3);
});

test("when the daemon refuses the connection, no call on it had an effect", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const { client, socket } = await daemon.connect();
  const calls = [client.lock(), client.lock(), client.lock()];
  await daemon.received(3);
  socket.write(fault(null, "ACCESS_DENIED", "not you"));
  const errors = await failures(calls);
  assert.deepEqual(errors.map(({ code, outcome }) => [code, outcome]), Array(3).fill(["ACCESS_DENIED", "failed"]));
  assert.equal(new Set(errors).size, 3);
});

test("a line that is not the protocol ends the connection, and what it says is not told", async (t) => {
  for (const garbage of ["garbage", "[]", "17", "{\"jsonrpc\":\"2.0\",\"id\":1}", "{\"id\":1,\"error\":{}}", "\u0000"]) {
    const daemon = await FakeDaemon.start(t);
    const { client, socket } = await daemon.connect();
    const call = client.lock();
    await daemon.received(1);
    socket.write(`${garbage}\n`);
    await assert.rejects(call, (error: Error & { code: string; outcome: string }) => {
      assert.deepEqual([error.code, error.outcome], ["PROTOCOL_ERROR", "unknown"]);
      assert.ok(!error.message.includes(garbage) && error.cause === undefined);
      return true;
    });
  }
});

test("answers to nobody, notifications and unknown fields are ignored", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const { client, socket } = await daemon.connect();
  const call = client.lock();
  await daemon.received(1);
  socket.write(reply(99, {}) + "{\"jsonrpc\":\"2.0\",\"method\":\"news\",\"params\":7}\n");
  socket.write("{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"sequence\":1,\"type\":\"resync\"}}\n");
  socket.write("\n{\"jsonrpc\":\"2.0\",\"more\":1,\"id\":1,\"result\":{\"wasLocked\":true}}\n");
  assert.deepEqual(await call, { wasLocked: true });
});

test("whether a call took effect that met a failing disk is not known", async (t) => {
  const codes = ["STORAGE_ERROR", "INTERNAL_ERROR", "SHUTTING_DOWN", "SOMETHING_NEW"];
  const daemon = await FakeDaemon.start(t, ({ id }, socket) => socket.write(fault(id, codes[id - 1] ?? "")));
  const { client } = await daemon.connect();
  const errors = await failures(codes.map(() => client.lock()));
  assert.deepEqual(errors.map(({ code }) => code), codes);
  assert.deepEqual(errors.map(({ outcome }) => outcome), ["unknown", "unknown", "failed", "failed"]);
});

test("a call that does not fit a line is refused before anything is sent", async (t) => {
  const daemon = await FakeDaemon.start(t, ({ id }, socket) => socket.write(reply(id, {})));
  const { client } = await daemon.connect();
  const empty = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "unlock", params: { passphrase: "" } }).length;
  const longest = 4 * 1024 * 1024 - empty;
  await client.unlock({ passphrase: "x".repeat(longest) });
  await assert.rejects(client.unlock({ passphrase: "x".repeat(longest + 1) }), { code: "LINE_TOO_LONG", outcome: "not-sent" });
  await client.lock();
  assert.deepEqual(daemon.requests.map(({ method }) => method), ["unlock", "lock"]);
});

test("a call of which one reply is missing fails in time, and its late answer is skipped", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const { client, socket } = await daemon.connect();
  const late = client.lock({}, { timeoutMs: 20 });
  const other = client.getActiveSessionKey();
  await assert.rejects(late, { code: "TIMEOUT", outcome: "unknown" });
  socket.write(reply(1, { wasLocked: false }) + reply(2, { sessionKey: "work" }));
  assert.deepEqual(await other, { sessionKey: "work" });
  assert.equal(daemon.requests.length, 2);
});

test("a call that is aborted at once is not sent", async (t) => {
  const daemon = await FakeDaemon.start(t, ({ id }, socket) => socket.write(reply(id, {})));
  const { client } = await daemon.connect();
  const aborted = client.lock({}, { signal: AbortSignal.abort() });
  await assert.rejects(aborted, { code: "ABORTED", outcome: "not-sent" });
  await client.status();
  assert.deepEqual(daemon.requests.map(({ method }) => method), ["status"]);
});

test("a daemon that reads nothing is not written to without end", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const { client, socket } = await daemon.connect();
  socket.pause();
  const abort = new AbortController();
  const small = Array.from({ length: 10_000 }, () => client.lock({}, { signal: abort.signal }));
  await assert.rejects(client.lock(), { code: "TOO_MANY_CALLS", outcome: "not-sent" });
  abort.abort();
  const outcomes = (await Promise.allSettled(small)).map((each) => each.status === "rejected" && each.reason.outcome);
  assert.ok(outcomes.includes("unknown") && outcomes.includes("not-sent"));
  assert.equal(outcomes.lastIndexOf("unknown") + 1, outcomes.indexOf("not-sent"), "they are sent in order");

  // Those that were not sent are gone: their room is free.
  const sent = outcomes.lastIndexOf("unknown") + 1;
  const large = Array.from({ length: 16 }, () =>
    client.unlock({ passphrase: "x".repeat(4_000_000) }, { signal: AbortSignal.timeout(50) }),
  );
  await assert.rejects(client.unlock({ passphrase: "x".repeat(4_000_000) }), { code: "TOO_MANY_CALLS" });
  await Promise.allSettled(large);
  socket.resume();
  await daemon.received(sent);
  assert.ok(daemon.requests.length < 10_000);
});

test("a client that is closed fails its calls and makes no more", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const { client } = await daemon.connect();
  const call = client.lock();
  client.close();
  await assert.rejects(call, { code: "CLOSED", outcome: "unknown" });
  await assert.rejects(client.lock(), { code: "CLOSED", outcome: "not-sent" });
  assert.throws(() => client.events(), { code: "CLOSED" });
});
