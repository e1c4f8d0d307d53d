/** Which vault a client means, whom it trusts to serve it, and how long it waits. */
export interface ClientOptions {
  /** The socket of the daemon. Absent: `$KEYFOB_SOCKET`, else the one where the daemon of the data directory listens. */
  socket?: string | undefined;
  /** The data directory of the vault. Absent: `$KEYFOB_DATA_DIR`, else the user's own. */
  dataDir?: string | undefined;
  /** The number of a user who is trusted to serve the vault besides your own and root. Absent: `$KEYFOB_SERVER_UID`. */
  serverUid?: number | undefined;
  /** The program that `Client.connectOrStart` starts. Absent: `keyfobd` in `PATH`. */
  daemon?: string | undefined;
  /** How long connecting may take, in milliseconds. Absent: 5,000. */
  connectTimeoutMs?: number | undefined;
  /** How long the daemon may take to start, in milliseconds. Absent: 30,000. */
  startTimeoutMs?: number | undefined;
  /** How long a call may take that does not say so itself, in milliseconds. Absent: 30,000. */
  callTimeoutMs?: number | undefined;
}

/** How long a client waits for what, in milliseconds. */
export interface Timeouts {
  connect: number;
  start: number;
  call: number;
}

/** The timeouts of these options. */
export function timeoutsOf(options: ClientOptions): Timeouts {
  return {
    connect: positive("connectTimeoutMs", options.connectTimeoutMs ?? 5_000),
    start: positive("startTimeoutMs", options.startTimeoutMs ?? 30_000),
    call: positive("callTimeoutMs", options.callTimeoutMs ?? 30_000),
  };
}

/** The number, which has to be over 0: anything else would end a wait before it began. */
export function positive(name: string, number: number): number {
  if (number > 0) {
    return number;
  }
  throw new RangeError(`${name} has to be a number over 0`);
}
