import {
  DEFAULT_SESSION_EXPIRATION_IN_SECONDS,
  StamperType,
  TurnkeyClient,
  TurnkeyError,
  TurnkeyErrorCodes,
} from "@turnkey/core";
import type { RefreshSessionParams, TStampLoginResponse } from "@turnkey/core";
import type { Client } from "../client.js";
import type { Session, SessionFound } from "../generated/protocol.js";
import { VaultApiKeyStamper } from "./api-key-stamper.js";
import { asked, isOfVault, turnkeyError } from "./errors.js";
import { REFRESHING } from "./operations.js";

/**
 * Logs in anew with the session's own key pair, and puts the new session in its place if it is still there.
 *
 * Nothing else changes: which session is active stays as it is, and where the session was replaced or cleared in the
 * meantime the new one is dropped. A failed refresh leaves no key pair behind.
 */
export async function refreshSession(
  vault: Client,
  turnkey: TurnkeyClient,
  params: RefreshSessionParams,
): Promise<TStampLoginResponse> {
  const found = await asked(REFRESHING, vault.getSession({ sessionKey: params.sessionKey }));
  const { session, sessionKey } = found;
  if (!session || !sessionKey) {
    throw new TurnkeyError("No session to refresh: log in first", TurnkeyErrorCodes.NO_SESSION_FOUND);
  }
  const publicKey = params.publicKey ?? (await asked(REFRESHING, vault.createApiKeyPair())).publicKey;
  try {
    const response = await login(vault, turnkey, session, publicKey, params);
    if (!response.session) {
      throw new TurnkeyError("No session found in the refresh response", TurnkeyErrorCodes.BAD_RESPONSE);
    }
    const stored = { sessionToken: response.session, sessionKey, ifPublicKey: session.publicKey, activate: false };
    await asked(REFRESHING, vault.storeSession(stored));
    return response;
  } catch (error) {
    const isLeft = params.publicKey === undefined && !(await isDropped(vault, publicKey));
    throw refreshError(error, found, isLeft ? publicKey : undefined);
  }
}

/** Asks Turnkey for a session of the new key pair. What is stamped with an API key, the session's own stamps. */
async function login(
  vault: Client,
  turnkey: TurnkeyClient,
  session: Session,
  publicKey: string,
  params: RefreshSessionParams,
): Promise<TStampLoginResponse> {
  const stampWith = params.stampWith ?? turnkey.config.defaultStamperType ?? StamperType.ApiKey;
  const http = stampWith === StamperType.ApiKey ? httpClientOf(vault, turnkey, session) : turnkey.httpClient;
  const request = {
    publicKey,
    organizationId: session.organizationId,
    expirationSeconds: params.expirationSeconds ?? DEFAULT_SESSION_EXPIRATION_IN_SECONDS,
    invalidateExisting: params.invalidateExisitng ?? false,
    ...(session.sessionProfileId && { sessionProfileId: session.sessionProfileId }),
  };
  return http.stampLogin(request, stampWith);
}

/**
 * An HTTP client of the SDK that stamps with this session's key pair, whichever session is active. The key pair is
 * named, not the session: once that is replaced, nothing is asked of Turnkey for the one in its place.
 */
function httpClientOf(vault: Client, turnkey: TurnkeyClient, session: Session): TurnkeyClient["httpClient"] {
  const stamper = new VaultApiKeyStamper(vault);
  stamper.setTemporaryPublicKey(session.publicKey);
  const { organizationId } = session;
  return new TurnkeyClient(turnkey.config, stamper).createHttpClient({ organizationId });
}

/** Deletes the key pair of a session that was not stored. Answers whether it is gone, or a session's after all. */
async function isDropped(vault: Client, publicKey: string): Promise<boolean> {
  try {
    await vault.deleteApiKeyPair({ publicKey, ifExists: true });
    return true;
  } catch (error) {
    // Whether the session was stored was not known; so it was.
    return isOfVault(error) && error.code === "KEY_PAIR_IN_USE";
  }
}

/** Why the refresh failed, and which key pair it left. */
function refreshError(error: unknown, found: SessionFound, leftPublicKey: string | undefined): TurnkeyError {
  // What the stamper says of the vault is about the refresh here.
  const isOfStamper = error instanceof TurnkeyError && isOfVault(error.cause);
  const failure = turnkeyError(REFRESHING, isOfStamper ? error.cause : error);
  const code = hasLostItsKeyPair(found, failure.cause) ? TurnkeyErrorCodes.CONFLICT : failure.code;
  if (code === failure.code && leftPublicKey === undefined) {
    return failure;
  }
  const left = leftPublicKey && `the key pair ${leftPublicKey} is left until clearUnusedKeyPairs finds it old enough`;
  return new TurnkeyError(left ? `${failure.message}; ${left}` : failure.message, code, failure.cause);
}

/** Whether the key pair went with its session before it could stamp: it was there when the refresh began. */
function hasLostItsKeyPair({ session, hasKeyPair }: SessionFound, cause: unknown): boolean {
  const isMissing = isOfVault(cause) && cause.code === "KEY_PAIR_NOT_FOUND";
  return isMissing && hasKeyPair && cause.data?.publicKey === session?.publicKey;
}
