import { KeyfobError, type ClientErrorCode, type Outcome } from "./error.js";

/** How one call is made. */
export interface CallOptions {
  /** Ends the wait for the answer. What was sent is done all the same: see `KeyfobError.outcome`. */
  signal?: AbortSignal | undefined;
  /** How long the call may take, in milliseconds, connecting included. Absent: the client's `callTimeoutMs`. */
  timeoutMs?: number | undefined;
}

/** The longest line in bytes, the line feed not counted. */
export const MAX_LINE_BYTES = 4 * 1024 * 1024;

/** The longest time that a timer of Node waits, in milliseconds. It takes a longer one for none at all. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A call on its way: from the line that asks to the answer, or to the end of the wait for it. */
export class Call {
  /** Settles with the result of the answer, or with why there is none. */
  readonly reply: Promise<unknown>;
  /** Whether the line was given to the system. Whether the daemon read it is not known then. */
  isSent = false;
  isSettled = false;
  #resolve!: (result: unknown) => void;
  #reject!: (error: KeyfobError) => void;
  readonly #onSettled: (call: Call) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #changesNothing: boolean;
  readonly #timer: NodeJS.Timeout;

  constructor(
    readonly id: number,
    readonly method: string,
    /** What is sent, the line feed included. */
    readonly line: Buffer,
    options: { signal?: AbortSignal | undefined; timeoutMs: number; changesNothing?: boolean },
    onSettled: (call: Call) => void,
  ) {
    this.reply = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#onSettled = onSettled;
    this.#signal = options.signal;
    this.#changesNothing = options.changesNothing ?? false;
    this.#timer = setTimeout(this.#onTimeout, Math.min(options.timeoutMs, MAX_TIMER_MS), options.timeoutMs);
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** The daemon answered. */
  succeed(result: unknown): void {
    if (this.#settle()) {
      this.#resolve(result);
    }
  }

  /** The daemon refused. */
  refuse(fault: KeyfobError): void {
    if (this.#settle()) {
      this.#reject(fault);
    }
  }

  /** There will be no answer. */
  giveUp(code: ClientErrorCode, reason: string, cause?: unknown): void {
    if (this.#settle()) {
      const [outcome, effect] = this.#effect();
      this.#reject(new KeyfobError(code, `${this.method}: ${reason}${effect}`, { outcome, cause }));
    }
  }

  /** There is no connection to send it over. */
  cannotBeSent(error: KeyfobError): void {
    if (this.#settle()) {
      const { code, message, data } = error;
      const details = { outcome: "not-sent", data, cause: error } as const;
      this.#reject(new KeyfobError(code, `${this.method} was not sent: ${message}`, details));
    }
  }

  #effect(): [Outcome, string] {
    if (!this.isSent) {
      return ["not-sent", "; it was not sent"];
    }
    return this.#changesNothing ? ["failed", ""] : ["unknown", "; whether it took effect is not known"];
  }

  #settle(): boolean {
    if (this.isSettled) {
      return false;
    }
    this.isSettled = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#onSettled(this);
    return true;
  }

  readonly #onAbort = (): void => {
    this.giveUp("ABORTED", "the call was aborted", this.#signal?.reason);
  };

  readonly #onTimeout = (milliseconds: number): void => {
    this.giveUp("TIMEOUT", `no answer came within ${milliseconds} ms`);
  };
}

/** The line of a request, the line feed included. */
export function requestLine(id: number, method: string, params: object): Buffer {
  const line = Buffer.from(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`, "utf8");
  if (line.length - 1 > MAX_LINE_BYTES) {
    const message = `${method}: the call is over ${MAX_LINE_BYTES} bytes; it was not sent`;
    throw new KeyfobError("LINE_TOO_LONG", message, { outcome: "not-sent" });
  }
  return line;
}
