import { errorOf, type Connection, type Loss } from "./connection.js";
import { KeyfobError } from "./error.js";
import type { Subscribe, Subscribed, VaultEvent } from "./generated/protocol.js";
import type { Way } from "./way.js";

/** How a stream of events goes on and ends. */
export interface EventStreamOptions {
  /** Ends the stream as if all had been read. */
  signal?: AbortSignal | undefined;
  /**
   * Whether the stream goes on when the connection is lost. It waits for a daemon, starts none, and then says `resync`:
   * events may have been missed, so read what you need again. Absent: the stream fails with `DISCONNECTED`.
   */
  reconnect?: boolean | undefined;
}

/** The most events that wait to be read. The daemon keeps the next ones, and says `resync` where it cannot. */
const MAX_UNREAD = 1_000;

/** How long to wait before the first attempt to connect again, in milliseconds; then twice as long each time. */
const FIRST_PAUSE_MS = 50;

/** The longest wait before an attempt, in milliseconds. */
const LONGEST_PAUSE_MS = 2_000;

/** What another attempt may mend. */
const PASSING: ReadonlySet<string> = new Set([
  "NOT_RUNNING",
  "UNREACHABLE",
  "DISCONNECTED",
  "TIMEOUT",
  "SHUTTING_DOWN",
  "TOO_MANY_CONNECTIONS",
]);

interface Reader {
  resolve(result: IteratorResult<VaultEvent, undefined>): void;
  reject(error: unknown): void;
}

/** The vault's events in the order of the commits. To break out of the loop over it ends its connection. */
export class EventStream implements AsyncIterableIterator<VaultEvent> {
  /**
   * Settles once the daemon has taken up the subscription: every later event comes. It says which was the last event
   * before.
   */
  readonly subscribed: Promise<Subscribed>;
  readonly #way: Way;
  readonly #filter: Subscribe;
  readonly #options: EventStreamOptions;
  /** The streams of the client that have not ended. */
  readonly #open: Set<EventStream>;
  #connection: Connection | undefined;
  #pause: NodeJS.Timeout | undefined;
  readonly #unread: VaultEvent[] = [];
  readonly #readers: Reader[] = [];
  #isEnded = false;
  /** Why it ended, until somebody has read that. */
  #error: unknown;

  constructor(
    way: Way,
    reach: () => Promise<Connection>,
    filter: Subscribe,
    options: EventStreamOptions,
    open: Set<EventStream>,
  ) {
    this.#way = way;
    this.#filter = filter;
    this.#options = options;
    this.#open = open.add(this);
    this.subscribed = this.#subscribe(reach, false);
    this.subscribed.catch((error: unknown) => this.#end(error));
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (options.signal?.aborted) {
      this.#end();
    }
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<VaultEvent, undefined>> {
    const event = this.#unread.shift();
    if (event !== undefined) {
      this.#connection?.resume();
      return Promise.resolve({ done: false, value: event });
    }
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#isEnded) {
      return Promise.resolve({ done: true, value: undefined });
    }
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  /** Ends the stream and its connection. */
  return(): Promise<IteratorResult<VaultEvent, undefined>> {
    this.#unread.length = 0;
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #subscribe(reach: () => Promise<Connection>, isAgain: boolean): Promise<Subscribed> {
    const connection = await reach();
    if (this.#isEnded) {
      connection.close();
      throw new KeyfobError("CLOSED", "the stream of events was ended", { outcome: "not-sent" });
    }
    this.#connection = connection;
    const early: VaultEvent[] = [];
    connection.onEvent = (event) => early.push(event);
    const subscribed = (await connection.ask("subscribe", this.#filter, this.#way.timeouts.call)) as Subscribed;
    connection.throwIfLost();
    connection.onClosed = (loss) => this.#onLost(loss);
    if (isAgain) {
      this.#push({ type: "resync", sequence: subscribed.sequence });
    }
    early.forEach((event) => this.#push(event));
    connection.onEvent = (event) => this.#push(event);
    return subscribed;
  }

  #onLost(loss: Loss): void {
    if (this.#isEnded) {
      return;
    }
    if (this.#options.reconnect === true && loss.code === "DISCONNECTED") {
      this.#subscribeLater(FIRST_PAUSE_MS);
    } else {
      this.#end(errorOf(loss));
    }
  }

  #subscribeLater(milliseconds: number): void {
    this.#pause = setTimeout(() => {
      this.#subscribe(() => this.#way.connect(), true).catch((error: unknown) => {
        this.#connection?.close();
        if (!this.#isEnded && error instanceof KeyfobError && PASSING.has(error.code)) {
          this.#subscribeLater(Math.min(2 * milliseconds, LONGEST_PAUSE_MS));
        } else {
          this.#end(error);
        }
      });
    }, milliseconds);
  }

  #push(event: VaultEvent): void {
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: event });
      return;
    }
    this.#unread.push(event);
    if (this.#unread.length >= MAX_UNREAD) {
      this.#connection?.pause();
    }
  }

  readonly #onAbort = (): void => this.#end();

  /** Ends the stream; with an error, the next read fails with it. */
  #end(error?: unknown): void {
    if (this.#isEnded) {
      return;
    }
    this.#isEnded = true;
    clearTimeout(this.#pause);
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#connection?.close();
    const [first, ...others] = this.#readers.splice(0);
    if (error === undefined) {
      first?.resolve({ done: true, value: undefined });
    } else if (first === undefined) {
      this.#error = error;
    } else {
      first.reject(error);
    }
    others.forEach((reader) => reader.resolve({ done: true, value: undefined }));
    this.#open.delete(this);
  }
}
