import { EventEmitter, once } from "node:events";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Client, type ClientOptions } from "../src/index.js";
import { scratch } from "./daemon.js";

/** A request as it came. */
export interface Request {
  id: number;
  method: string;
  params: Record<string, unknown>;
}

/** A socket on which the test itself answers, byte by byte if it likes. */
export class FakeDaemon {
  /** All that was asked, on whichever connection. */
  readonly requests: Request[] = [];
  readonly #news = new EventEmitter();
  #socket: Socket | undefined;

  private constructor(
    readonly path: string,
    readonly t: TestContext,
  ) {}

  /** Each request is also given to `onRequest`, with the connection that it came on. */
  static async start(t: TestContext, onRequest?: (request: Request, socket: Socket) => void): Promise<FakeDaemon> {
    const daemon = new FakeDaemon(join(scratch(t), "s"), t);
    const server = createServer((socket) => {
      daemon.#socket = socket;
      let partial = "";
      socket.setEncoding("utf8").on("data", (text: string) => {
        const lines = (partial + text).split("\n");
        partial = lines.pop() ?? "";
        for (const line of lines) {
          const request = JSON.parse(line) as Request;
          daemon.requests.push(request);
          onRequest?.(request, socket);
        }
        daemon.#news.emit("request");
      });
      // A client that hangs up is no concern of these tests.
      socket.on("error", () => {});
      daemon.#news.emit("connection");
    });
    server.listen(daemon.path);
    await once(server, "listening");
    t.after(() => {
      daemon.#socket?.destroy();
      server.close();
    });
    return daemon;
  }

  /** A client, and the daemon's end of its connection. */
  async connect(options: ClientOptions = {}): Promise<{ client: Client; socket: Socket }> {
    const accepted = once(this.#news, "connection");
    const client = await Client.connect({ socket: this.path, ...options });
    this.t.after(() => client.close());
    await accepted;
    return { client, socket: this.socket };
  }

  /** The daemon's end of the last connection. */
  get socket(): Socket {
    if (this.#socket === undefined) {
      throw new Error("nobody has connected");
    }
    return this.#socket;
  }

  /** Settles when so many requests have come. */
  async received(count: number): Promise<void> {
    while (this.requests.length < count) {
      await once(this.#news, "request");
    }
  }
}

export function reply(id: number, result: object): string {
  return `${JSON.stringify({ jsonrpc: "2.0", id, result })}\n`;
}

export function fault(id: number | null, code: string, message = "no"): string {
  return `${JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32000, message, data: { code } } })}\n`;
}
