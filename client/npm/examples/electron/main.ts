// The main process: it alone talks to the vault, and to Turnkey. The page asks it through the preload script.
//
// This example is type-checked with the package, and not run: Electron is not installed with it.
import { join } from "node:path";
import { app, BrowserWindow, ipcMain } from "electron";
import { createTurnkeyClient } from "keyfob-client/turnkey";
import type { Bridge } from "./bridge.js";

const ORGANIZATION_ID = "your organization";

/** Makes a function of the bridge what the page's call runs. */
function handle<Name extends Exclude<keyof Bridge, "onChange">>(name: Name, run: Bridge[Name]): void {
  ipcMain.handle(`turnkey:${name}`, (_event, ...args) => (run as (...args: unknown[]) => unknown)(...args));
}

async function start(): Promise<void> {
  const turnkey = await createTurnkeyClient({}, { organizationId: ORGANIZATION_ID });
  app.on("will-quit", () => turnkey.vault.close());

  handle("beginLogin", () => turnkey.createApiKeyPair());
  handle("login", async (oidcToken, publicKey) => {
    await turnkey.loginWithOauth({ oidcToken, publicKey });
  });
  handle("whoami", async () => (await turnkey.httpClient.getWhoami()).username);
  handle("refresh", async () => {
    await turnkey.refreshSession();
  });
  handle("logout", () => turnkey.logout());

  const window = new BrowserWindow({
    webPreferences: { preload: join(__dirname, "preload.js"), contextIsolation: true, sandbox: true },
  });
  await window.loadFile("index.html");
  const changes = turnkey.vault.events(
    { types: ["sessionStored", "sessionCleared", "activeSessionChanged"] },
    { reconnect: true },
  );
  for await (const _change of changes) {
    BrowserWindow.getAllWindows().forEach(({ webContents }) => webContents.send("turnkey:changed"));
  }
}

void app.whenReady().then(start);
