import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { Client, KeyfobError } from "../src/index.js";
import { Daemon, scratch } from "./daemon.js";
import { FakeDaemon, fault, reply } from "./fake-daemon.js";

/** So many calls do not fit what the system holds for a daemon that reads nothing. */
const MANY = 5_000;

/** The numbers of the calls that ended so. */
function ended(results: PromiseSettledResult<unknown>[], how: (error: unknown) => boolean): number[] {
  return results.flatMap((result, index) => (how(result.status === "rejected" ? result.reason : undefined) ? [index] : []));
}

const isDone = (error: unknown): boolean => error === undefined;
const is = (outcome: string) => (error: unknown): boolean => error instanceof KeyfobError && error.outcome === outcome;

/** The numbers of the labels of all key pairs in the vault, in order. */
async function labels(client: Client): Promise<number[]> {
  const found: number[] = [];
  let after: string | undefined;
  do {
    const page = await client.listApiKeyPairs({ after });
    found.push(...page.keyPairs.map(({ label }) => Number(label)));
    after = page.next ?? undefined;
  } while (after !== undefined);
  return found.sort((one, other) => one - other);
}

function createMany(client: Client): Promise<{ publicKey: string }>[] {
  return Array.from({ length: MANY }, (_, index) => client.createApiKeyPair({ label: String(index).padStart(128, "0") }));
}

test("a daemon that is killed leaves calls done, or unknown, or not sent, and none is done twice", async (t) => {
  const daemon = await Daemon.start(t);
  const client = await daemon.client();
  const calls = createMany(client);
  const all = Promise.allSettled(calls);
  await calls[100];
  await daemon.kill();
  const results = await all;
  const done = ended(results, isDone);
  const [unknown, notSent] = [ended(results, is("unknown")), ended(results, is("not-sent"))];
  assert.ok(done.length > 100 && unknown.length > 0);
  assert.equal(done.length + unknown.length + notSent.length, MANY);

  await daemon.run();
  const stored = await labels(client);
  assert.equal(new Set(stored).size, stored.length, "none was done twice");
  assert.deepEqual(done.filter((number) => !stored.includes(number)), [], "all that were answered are there");
  assert.deepEqual(stored.filter((number) => notSent.includes(number)), [], "none that was not sent is there");
});

test("calls that were not sent go over the next connection, and those that were are not sent again", async (t) => {
  const daemon = await Daemon.start(t);
  const client = await daemon.starter();
  daemon.halt();
  const all = Promise.allSettled(createMany(client));
  await daemon.kill();
  const results = await all;
  const [done, unknown] = [ended(results, isDone), ended(results, is("unknown"))];
  assert.ok(done.length > 0 && unknown.length > 0, `${done.length} done, ${unknown.length} unknown`);
  assert.equal(done.length + unknown.length, MANY);
  assert.ok(Math.max(...unknown) < Math.min(...done), "the first ones were sent");
  assert.deepEqual(await labels(client), done);
});

test("the next call connects again", async (t) => {
  const daemon = await Daemon.start(t);
  const client = await daemon.client();
  const { pid } = await client.status();
  await daemon.kill();
  await assert.rejects(client.status(), { code: "NOT_RUNNING", outcome: "not-sent" });
  await daemon.run();
  assert.notEqual((await client.status()).pid, pid);
});

test("a connection that is lost fails the calls that were sent, and the next call gets another", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const { client, socket } = await daemon.connect();
  const lost = client.lock();
  await daemon.received(1);
  socket.destroy();
  await assert.rejects(lost, { code: "DISCONNECTED", outcome: "unknown" });
  const next = client.lock();
  await daemon.received(2);
  daemon.socket.write(reply(2, { wasLocked: false }));
  assert.deepEqual(await next, { wasLocked: false });
  assert.deepEqual(daemon.requests.map(({ id }) => id), [1, 2]);
});

/** A daemon in a thread of its own that refuses each connection, and counts those that it has closed. */
const REFUSING = `
  const { createServer } = require("node:net");
  const { parentPort, workerData } = require("node:worker_threads");
  const server = createServer((socket) => {
    socket.on("close", () => {
      Atomics.add(workerData.closed, 0, 1);
      Atomics.notify(workerData.closed, 0);
    });
    socket.end(workerData.fault, () => socket.destroy());
  });
  server.listen(workerData.path, () => parentPort.postMessage("listening"));
`;

test("a daemon that has refused the connection before the first call is heard all the same", async (t) => {
  const closed = new Int32Array(new SharedArrayBuffer(4));
  const path = join(scratch(t), "s");
  const workerData = { path, closed, fault: fault(null, "TOO_MANY_CONNECTIONS") };
  const worker = new Worker(REFUSING, { eval: true, workerData });
  t.after(() => worker.terminate());
  await once(worker, "message");
  const client = await Client.connect({ socket: path });
  // This thread stands still until then, so that nothing is read.
  assert.notEqual(Atomics.wait(closed, 0, 0, 10_000), "timed-out");
  await assert.rejects(client.lock(), { code: "TOO_MANY_CONNECTIONS", outcome: "failed" });
  await assert.rejects(client.events().next(), { code: "TOO_MANY_CONNECTIONS" });
});

test("a client without an open call lets the process end, and one with a call does not", async (t) => {
  const daemon = await FakeDaemon.start(t, ({ id }, socket) => {
    setTimeout(() => socket.write(reply(id, { wasLocked: true })), 50);
  });
  const source = new URL("../src/index.js", import.meta.url).href;
  const program = `
    import { Client } from ${JSON.stringify(source)};
    const client = await Client.connect({ socket: ${JSON.stringify(daemon.path)} });
    console.log((await client.lock()).wasLocked);`;
  const run = promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], { timeout: 20_000 });
  assert.equal((await run).stdout, "true\n");
});
