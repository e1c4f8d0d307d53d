export { Client } from "./client.js";
export type { CallOptions } from "./call.js";
export { KeyfobError } from "./error.js";
export type { ClientErrorCode, ErrorCode, Outcome } from "./error.js";
export type { EventStream, EventStreamOptions } from "./events.js";
export type { Method, Params } from "./generated/calls.js";
export type * from "./generated/protocol.js";
export type { ClientOptions } from "./options.js";
export type { Bytes } from "./payload.js";
