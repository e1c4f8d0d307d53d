import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { Client, type ClientOptions } from "../src/index.js";
import { sessionToken, type Claims } from "./turnkey/token.js";

/** The directory of this package. */
export const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

/** Where the daemon is that the tests run. */
export const KEYFOBD = program("keyfobd");

function program(name: string): string {
  const named = process.env["KEYFOB_BIN"];
  const release = join(PACKAGE, "../../target/release");
  const dirs = named === undefined ? [release, join(PACKAGE, "../../target/debug")] : [named];
  const found = dirs.map((dir) => join(dir, name)).find((path) => existsSync(path));
  if (found === undefined) {
    throw new Error(`there is no ${name} in ${dirs.join(" or ")}: build it, or name its directory with KEYFOB_BIN`);
  }
  return found;
}

/** A directory for one test, which is removed once `end` has settled. Its path is short, as that of a socket has to be. */
export function scratch(t: TestContext, end: () => Promise<unknown> = async () => {}): string {
  const dir = mkdtempSync(join(tmpdir(), "kfc-"));
  t.after(async () => {
    await end();
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

/** A daemon that serves a vault of its own for one test. */
export class Daemon {
  #process: ChildProcess | undefined;

  /** What a client has started in its place. */
  #background: Client | undefined;
  readonly dataDir: string;

  private constructor(readonly t: TestContext) {
    this.dataDir = scratch(t, () => this.#stop());
  }

  static async start(t: TestContext): Promise<Daemon> {
    const daemon = new Daemon(t);
    await daemon.run();
    return daemon;
  }

  /** A place where no daemon runs yet. */
  static place(t: TestContext): Daemon {
    return new Daemon(t);
  }

  get options(): ClientOptions {
    return { dataDir: this.dataDir };
  }

  /** Starts the daemon, which is not running, and waits until it serves. */
  async run(): Promise<void> {
    const child = spawn(KEYFOBD, ["--data-dir", this.dataDir], { stdio: ["ignore", "ignore", "pipe"] });
    this.#process = child;
    for await (const text of child.stderr.setEncoding("utf8")) {
      if (String(text).includes("the vault is open")) {
        child.stderr.destroy();
        return;
      }
    }
    throw new Error("keyfobd ended before it served");
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  }

  /** The daemon reads no more, and is not gone. */
  halt(): void {
    this.#process?.kill("SIGSTOP");
  }

  /** A client that starts the daemon where none runs. */
  async starter(): Promise<Client> {
    const client = await Client.connectOrStart({ ...this.options, daemon: KEYFOBD });
    this.#background = client;
    return client;
  }

  async client(options: ClientOptions = {}): Promise<Client> {
    const client = await Client.connect({ ...this.options, ...options });
    this.t.after(() => client.close());
    return client;
  }

  async #stop(): Promise<void> {
    await this.kill();
    const client = this.#background;
    if (client === undefined) {
      return;
    }
    const events = client.events();
    await events.subscribed;
    await client.shutdown();
    // The stream ends when the vault is closed.
    await events.next().catch(() => {});
    client.close();
  }
}

/** Stores a session with a key pair of its own, and answers its public key. */
export async function logIn(client: Client, sessionKey: string, claims: Partial<Claims> = {}): Promise<string> {
  const { publicKey } = await client.createApiKeyPair();
  await client.storeSession({ sessionToken: sessionToken({ publicKey, ...claims }), sessionKey });
  return publicKey;
}

/** Sets variables for as long as `run` takes. */
export async function withEnv<T>(variables: Record<string, string | undefined>, run: () => T | Promise<T>): Promise<T> {
  const before = { ...process.env };
  const set = (name: string, value: string | undefined): void => {
    if (value === undefined) {
      delete process.env[name];
    } else {
      process.env[name] = value;
    }
  };
  Object.entries(variables).forEach(([name, value]) => set(name, value));
  try {
    return await run();
  } finally {
    Object.keys(variables).forEach((name) => set(name, before[name]));
  }
}
