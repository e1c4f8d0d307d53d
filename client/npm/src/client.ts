import { setMaxListeners } from "node:events";
import { Call, requestLine, type CallOptions } from "./call.js";
import type { Connection } from "./connection.js";
import { KeyfobError } from "./error.js";
import { EventStream, type EventStreamOptions } from "./events.js";
import { Calls, type Method, type Params } from "./generated/calls.js";
import type { Methods, Subscribe } from "./generated/protocol.js";
import { positive, type ClientOptions } from "./options.js";
import { Way } from "./way.js";

/** The most calls that may wait for an answer at once. */
const MAX_CALLS = 10_000;

/** The most bytes of calls that may wait to be sent. */
const MAX_UNSENT_BYTES = 64 * 1024 * 1024;

/**
 * The vault of this machine. Calls may overlap: they go over one connection, take effect in the order in which they
 * were made, and are answered in it.
 *
 * When the connection is lost, calls that were sent and not answered fail with the outcome `unknown`, and are never sent
 * twice. Those that were not sent yet go over the next connection. The next call connects again, and starts the daemon
 * again if the client came from `connectOrStart`.
 *
 * A client without an open call or stream of events does not keep the process alive.
 */
export class Client extends Calls {
  readonly #way: Way;
  readonly #mayStart: boolean;
  readonly #unsent = new Set<Call>();
  #unsentBytes = 0;
  /** How many calls somebody waits for. */
  #awaited = 0;
  #lastId = 0;
  #connection: Connection | undefined;
  #isConnecting = false;
  #isClosed = false;
  readonly #streams = new Set<EventStream>();

  private constructor(way: Way, mayStart: boolean) {
    super();
    this.#way = way;
    this.#mayStart = mayStart;
  }

  /** Connects to the daemon of a vault, which has to be running. */
  static async connect(options: ClientOptions = {}): Promise<Client> {
    return Client.#open(options, false);
  }

  /** Connects to the daemon of a vault, and starts it in the background when none is running. */
  static async connectOrStart(options: ClientOptions = {}): Promise<Client> {
    return Client.#open(options, true);
  }

  static async #open(options: ClientOptions, mayStart: boolean): Promise<Client> {
    const client = new Client(new Way(options), mayStart);
    client.#use(await client.#reach());
    return client;
  }

  /** Makes a call and waits for its reply. */
  override async call<M extends Method>(method: M, ...[params, options]: Params<M>): Promise<Methods[M]["reply"]> {
    const call = this.#newCall(method, params ?? {}, options ?? {});
    this.#unsent.add(call);
    this.#unsentBytes += call.line.length;
    this.#awaited += 1;
    this.#connection?.keepAlive(true);
    this.#send();
    // The connection has made sure that it is an object. What is in it is for the daemon to keep to.
    return (await call.reply) as Methods[M]["reply"];
  }

  /**
   * The vault's events, from the next one on: all of them, or those of some types or sessions. They come over a
   * connection of their own.
   */
  events(filter: Subscribe = {}, options: EventStreamOptions = {}): EventStream {
    if (this.#isClosed) {
      throw new KeyfobError("CLOSED", "the client was closed", { outcome: "not-sent" });
    }
    return new EventStream(this.#way, () => this.#reach(), filter, options, this.#streams);
  }

  /** Ends the connection and the streams of events at once. Calls that are open fail with the code `CLOSED`. */
  close(): void {
    this.#isClosed = true;
    for (const stream of this.#streams) {
      void stream.return();
    }
    for (const call of this.#unsent) {
      call.giveUp("CLOSED", "the client was closed");
    }
    this.#connection?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #newCall(method: Method, params: object, { signal, timeoutMs = this.#way.timeouts.call }: CallOptions): Call {
    const notSent = { outcome: "not-sent" } as const;
    positive("timeoutMs", timeoutMs);
    if (this.#isClosed) {
      throw new KeyfobError("CLOSED", `${method}: the client was closed`, notSent);
    }
    if (signal?.aborted) {
      throw new KeyfobError("ABORTED", `${method}: the call was aborted; it was not sent`, {
        ...notSent,
        cause: signal.reason,
      });
    }
    if (signal !== undefined) {
      // One signal may be for many calls, which Node would take for a leak.
      setMaxListeners(0, signal);
    }
    const waiting = this.#unsent.size + (this.#connection?.unanswered ?? 0);
    if (waiting >= MAX_CALLS) {
      throw new KeyfobError("TOO_MANY_CALLS", `${method}: ${waiting} calls wait already; it was not sent`, notSent);
    }
    const line = requestLine((this.#lastId += 1), method, params);
    if (this.#unsentBytes + line.length > MAX_UNSENT_BYTES) {
      const message = `${method}: ${this.#unsentBytes} bytes of calls wait to be sent already; it was not sent`;
      throw new KeyfobError("TOO_MANY_CALLS", message, notSent);
    }
    return new Call(this.#lastId, method, line, { signal, timeoutMs }, (settled) => this.#onSettled(settled));
  }

  /** Sends what the connection takes, and connects when there is none. */
  #send(): void {
    if (this.#connection === undefined) {
      void this.#reconnect();
      return;
    }
    for (const call of this.#unsent) {
      if (!this.#connection.isWritable) {
        return;
      }
      this.#forget(call);
      this.#connection.send(call);
    }
  }

  async #reconnect(): Promise<void> {
    if (this.#isConnecting || this.#unsent.size === 0) {
      return;
    }
    this.#isConnecting = true;
    try {
      this.#use(await this.#reach());
    } catch (error) {
      const reason = KeyfobError.of(error);
      for (const call of this.#unsent) {
        call.cannotBeSent(reason);
      }
    } finally {
      this.#isConnecting = false;
    }
  }

  #reach(): Promise<Connection> {
    return this.#mayStart ? this.#way.connectOrStart() : this.#way.connect();
  }

  #use(connection: Connection): void {
    if (this.#isClosed) {
      connection.close();
      return;
    }
    this.#connection = connection;
    connection.keepAlive(this.#awaited > 0);
    connection.onWritable = () => this.#send();
    connection.onClosed = () => {
      this.#connection = undefined;
      this.#send();
    };
    this.#send();
  }

  #onSettled(call: Call): void {
    this.#forget(call);
    this.#awaited -= 1;
    if (this.#awaited === 0) {
      this.#connection?.keepAlive(false);
    }
  }

  /** The call is not to be sent any more. */
  #forget(call: Call): void {
    if (this.#unsent.delete(call)) {
      this.#unsentBytes -= call.line.length;
    }
  }
}
