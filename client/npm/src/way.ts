import { stat } from "node:fs/promises";
import { Connection } from "./connection.js";
import { KeyfobError } from "./error.js";
import type { DaemonStatus } from "./generated/protocol.js";
import { timeoutsOf, type ClientOptions, type Timeouts } from "./options.js";
import { Place, listening } from "./place.js";
import { notRunning } from "./socket.js";
import { startDaemon } from "./start.js";
import { checkOwners } from "./trust.js";

/** The way to the daemon of one vault: how it is found, who may serve it, and how it is started. */
export class Way {
  readonly timeouts: Timeouts;
  readonly #place: Place;
  readonly #serverUid: number | undefined;
  readonly #daemon: string;

  constructor(options: ClientOptions) {
    this.timeouts = timeoutsOf(options);
    this.#place = new Place(options);
    this.#serverUid = options.serverUid ?? uidOf(process.env["KEYFOB_SERVER_UID"]);
    this.#daemon = options.daemon ?? "keyfobd";
  }

  /**
   * Connects to the daemon of the vault: at the socket that was named; else where the daemon says in the data directory
   * that it listens, else at the default socket. A daemon of another data directory than the one that is meant gets
   * nothing but the question which one it serves.
   */
  async connect(): Promise<Connection> {
    try {
      return await this.#find();
    } catch (error) {
      throw KeyfobError.of(error);
    }
  }

  /** Connects, and starts the daemon when none listens. Two that do this at the same time reach the same one. */
  async connectOrStart(): Promise<Connection> {
    try {
      return await this.connect();
    } catch (error) {
      if (!isAbsent(error)) {
        throw error;
      }
    }
    let notStarted: unknown;
    try {
      await startDaemon(this.#daemon, this.#place, this.timeouts.start);
    } catch (error) {
      notStarted = error;
    }
    try {
      return await this.connect();
    } catch (error) {
      // If it did not start because another one just did, that one would have been as good.
      throw isAbsent(error) && notStarted !== undefined ? notStarted : error;
    }
  }

  async #find(): Promise<Connection> {
    const atDefault = this.#place.socket;
    if (this.#place.namedSocket !== undefined) {
      return this.#connectTo(atDefault, this.#place.namedDataDir);
    }
    // Without a home there is no other vault that could be meant.
    const dataDir = this.#place.dataDir;
    const said = dataDir === undefined ? undefined : listening(dataDir);
    if (said !== undefined) {
      try {
        return await this.#connectTo(said.socket, dataDir);
      } catch (error) {
        // The daemon may have been killed, and the socket be gone or another's by now.
        if (!isAbsent(error) && !(error instanceof KeyfobError && error.code === "OTHER_VAULT")) {
          throw error;
        }
      }
    }
    return this.#connectTo(atDefault, dataDir);
  }

  async #connectTo(socket: string, dataDir: string | undefined): Promise<Connection> {
    try {
      await checkOwners(socket, this.#serverUid);
    } catch (error) {
      throw isMissing(error) ? notRunning(socket, error) : error;
    }
    const connection = await Connection.open(socket, this.timeouts.connect);
    if (dataDir === undefined) {
      return connection;
    }
    try {
      const { paths } = (await connection.ask("status", {}, this.timeouts.connect)) as DaemonStatus;
      const served = paths?.dataDir;
      // Whoever has a grant is not told which vault it is of.
      if (served === undefined) {
        const message = `the socket ${socket} gives a part of a vault (a grant), and the vault in ${dataDir} is meant`;
        throw new KeyfobError("IS_GRANT", message, { outcome: "not-sent" });
      }
      if (!(await isSameDirectory(served, dataDir))) {
        const message = `the daemon on ${socket} serves the vault in ${served}, and the one in ${dataDir} is meant`;
        throw new KeyfobError("OTHER_VAULT", message, { outcome: "not-sent" });
      }
      connection.throwIfLost();
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }
}

/** Whether it means that nobody listens, so that a daemon may be started. */
function isAbsent(error: unknown): boolean {
  return error instanceof KeyfobError && error.code === "NOT_RUNNING";
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}

async function isSameDirectory(one: string, other: string): Promise<boolean> {
  if (one === other) {
    return true;
  }
  const [first, second] = await Promise.allSettled([stat(one), stat(other)]);
  return (
    first.status === "fulfilled" &&
    second.status === "fulfilled" &&
    first.value.dev === second.value.dev &&
    first.value.ino === second.value.ino
  );
}

/** The user of the environment variable. One that is none is refused: it was meant to say whom to trust. */
function uidOf(text: string | undefined): number | undefined {
  if (text === undefined || text === "") {
    return undefined;
  }
  if (!/^\d+$/.test(text)) {
    const message = "KEYFOB_SERVER_UID is not the number of a user";
    throw new KeyfobError("INVALID_PLACE", message, { outcome: "not-sent" });
  }
  return Number(text);
}
