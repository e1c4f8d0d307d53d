import type { Session as SdkSession, SessionType } from "@turnkey/core";
import type { Client } from "../client.js";
import type { FaultData, Session } from "../generated/protocol.js";
import { isOfVault } from "./errors.js";
import { allPages } from "./pages.js";

/** The session as the SDK has it: what the token does not say is absent. */
export function sdkSession({ sessionType, sessionProfileId, scope, ...session }: Session): SdkSession {
  return {
    ...session,
    sessionType: sessionType as SessionType,
    ...(sessionProfileId && { sessionProfileId }),
    ...(scope && { scope }),
  };
}

/**
 * Reads a session, by default the active one. One that has expired is answered with its `expiry` and empty fields.
 *
 * The SDK's own storage answers an expired session like any other, and its kit relies on that: at the expiry it reads
 * the session, and only if there still is one it tells the app and logs out. The vault does not serve it any more, so
 * this is what is left of it.
 */
export async function readSession(vault: Client, sessionKey?: string): Promise<SdkSession | undefined> {
  try {
    const { session } = await vault.getSession({ sessionKey });
    return session ? sdkSession(session) : undefined;
  } catch (error) {
    const { expiry } = expiredBy(error);
    return { sessionType: "" as SessionType, userId: "", organizationId: "", expiry: expiry ?? 0, token: "" };
  }
}

/**
 * Reads the active session for a request to Turnkey. One that has expired is none: a new login has to be possible, and
 * must not be sent to the organization of the old one.
 */
export async function readActiveSession(vault: Client): Promise<SdkSession | undefined> {
  try {
    const { session } = await vault.getSession();
    return session ? sdkSession(session) : undefined;
  } catch (error) {
    expiredBy(error);
    return undefined;
  }
}

/** Reads the name of the active session. One that has expired is it until it is cleared, as in the SDK. */
export async function readActiveSessionKey(vault: Client): Promise<string | undefined> {
  try {
    const { session } = await vault.describeSession();
    return session?.sessionKey;
  } catch (error) {
    return expiredBy(error).sessionKey ?? undefined;
  }
}

/** Reads all sessions by their names. */
export async function readAllSessions(vault: Client): Promise<Record<string, SdkSession>> {
  const pages = await allPages((after) => vault.getAllSessions({ after }));
  const entries = pages.flatMap((page) => page.sessions);
  return Object.fromEntries(entries.map(({ sessionKey, session }) => [sessionKey, sdkSession(session)]));
}

/** What the vault says of a session that has expired. Throws the error if it is another one. */
function expiredBy(error: unknown): FaultData {
  if (isOfVault(error) && error.code === "SESSION_EXPIRED" && error.data) {
    return error.data;
  }
  throw error;
}
