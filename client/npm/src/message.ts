import type { FaultData, VaultEvent } from "./generated/protocol.js";

/** What a line of the daemon says. The id is null where the daemon could not read that of the call. */
export type Message =
  | { kind: "reply"; id: number; result: unknown }
  | { kind: "fault"; id: number | null; message: string; data: FaultData }
  | { kind: "event"; event: VaultEvent }
  | { kind: "other" };

/** Reads a line; undefined when it is not the protocol. A notification of a newer protocol is of kind `other`. */
export function parseMessage(line: string): Message | undefined {
  const message = parseObject(line);
  if (message === undefined) {
    return undefined;
  }
  const { id, method, params, result, error } = message;
  if (typeof method === "string") {
    return method === "event" && isEvent(params) ? { kind: "event", event: params } : { kind: "other" };
  }
  if (isObject(error) && (typeof id === "number" || id === null)) {
    const { message: text, data } = error;
    return typeof text === "string" && isFaultData(data) ? { kind: "fault", id, message: text, data } : undefined;
  }
  return isObject(result) && typeof id === "number" ? { kind: "reply", id, result } : undefined;
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    // The parser's message quotes the line, which may hold a token.
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isFaultData(value: unknown): value is FaultData {
  return isObject(value) && typeof value["code"] === "string";
}

function isEvent(value: unknown): value is VaultEvent {
  return isObject(value) && typeof value["type"] === "string" && typeof value["sequence"] === "number";
}
