import type { Socket } from "node:net";
import { Call, requestLine } from "./call.js";
import { KeyfobError, type ClientErrorCode } from "./error.js";
import type { FaultData, VaultEvent } from "./generated/protocol.js";
import { LineError, LineReader } from "./lines.js";
import { parseMessage, type Message } from "./message.js";
import { connected } from "./socket.js";

/** Why a connection ended. */
export interface Loss {
  code: ClientErrorCode;
  reason: string;
  cause?: unknown;
}

/** With these the daemon refuses a connection before it reads anything. */
const REFUSALS: ReadonlySet<string> = new Set(["ACCESS_DENIED", "TOO_MANY_CONNECTIONS", "NOT_STARTED"]);

/** One connection to a daemon. It matches answers with calls, and never connects again. */
export class Connection {
  /** Calls may be sent again. */
  onWritable: () => void = () => {};
  onEvent: (event: VaultEvent) => void = () => {};
  /** The connection ended. The calls that were sent have been told. */
  onClosed: (loss: Loss) => void = () => {};
  readonly #socket: Socket;
  readonly #lines = new LineReader();
  /** What was sent and not answered, the oldest first: answers come in order. */
  readonly #sent = new Map<number, Call>();
  /** What the daemon said without saying to which call: it is why it hangs up, if it does. */
  #complaint: KeyfobError | undefined;
  #loss: Loss | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("drain", () => this.onWritable());
    socket.on("error", (error) => this.#end(disconnected(error)));
    socket.on("end", () => this.#end(disconnected()));
    socket.on("close", () => this.#end(disconnected()));
  }

  /** Connects. It is for the caller to have made sure who listens there. */
  static async open(path: string, timeoutMs: number): Promise<Connection> {
    return new Connection(await connected(path, timeoutMs));
  }

  /** Throws why the connection ended, if it did. */
  throwIfLost(): void {
    if (this.#loss !== undefined) {
      throw errorOf(this.#loss);
    }
  }

  /** Whether a call can be sent now. */
  get isWritable(): boolean {
    return this.#loss === undefined && !this.#socket.writableNeedDrain;
  }

  /** How many calls were sent and not answered, with those that nobody waits for any more. */
  get unanswered(): number {
    return this.#sent.size;
  }

  send(call: Call): void {
    call.isSent = true;
    this.#sent.set(call.id, call);
    this.#socket.write(call.line);
  }

  /** Makes a call of the client's own, which changes nothing. There may be only one at a time. */
  async ask(method: string, params: object, timeoutMs: number): Promise<unknown> {
    this.throwIfLost();
    const call = new Call(0, method, requestLine(0, method, params), { timeoutMs, changesNothing: true }, () => {});
    this.send(call);
    return call.reply;
  }

  /** Whether the connection keeps the process alive. */
  keepAlive(isNeeded: boolean): void {
    if (isNeeded) {
      this.#socket.ref();
    } else {
      this.#socket.unref();
    }
  }

  /** Reads no more until it is resumed. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#end({ code: "CLOSED", reason: "the client was closed" });
  }

  #read(chunk: Buffer): void {
    try {
      for (const line of this.#lines.push(chunk)) {
        if (this.#loss !== undefined) {
          return;
        }
        this.#receive(parseMessage(line));
      }
    } catch (error) {
      if (!(error instanceof LineError)) {
        throw error;
      }
      this.#end(notTheProtocol(error.message));
    }
  }

  #receive(message: Message | undefined): void {
    switch (message?.kind) {
      case undefined:
        this.#end(notTheProtocol("a line is neither an answer nor an event"));
        return;
      case "event":
        this.onEvent(message.event);
        return;
      case "reply":
        this.#answered(message.id)?.succeed(message.result);
        return;
      case "fault":
        if (message.id === null) {
          this.#complain(message.message, message.data);
        } else {
          this.#answered(message.id)?.refuse(KeyfobError.ofFault(message.message, message.data));
        }
        return;
      case "other":
        return;
    }
  }

  /** The daemon does not say to which call it answers: it is the oldest, or all where it refuses the connection. */
  #complain(message: string, data: FaultData): void {
    this.#complaint = KeyfobError.ofFault(message, data);
    const isRefusal = REFUSALS.has(data.code);
    for (const id of [...this.#sent.keys()].slice(0, isRefusal ? undefined : 1)) {
      this.#answered(id)?.refuse(KeyfobError.ofFault(message, data));
    }
    if (isRefusal) {
      this.#end(disconnected());
    }
  }

  #answered(id: number): Call | undefined {
    const call = this.#sent.get(id);
    this.#sent.delete(id);
    return call;
  }

  #end(loss: Loss): void {
    if (this.#loss !== undefined) {
      return;
    }
    this.#loss = loss.code === "DISCONNECTED" && this.#complaint ? { ...loss, cause: this.#complaint } : loss;
    this.#socket.destroy();
    const { code, reason, cause } = this.#loss;
    for (const call of this.#sent.values()) {
      call.giveUp(code, reason, cause);
    }
    this.#sent.clear();
    this.onClosed(this.#loss);
  }
}

/** The error of those who asked for nothing that has an effect. What the daemon said itself says more. */
export function errorOf({ code, reason, cause }: Loss): KeyfobError {
  return cause instanceof KeyfobError ? cause : new KeyfobError(code, reason, { outcome: "failed", cause });
}

function disconnected(cause?: unknown): Loss {
  return { code: "DISCONNECTED", reason: "the daemon closed the connection", cause };
}

function notTheProtocol(reason: string): Loss {
  return { code: "PROTOCOL_ERROR", reason: `the daemon does not speak this client's protocol: ${reason}` };
}
