import { readFileSync, statSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { KeyfobError } from "./error.js";
import type { ClientOptions } from "./options.js";

/** The longest path of a socket in bytes: the kernel's `sun_path` without the zero at its end. */
const MAX_SOCKET_PATH_BYTES = process.platform === "linux" ? 107 : 103;

/** Which vault is meant: one data directory is one vault, however it is reached. */
export class Place {
  /** The socket, if it was named. */
  readonly namedSocket: string | undefined;
  /** The data directory, if it was named. */
  readonly namedDataDir: string | undefined;

  /** The place that the options name; one that is absent is what the environment says. */
  constructor(options: Pick<ClientOptions, "socket" | "dataDir">) {
    this.namedSocket = named("socket", options.socket, "KEYFOB_SOCKET");
    this.namedDataDir = named("dataDir", options.dataDir, "KEYFOB_DATA_DIR");
  }

  /** The data directory: the one that was named, else the user's own; undefined where there is no home for one. */
  get dataDir(): string | undefined {
    const home = this.namedDataDir === undefined ? dataHome() : undefined;
    return home === undefined ? this.namedDataDir : join(home, "keyfob");
  }

  /** Where a daemon listens that is started for this place. */
  get socket(): string {
    const path = this.namedSocket ?? join(this.namedDataDir ?? runtimeDir(), "keyfob.sock");
    const bytes = Buffer.byteLength(path);
    if (bytes > MAX_SOCKET_PATH_BYTES) {
      const limit = `the system's limit is ${MAX_SOCKET_PATH_BYTES}; name a shorter one`;
      throw invalidPlace(`the socket path ${path} is ${bytes} bytes long and ${limit}`);
    }
    return path;
  }
}

/** Where a daemon says in its data directory that it listens. It is left there by one that was killed. */
export function listening(dataDir: string): { socket: string; pid: number } | undefined {
  try {
    const said: unknown = JSON.parse(readFileSync(join(dataDir, "listening"), "utf8"));
    return isListening(said) ? said : undefined;
  } catch {
    // There is no daemon, or none that says so in a way that this client reads.
    return undefined;
  }
}

function isListening(said: unknown): said is { socket: string; pid: number } {
  const { socket, pid } = Object(said) as { socket?: unknown; pid?: unknown };
  return typeof socket === "string" && typeof pid === "number";
}

/** The number of the user whom this process runs as. */
export function ownUid(): number {
  const uid = process.geteuid?.();
  if (uid === undefined) {
    throw invalidPlace("keyfob needs Unix sockets and users: it does not run on this system");
  }
  return uid;
}

function named(option: string, value: string | undefined, variable: string): string | undefined {
  if (value === "") {
    throw invalidPlace(`the option ${option} is given and empty: name one, or leave it out`);
  }
  // An empty variable is an absent one.
  const path = value ?? (process.env[variable] || undefined);
  return path === undefined ? undefined : resolve(path);
}

/** The directory for the data of the user's programs. */
function dataHome(): string | undefined {
  const isApple = process.platform === "darwin";
  const xdg = process.env["XDG_DATA_HOME"];
  if (!isApple && xdg !== undefined && isAbsolute(xdg)) {
    return xdg;
  }
  const home = homedir();
  const isThere = isAbsolute(home) && statSync(home, { throwIfNoEntry: false })?.isDirectory() === true;
  return isThere ? join(home, ...(isApple ? ["Library", "Application Support"] : [".local", "share"])) : undefined;
}

/** The directory of a socket that nobody named: in the user's own runtime directory, else in that for temporary files. */
function runtimeDir(): string {
  const uid = ownUid();
  for (const dir of [process.env["XDG_RUNTIME_DIR"], `/run/user/${uid}`]) {
    // `su` and `sudo` leave the variable as it was: another user's directory is passed over.
    const found = dir ? statSync(dir, { throwIfNoEntry: false }) : undefined;
    if (dir && found?.isDirectory() && found.uid === uid) {
      return join(dir, "keyfob");
    }
  }
  return join(tmpdir(), `keyfob-${uid}`);
}

function invalidPlace(message: string): KeyfobError {
  return new KeyfobError("INVALID_PLACE", message, { outcome: "not-sent" });
}
