import { SessionKey, TurnkeyError, TurnkeyErrorCodes, type StorageBase } from "@turnkey/core";
import type { Client } from "../client.js";
import { asked } from "./errors.js";
import { ACTIVATING, ASKING, CLEARING, CLEARING_ALL, LISTING, READING, STORING } from "./operations.js";
import { allPages } from "./pages.js";
import { readActiveSession, readActiveSessionKey, readSession } from "./session.js";

/**
 * The vault as the storage of the SDK. None of its functions needs `this`: the SDK passes them around on their own.
 *
 * To clear what is not there is no error here, as in the SDK's own storages.
 */
export function vaultStorage(vault: Client): StorageBase {
  return {
    storeSession: async (sessionToken, sessionKey = SessionKey.DefaultSessionkey) => {
      await asked(STORING, vault.storeSession({ sessionToken, sessionKey }));
    },
    getSession: (sessionKey = SessionKey.DefaultSessionkey) => asked(READING, readSession(vault, sessionKey)),
    getActiveSession: () => asked(READING, readActiveSession(vault)),
    listSessionKeys: () => asked(LISTING, sessionKeys(vault)),
    clearSession: async (sessionKey) => {
      await asked(CLEARING, vault.clearSession({ sessionKey, ifExists: true }));
    },
    clearAllSessions: async () => {
      await asked(CLEARING_ALL, vault.clearAllSessions({ ifExists: true }));
    },
    setActiveSessionKey: async (sessionKey) => {
      await asked(ACTIVATING, vault.setActiveSession({ sessionKey }));
    },
    getActiveSessionKey: () => asked(ASKING, readActiveSessionKey(vault)),
    getStorageValue: refuse,
    setStorageValue: refuse,
    removeStorageValue: refuse,
  };
}

async function sessionKeys(vault: Client): Promise<string[]> {
  const pages = await allPages((after) => vault.listSessions({ after }));
  return pages.flatMap((page) => page.sessions.map(({ sessionKey }) => sessionKey));
}

/** The SDK calls these only inside its own storages. */
async function refuse(): Promise<never> {
  throw new TurnkeyError("The vault keeps sessions and key pairs, no other values", TurnkeyErrorCodes.INVALID_REQUEST);
}
