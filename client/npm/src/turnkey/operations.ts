import { TurnkeyErrorCodes } from "@turnkey/core";

/** What the SDK was doing when the vault failed, and its code for that. */
export interface Operation {
  failed: string;
  code: TurnkeyErrorCodes;
}

export const STORING: Operation = { failed: "Failed to store session", code: TurnkeyErrorCodes.STORE_SESSION_ERROR };
export const READING: Operation = { failed: "Failed to get session", code: TurnkeyErrorCodes.GET_SESSION_ERROR };
export const READING_ALL: Operation = { failed: "Failed to get all sessions", code: TurnkeyErrorCodes.GET_ALL_SESSIONS_ERROR };
export const LISTING: Operation = { failed: "Failed to list sessions", code: TurnkeyErrorCodes.GET_ALL_SESSIONS_ERROR };
export const ACTIVATING: Operation = { failed: "Failed to set active session", code: TurnkeyErrorCodes.SET_ACTIVE_SESSION_ERROR };
export const ASKING: Operation = { failed: "Failed to get active session key", code: TurnkeyErrorCodes.GET_ACTIVE_SESSION_KEY_ERROR };
export const REFRESHING: Operation = { failed: "Failed to refresh session", code: TurnkeyErrorCodes.REFRESH_SESSION_ERROR };
export const CLEARING: Operation = { failed: "Failed to clear session", code: TurnkeyErrorCodes.CLEAR_SESSION_ERROR };
export const CLEARING_ALL: Operation = { failed: "Failed to clear all sessions", code: TurnkeyErrorCodes.CLEAR_ALL_SESSIONS_ERROR };
export const LOGGING_OUT: Operation = { failed: "Failed to log out", code: TurnkeyErrorCodes.LOGOUT_ERROR };
export const CREATING: Operation = { failed: "Failed to create API key pair", code: TurnkeyErrorCodes.CREATE_API_KEY_PAIR_ERROR };
export const DELETING: Operation = { failed: "Failed to delete API key pair", code: TurnkeyErrorCodes.DELETE_API_KEY_PAIR_ERROR };
export const LISTING_KEY_PAIRS: Operation = { failed: "Failed to list API key pairs", code: TurnkeyErrorCodes.CLEAR_UNUSED_KEY_PAIRS_ERROR };
export const SWEEPING: Operation = { failed: "Failed to clear unused key pairs", code: TurnkeyErrorCodes.CLEAR_UNUSED_KEY_PAIRS_ERROR };
export const STAMPING: Operation = { failed: "Failed to stamp the request", code: TurnkeyErrorCodes.INTERNAL_ERROR };
export const SIGNING: Operation = { failed: "Failed to sign with API key", code: TurnkeyErrorCodes.INTERNAL_ERROR };
