import { TurnkeyClient } from "@turnkey/core";
import type {
  ClearSessionParams,
  GetSessionParams,
  LogoutParams,
  RefreshSessionParams,
  Session,
  SignWithApiKeyParams,
  StoreSessionParams,
  TStampLoginResponse,
  TurnkeySDKClientConfig,
} from "@turnkey/core";
import { AttestedStamper } from "@turnkey/core/dist/__stampers__/attested/base.js";
import { Client } from "../client.js";
import type { ClientOptions } from "../options.js";
import { VaultApiKeyStamper } from "./api-key-stamper.js";
import { asked } from "./errors.js";
import {
  CLEARING,
  CLEARING_ALL,
  LOGGING_OUT,
  READING,
  READING_ALL,
  SIGNING,
  STORING,
  SWEEPING,
} from "./operations.js";
import { refreshSession } from "./refresh.js";
import { readAllSessions, readSession } from "./session.js";
import { vaultStorage } from "./storage.js";

/** The SDK's configuration. The SDK has passkeys and wallets in browsers and React Native only. */
export type TurnkeyConfig = Omit<TurnkeySDKClientConfig, "passkeyConfig" | "walletConfig">;

/** The session is cleared only while it names this key pair, so that one that was stored anew stays. */
export interface IfPublicKey {
  ifPublicKey?: string;
}

/**
 * The SDK's client with its sessions and key pairs in the vault.
 *
 * What changes the vault is one call here, done whole or not at all, where the SDK's own methods read, write and delete
 * in turn. The errors are the SDK's; the `KeyfobError` is their `cause`.
 */
export class VaultTurnkeyClient extends TurnkeyClient {
  /** The connection to the vault, for what the SDK has no word for: events, lock, status, closing. */
  readonly vault: Client;

  constructor(vault: Client, config: TurnkeyConfig) {
    const apiKeyStamper = new VaultApiKeyStamper(vault);
    super(config, apiKeyStamper, undefined, new AttestedStamper(apiKeyStamper));
    this.vault = vault;
    // The SDK takes its storage from nobody: its `init` makes one and puts it here.
    Object.assign(this, { storageManager: vaultStorage(vault) });
    this.httpClient = this.createHttpClient();
  }

  /** Does nothing: the client is ready. The SDK's own looks for a browser, and puts its stampers in place of these. */
  override async init(): Promise<void> {}

  /**
   * Stores a session and makes it the active one. The key pair of a session that it replaces goes with that.
   *
   * Other key pairs stay, where the SDK's own sweeps all unused ones: another app's login may be waiting for one.
   */
  override storeSession = async ({ sessionToken, sessionKey }: StoreSessionParams): Promise<void> => {
    if (sessionToken) {
      await asked(STORING, this.vault.storeSession({ sessionToken, sessionKey }));
    }
  };

  /** Clears a session, its key pair, and the active pointer if it names the session. By default the active one. */
  override clearSession = async ({ sessionKey, ifPublicKey }: ClearSessionParams & IfPublicKey = {}): Promise<void> => {
    await asked(CLEARING, this.vault.clearSession({ sessionKey, ifPublicKey }));
  };

  /** Clears all sessions, their key pairs, and the active pointer. */
  override clearAllSessions = async (): Promise<void> => {
    await asked(CLEARING_ALL, this.vault.clearAllSessions());
  };

  /** Deletes the key pairs that no session names and that are 15 minutes old or older, but for kept ones. */
  override clearUnusedKeyPairs = async (): Promise<void> => {
    let more = true;
    while (more) {
      ({ more } = await asked(SWEEPING, this.vault.clearUnusedKeyPairs()));
    }
  };

  /** Clears a session as `clearSession` does. Nothing is read first, so that it works on a locked vault. */
  override logout = async ({ sessionKey, ifPublicKey }: LogoutParams & IfPublicKey = {}): Promise<void> => {
    await asked(LOGGING_OUT, this.vault.clearSession({ sessionKey, ifPublicKey }));
  };

  /**
   * Logs in anew with a session's own key pair, and puts the new session in its place; by default the active one's.
   *
   * Which session is active stays as it is. Where the session was replaced or cleared in the meantime, the new one is
   * dropped, and the error's code is `CONFLICT`. A failed refresh leaves no key pair behind.
   */
  override refreshSession = (params: RefreshSessionParams = {}): Promise<TStampLoginResponse> =>
    refreshSession(this.vault, this, params);

  /** Reads a session, by default the active one. Of one that has expired it answers only the `expiry`. */
  override getSession = ({ sessionKey }: GetSessionParams = {}): Promise<Session | undefined> =>
    asked(READING, readSession(this.vault, sessionKey));

  /** Reads all sessions that have not expired, by their names; undefined where there is none. */
  override getAllSessions = async (): Promise<Record<string, Session> | undefined> => {
    const sessions = await asked(READING_ALL, readAllSessions(this.vault));
    return Object.keys(sessions).length > 0 ? sessions : undefined;
  };

  /** Signs a message with a key pair: r and s in hex. Other requests are stamped by the session as before, meanwhile. */
  override signWithApiKey = async ({ message, publicKey }: SignWithApiKeyParams): Promise<string> => {
    const { signature } = await asked(SIGNING, this.vault.sign(message, { publicKey }, { format: "raw" }));
    return signature;
  };
}

/**
 * A client of Turnkey for the sessions of a vault: over a client that is connected to it, or over a new one with these
 * options, which starts the daemon if none is running.
 */
export async function createTurnkeyClient(
  vault: Client | ClientOptions,
  config: TurnkeyConfig,
): Promise<VaultTurnkeyClient> {
  // Not `instanceof`: the client may come from the package's other build.
  return new VaultTurnkeyClient("storeSession" in vault ? vault : await Client.connectOrStart(vault), config);
}
