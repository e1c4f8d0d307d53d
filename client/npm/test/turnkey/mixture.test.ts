import assert from "node:assert/strict";
import { test } from "node:test";
import { TurnkeyError } from "@turnkey/core";
import type { VaultTurnkeyClient } from "../../src/turnkey/index.js";
import { sessionToken } from "./token.js";
import { TestVault } from "./vault.js";

const NAMES = ["work", "home"] as const;

/** What an app may lose to another one in between. */
const LOST: ReadonlySet<string | undefined> = new Set(["CONFLICT", "NOT_FOUND", "NO_SESSION_FOUND"]);

type Step = (app: VaultTurnkeyClient, sessionKey: string) => Promise<unknown>;

const logIn: Step = async (app, sessionKey) => {
  const publicKey = await app.createApiKeyPair();
  await app.storeSession({ sessionToken: sessionToken({ publicKey }), sessionKey });
};

/** Two logins to each other step, so that there is something to lose. */
const STEPS: Step[] = [
  logIn,
  (app, sessionKey) => app.refreshSession({ sessionKey }),
  (app, sessionKey) => app.setActiveSession({ sessionKey }),
  logIn,
  (app) => app.httpClient.getWhoami(),
  (app, sessionKey) => app.clearSession({ sessionKey }),
  logIn,
  (app) => app.clearUnusedKeyPairs(),
  (app) => app.logout(),
  logIn,
  (app, sessionKey) => app.refreshSession({ sessionKey }),
  (app) => app.clearAllSessions(),
];

test("whatever three apps do at once, each session has its key pair, and there is no other", async (t) => {
  const vault = await TestVault.start(t);
  const apps = await Promise.all([vault.app(), vault.app(), vault.app()]);
  let [done, lost] = [0, 0];
  await Promise.all(
    apps.map(async (app, index) => {
      // Each app begins at another step, and goes on by another stride that meets them all.
      const stride = [1, 5, 7][index]!;
      for (let turn = 0; turn < 60; turn += 1) {
        const step = STEPS[(4 * index + turn * stride) % STEPS.length]!;
        const failure = await step(app, NAMES[turn % 2]!).then(() => undefined, (reason: unknown) => reason);
        if (failure === undefined) {
          done += 1;
        } else {
          assert.ok(failure instanceof TurnkeyError && LOST.has(failure.code), String(failure));
          lost += 1;
        }
      }
    }),
  );
  assert.ok(done > 0 && lost > 0, "they met each other");
  await logIn(apps[0]!, "last");
  const sessions = await vault.sessions();
  assert.deepEqual(await vault.keyPairs(), Object.values(sessions).sort());
  for (const sessionKey of Object.keys(sessions)) {
    await apps[1]!.setActiveSession({ sessionKey });
    await apps[2]!.httpClient.getWhoami();
    assert.equal(vault.api.requests.at(-1)?.publicKey, sessions[sessionKey]);
  }
});
