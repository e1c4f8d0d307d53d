// Usage: node cli.mjs login | whoami | refresh | logout
//
// Logs in to Turnkey with an API key of this machine. Its key pair and the sessions are in the vault: nothing is kept
// here between two commands. Once, before the first login: `keyfob key new --keep` creates the key pair and prints its
// public key. Add that to a user of your organization as an API key, and set TURNKEY_API_KEY to it.
import { createTurnkeyClient } from "keyfob-client/turnkey";

/** @typedef {import("keyfob-client/turnkey").VaultTurnkeyClient} Turnkey */

/** @type {Record<string, (turnkey: Turnkey) => Promise<string>>} */
const COMMANDS = {
  async login(turnkey) {
    await turnkey.overrideApiKeyStamper({ temporaryPublicKey: setting("TURNKEY_API_KEY") });
    await turnkey.clearUnusedKeyPairs();
    const publicKey = await turnkey.createApiKeyPair();
    const { organizationId } = turnkey.config;
    const { session } = await turnkey.httpClient.stampLogin({ publicKey, organizationId, expirationSeconds: "900" });
    await turnkey.storeSession({ sessionToken: session });
    return "logged in";
  },
  async whoami(turnkey) {
    const { username, userId } = await turnkey.httpClient.getWhoami();
    return `${username} (${userId})`;
  },
  async refresh(turnkey) {
    await turnkey.refreshSession();
    return "refreshed";
  },
  async logout(turnkey) {
    await turnkey.logout();
    return "logged out";
  },
};

/** @param {string} name */
async function run(name) {
  const command = COMMANDS[name];
  if (command === undefined) {
    throw new Error(`usage: node cli.mjs ${Object.keys(COMMANDS).join(" | ")}`);
  }
  const apiBaseUrl = process.env["TURNKEY_API_BASE_URL"];
  const turnkey = await createTurnkeyClient({}, { organizationId: setting("TURNKEY_ORGANIZATION_ID"), apiBaseUrl });
  console.log(await command(turnkey));
}

/** @param {string} name */
function setting(name) {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set`);
  }
  return value;
}

await run(process.argv[2] ?? "").catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
