import type { FaultCode, FaultData } from "./generated/protocol.js";

/** Why a call failed, where the client itself says so. */
export type ClientErrorCode =
  /** Nobody listens on the socket. `Client.connectOrStart` starts a daemon then. */
  | "NOT_RUNNING"
  /** The system refuses the connection, or the daemon does not take it up in time. */
  | "UNREACHABLE"
  /** Another user could be serving the socket. Nothing was sent. */
  | "UNTRUSTED"
  /** The daemon serves another data directory than the one that is meant. Nothing but that question was sent. */
  | "OTHER_VAULT"
  /** The socket gives a part of a vault, and a data directory is meant. Nothing but that question was sent. */
  | "IS_GRANT"
  /** The daemon could not be started; the message has its own reason. */
  | "NOT_STARTED"
  /** An option or an environment variable does not say where the vault is. */
  | "INVALID_PLACE"
  /** The call does not fit a line of 4 MiB. */
  | "LINE_TOO_LONG"
  /** Too many calls wait for the daemon, or too many bytes of them. */
  | "TOO_MANY_CALLS"
  /** The call was aborted by its signal. */
  | "ABORTED"
  /** The call took longer than it may. */
  | "TIMEOUT"
  /** The connection ended: the daemon stopped, was killed, or cut the client off. */
  | "DISCONNECTED"
  /** The client was closed. */
  | "CLOSED"
  /** The daemon wrote something that is not the protocol. */
  | "PROTOCOL_ERROR";

/** Why a call failed: a fault of the daemon, or an error of the client. */
export type ErrorCode = ClientErrorCode | FaultCode;

/** What is known of the effect of a call that failed. */
export type Outcome =
  /** It was not sent, and will not be: nothing happened. */
  | "not-sent"
  /** It was sent and had no effect. */
  | "failed"
  /** It was sent, and whether it took effect is not known. Ask the vault before you call again. */
  | "unknown";

/** The daemon did something, or tried to, before these faults: only the message says what is known. */
const FAULTS_OF_UNKNOWN_OUTCOME: ReadonlySet<string> = new Set(["STORAGE_ERROR", "INTERNAL_ERROR"]);

/**
 * Why a call failed. Read `code` and `outcome`; the message is for people.
 *
 * It never holds what the call was given: no token, key, passphrase or payload is in it.
 */
export class KeyfobError extends Error {
  override readonly name = "KeyfobError";
  /** What happened: the contract. */
  readonly code: ErrorCode;
  /** What is known of the effect of the call. */
  readonly outcome: Outcome;
  /** What the daemon says to programs, where the error is a fault of the daemon. */
  readonly data: Readonly<FaultData> | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    details: { outcome: Outcome; data?: FaultData | undefined; cause?: unknown },
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.outcome = details.outcome;
    this.data = details.data;
  }

  /** The error of a call that the daemon answered with a fault. */
  static ofFault(message: string, data: FaultData): KeyfobError {
    const outcome = FAULTS_OF_UNKNOWN_OUTCOME.has(data.code) ? "unknown" : "failed";
    return new KeyfobError(data.code, message, { outcome, data });
  }

  /** The error itself where it is one of these, else one that says that connecting failed because of it. */
  static of(error: unknown): KeyfobError {
    if (error instanceof KeyfobError) {
      return error;
    }
    const message = error instanceof Error ? error.message : String(error);
    return new KeyfobError("UNREACHABLE", message, { outcome: "not-sent", cause: error });
  }
}
