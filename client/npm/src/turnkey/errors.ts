import { TurnkeyError, TurnkeyErrorCodes, TurnkeyRequestError } from "@turnkey/core";
import type { ErrorCode, KeyfobError } from "../error.js";
import type { Operation } from "./operations.js";

/** The faults of the vault that the SDK has a code for. */
const SDK_CODES: ReadonlyMap<ErrorCode, TurnkeyErrorCodes> = new Map([
  ["NOT_FOUND", TurnkeyErrorCodes.NOT_FOUND],
  ["NO_SESSION_FOUND", TurnkeyErrorCodes.NO_SESSION_FOUND],
  ["SESSION_EXPIRED", TurnkeyErrorCodes.SESSION_EXPIRED],
  ["CONFLICT", TurnkeyErrorCodes.CONFLICT],
]);

/** What Turnkey says of a session that is over for it. There is no code for that: the SDK reads the message, too. */
const EXPIRED = ["could not find public key in organization or its parent organization", "expired api key publicKey"];

/** Waits for a call of the vault. What it fails with becomes the SDK's error, and is the `cause` of that. */
export async function asked<T>(operation: Operation, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw turnkeyError(operation, error);
  }
}

/** The SDK's error for what an operation failed with. */
export function turnkeyError({ failed, code }: Operation, error: unknown): TurnkeyError {
  if (error instanceof TurnkeyError) {
    return error;
  }
  if (isOfVault(error)) {
    return new TurnkeyError(`${failed}: ${error.message}`, SDK_CODES.get(error.code) ?? code, error);
  }
  if (error instanceof TurnkeyRequestError && EXPIRED.some((text) => error.message.includes(text))) {
    return new TurnkeyError(`${failed}: the session has expired`, TurnkeyErrorCodes.SESSION_EXPIRED, error);
  }
  // What others throw may quote what they were given.
  return new TurnkeyError(failed, code, error);
}

/** Whether the vault, or its client, failed. Not `instanceof`: the client may come from the package's other build. */
export function isOfVault(error: unknown): error is KeyfobError {
  return error instanceof Error && error.name === "KeyfobError";
}
