import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** A socket in front of the daemon's that notes which calls pass. */
export class WireTap {
  #methods: string[] = [];
  readonly #waiting = new Map<string, () => void>();
  #loses: string | undefined;

  private constructor(readonly socket: string) {}

  /** Taps until the test ends. */
  static async start(t: TestContext, directory: string, daemonSocket: string): Promise<WireTap> {
    const tap = new WireTap(join(directory, "tap.sock"));
    const server = createServer((app) => tap.#join(app, connect(daemonSocket)));
    server.listen(tap.socket).unref();
    await once(server, "listening");
    t.after(() => server.close());
    return tap;
  }

  /** The methods that were called since this was asked last. */
  taken(): string[] {
    return this.#methods.splice(0);
  }

  /** Settles when this method is called the next time, with its line on the way to the daemon. */
  called(method: string): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(method, resolve));
  }

  /** The connection is cut when the daemon answers this method: the call is done, and the app is not told. */
  loseAnswerTo(method: string): void {
    this.#loses = method;
  }

  #join(app: Socket, daemon: Socket): void {
    let partial = "";
    let isLost = false;
    app.on("data", (chunk: Buffer) => {
      const lines = (partial + chunk.toString("latin1")).split("\n");
      partial = lines.pop() ?? "";
      const methods = lines.map((line) => JSON.parse(line).method as string);
      isLost ||= methods.includes(this.#loses ?? "");
      daemon.write(chunk);
      this.#methods.push(...methods);
      for (const method of methods) {
        this.#waiting.get(method)?.();
      }
    });
    daemon.on("data", (chunk: Buffer) => {
      if (isLost) {
        app.destroy();
      } else {
        app.write(chunk);
      }
    });
    for (const [one, other] of [[app, daemon], [daemon, app]] as const) {
      one.unref();
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  }
}
