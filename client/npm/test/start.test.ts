import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Client, type KeyfobError } from "../src/index.js";
import { Daemon, KEYFOBD, scratch } from "./daemon.js";

test("a daemon that is not running is started, by two clients at once too", async (t) => {
  const daemon = Daemon.place(t);
  await assert.rejects(daemon.client(), { code: "NOT_RUNNING", outcome: "not-sent" });
  const clients = await Promise.all([daemon.starter(), daemon.starter()]);
  const pids = await Promise.all(clients.map(async (client) => (await client.status()).pid));
  assert.equal(pids[0], pids[1]);
});

test("a daemon that cannot start says why", async (t) => {
  const dataDir = scratch(t);
  writeFileSync(`${dataDir}/file`, "");
  const own = Client.connectOrStart({ dataDir: `${dataDir}/file/vault`, daemon: KEYFOBD });
  await assert.rejects(own, (error: KeyfobError) => {
    assert.equal(error.code, "NOT_STARTED");
    assert.match(error.message, /did not start: .*file/);
    return true;
  });
  const missing = Client.connectOrStart({ dataDir, daemon: `${dataDir}/missing` });
  await assert.rejects(missing, { code: "NOT_STARTED", message: /cannot run .*missing/ });
  const silent = Client.connectOrStart({ dataDir, daemon: "/bin/false" });
  await assert.rejects(silent, { code: "NOT_STARTED", message: /did not say why \(1\)/ });
  const slow = Client.connectOrStart({ dataDir, daemon: slowProgram(dataDir), startTimeoutMs: 50 });
  await assert.rejects(slow, { code: "NOT_STARTED", message: /longer than 50 ms/ });
});

function slowProgram(dir: string): string {
  const path = join(dir, "slow");
  writeFileSync(path, "#!/bin/sh\nsleep 2 & exec sleep 30\n", { mode: 0o700 });
  return path;
}
