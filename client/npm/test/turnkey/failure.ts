import assert from "node:assert/strict";
import { inspect } from "node:util";
import { TurnkeyError, type TurnkeyErrorCodes } from "@turnkey/core";
import { KeyfobError, type ErrorCode } from "../../src/index.js";

/** Why this fails. */
export function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(() => assert.fail("it succeeded"), (reason: unknown) => reason);
}

/** Checks that this fails with the SDK's error, because of that error of the vault. Answers all that the error shows. */
export async function fails(promise: Promise<unknown>, code: TurnkeyErrorCodes, cause: ErrorCode): Promise<string> {
  const error = await reasonOf(promise);
  assert.ok(error instanceof TurnkeyError, inspect(error));
  assert.equal(error.code, code, inspect(error));
  assert.ok(error.cause instanceof KeyfobError, inspect(error));
  assert.equal(error.cause.code, cause, inspect(error));
  return inspect(error, { depth: Infinity, showHidden: true });
}
