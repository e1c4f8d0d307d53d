import { TurnkeyErrorCodes as Code } from "@turnkey/core";

/** What the SDK was doing when the vault failed, and its code for that. */
export interface Operation {
  failed: string;
  code: Code;
}

export const STORING = { failed: "Failed to store session", code: Code.STORE_SESSION_ERROR };
export const READING = { failed: "Failed to get session", code: Code.GET_SESSION_ERROR };
export const READING_ALL = { failed: "Failed to get all sessions", code: Code.GET_ALL_SESSIONS_ERROR };
export const LISTING = { failed: "Failed to list sessions", code: Code.GET_ALL_SESSIONS_ERROR };
export const ACTIVATING = { failed: "Failed to set active session", code: Code.SET_ACTIVE_SESSION_ERROR };
export const ASKING = { failed: "Failed to get active session key", code: Code.GET_ACTIVE_SESSION_KEY_ERROR };
export const REFRESHING = { failed: "Failed to refresh session", code: Code.REFRESH_SESSION_ERROR };
export const CLEARING = { failed: "Failed to clear session", code: Code.CLEAR_SESSION_ERROR };
export const CLEARING_ALL = { failed: "Failed to clear all sessions", code: Code.CLEAR_ALL_SESSIONS_ERROR };
export const LOGGING_OUT = { failed: "Failed to log out", code: Code.LOGOUT_ERROR };
export const CREATING = { failed: "Failed to create API key pair", code: Code.CREATE_API_KEY_PAIR_ERROR };
export const DELETING = { failed: "Failed to delete API key pair", code: Code.DELETE_API_KEY_PAIR_ERROR };
export const LISTING_KEY_PAIRS = { failed: "Failed to list API key pairs", code: Code.CLEAR_UNUSED_KEY_PAIRS_ERROR };
export const SWEEPING = { failed: "Failed to clear unused key pairs", code: Code.CLEAR_UNUSED_KEY_PAIRS_ERROR };
export const STAMPING = { failed: "Failed to stamp the request", code: Code.INTERNAL_ERROR };
export const SIGNING = { failed: "Failed to sign with API key", code: Code.INTERNAL_ERROR };
