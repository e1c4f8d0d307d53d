import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Client } from "../src/index.js";
import { Place } from "../src/place.js";
import { Daemon, scratch, withEnv } from "./daemon.js";
import { FakeDaemon } from "./fake-daemon.js";

/** Another user than the one of these tests. */
const OTHER = 4_711;

const notRoot = process.getuid?.() === 0 ? false : "only root can give a file to another user";

test("what is named decides where the vault is, and an empty variable is absent", async (t) => {
  const dir = scratch(t);
  const uid = process.getuid?.();
  const runtime = { KEYFOB_SOCKET: "", KEYFOB_DATA_DIR: undefined, XDG_RUNTIME_DIR: dir };
  await withEnv({ ...runtime, XDG_DATA_HOME: "/data" }, () => {
    assert.equal(new Place({}).socket, join(dir, "keyfob/keyfob.sock"));
    assert.equal(new Place({ dataDir: "/c" }).socket, "/c/keyfob.sock");
    assert.equal(new Place({ socket: "/a/b", dataDir: "/c" }).socket, "/a/b");
    assert.equal(new Place({ socket: "s" }).socket, join(process.cwd(), "s"));
    if (process.platform === "linux") {
      assert.equal(new Place({}).dataDir, "/data/keyfob");
    }
  });
  await withEnv({ KEYFOB_SOCKET: "/e/s", KEYFOB_DATA_DIR: "/e/d", XDG_RUNTIME_DIR: join(dir, "missing") }, () => {
    assert.deepEqual([new Place({}).socket, new Place({}).dataDir], ["/e/s", "/e/d"]);
    assert.equal(new Place({ socket: "/a" }).namedDataDir, "/e/d");
  });
  await withEnv({ ...runtime, XDG_DATA_HOME: "relative", HOME: join(dir, "missing") }, () => {
    assert.equal(new Place({}).dataDir, undefined);
  });
  const found = await withEnv({ ...runtime, XDG_RUNTIME_DIR: join(dir, "missing") }, () => new Place({}).socket);
  assert.ok([`/run/user/${uid}/keyfob/keyfob.sock`, join(tmpdir(), `keyfob-${uid}`, "keyfob.sock")].includes(found));
});

test("a runtime directory of another user is passed over", { skip: notRoot }, async (t) => {
  const dir = scratch(t);
  const socket = (): Promise<string> =>
    withEnv({ KEYFOB_SOCKET: undefined, KEYFOB_DATA_DIR: undefined, XDG_RUNTIME_DIR: dir }, () => new Place({}).socket);
  assert.equal(await socket(), join(dir, "keyfob/keyfob.sock"));
  chownSync(dir, OTHER, OTHER);
  assert.notEqual(await socket(), join(dir, "keyfob/keyfob.sock"));
});

test("a path that no socket can have is refused", async () => {
  const tooLong = Client.connect({ socket: `/${"x".repeat(200)}` });
  await assert.rejects(tooLong, { code: "INVALID_PLACE", message: /201 bytes/ });
  await assert.rejects(Client.connect({ socket: "" }), { code: "INVALID_PLACE", message: /socket/ });
  await assert.rejects(Client.connect({ dataDir: "" }), { code: "INVALID_PLACE", message: /dataDir/ });
});

test("the environment names the vault where the options do not", async (t) => {
  const daemon = await Daemon.start(t);
  const client = await withEnv({ KEYFOB_DATA_DIR: daemon.dataDir }, () => Client.connect());
  assert.equal((await client.status()).paths?.dataDir, daemon.dataDir);
  client.close();
});

test("a daemon is found where it says that it listens", async (t) => {
  const daemon = await FakeDaemon.start(t, ({ id }, socket) => {
    socket.write(`${JSON.stringify({ jsonrpc: "2.0", id, result: { paths: { dataDir } } })}\n`);
  });
  const dataDir = scratch(t);
  writeFileSync(join(dataDir, "listening"), JSON.stringify({ socket: daemon.path, pid: 1 }));
  const client = await Client.connect({ dataDir });
  client.close();
  writeFileSync(join(dataDir, "listening"), JSON.stringify({ socket: join(dataDir, "gone"), pid: 1 }));
  await assert.rejects(Client.connect({ dataDir }), { code: "NOT_RUNNING" });
  writeFileSync(join(dataDir, "listening"), "{");
  await assert.rejects(Client.connect({ dataDir }), { code: "NOT_RUNNING" });
});

test("a daemon of another data directory is asked which one it serves, and nothing else", async (t) => {
  const daemon = await Daemon.start(t);
  const socket = join(daemon.dataDir, "keyfob.sock");
  const dataDir = scratch(t);
  await assert.rejects(Client.connect({ socket, dataDir }), { code: "OTHER_VAULT", outcome: "not-sent" });
  writeFileSync(join(dataDir, "listening"), JSON.stringify({ socket, pid: 1 }));
  await assert.rejects(Client.connect({ dataDir }), { code: "NOT_RUNNING" });

  const alias = join(dataDir, "alias");
  symlinkSync(daemon.dataDir, alias);
  const client = await Client.connect({ socket, dataDir: alias });
  client.close();
});

test("a daemon that does not say which vault it serves is given up in time", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const connecting = Client.connect({ socket: daemon.path, dataDir: "/", connectTimeoutMs: 20 });
  await assert.rejects(connecting, { code: "TIMEOUT", outcome: "failed" });
  assert.deepEqual(daemon.requests.map(({ method }) => method), ["status"]);
});

test("a socket that others could have put there is not written to", { skip: notRoot }, async (t) => {
  const daemon = await FakeDaemon.start(t, () => assert.fail("something was sent"));
  const dir = join(daemon.path, "..");
  const untrusted = (): Promise<void> =>
    assert.rejects(Client.connect({ socket: daemon.path, dataDir: "/" }), { code: "UNTRUSTED", outcome: "not-sent" });
  const trusted = async (serverUid?: number): Promise<void> => {
    const client = await Client.connect({ socket: daemon.path, serverUid });
    client.close();
  };

  await trusted();
  chownSync(daemon.path, OTHER, OTHER);
  await untrusted();
  await trusted(OTHER);
  await withEnv({ KEYFOB_SERVER_UID: String(OTHER) }, () => trusted());
  chownSync(daemon.path, 0, 0);
  chownSync(dir, OTHER, OTHER);
  await untrusted();
  await trusted(OTHER);
  chownSync(dir, 0, 0);
  for (const [mode, isSafe] of [[0o770, false], [0o707, false], [0o1777, true], [0o755, true]] as const) {
    chmodSync(dir, mode);
    await (isSafe ? trusted() : untrusted());
  }
});

test("a link to a socket is judged by where it leads", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const dir = mkdtempSync(join(tmpdir(), "kfc-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const link = join(dir, "s");
  symlinkSync(daemon.path, link);
  const client = await Client.connect({ socket: link });
  client.close();
  const target = join(dir, "open");
  mkdirSync(target);
  renameSync(daemon.path, join(target, "s"));
  chmodSync(target, 0o777);
  rmSync(link);
  symlinkSync(join(target, "s"), link);
  await assert.rejects(Client.connect({ socket: link }), { code: "UNTRUSTED" });
});

test("what is not a socket is not connected to", async (t) => {
  const socket = join(scratch(t), "s");
  writeFileSync(socket, "");
  await assert.rejects(Client.connect({ socket }), { code: "UNTRUSTED", message: /not a socket/ });
  await assert.rejects(Client.connect({ socket: join(socket, "s") }), { code: "NOT_RUNNING" });
});
