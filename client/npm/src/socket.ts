import { Socket } from "node:net";
import { KeyfobError } from "./error.js";

/** The system's reasons that mean that nobody is there, and not that somebody is whom one may not reach. */
const ABSENT: ReadonlySet<unknown> = new Set(["ENOENT", "ENOTDIR", "ECONNREFUSED"]);

/** How long it may take to read the last words of a daemon that has hung up, in milliseconds. */
const LAST_WORDS_MS = 100;

type Written = (error?: Error | null) => void;

/**
 * A daemon that refuses a connection says why and hangs up. Node throws away what is to be read once a write has failed,
 * so this socket tells of that a little later: when it has read the end, it is over by then.
 */
class DaemonSocket extends Socket {
  override _write(chunk: Buffer, encoding: BufferEncoding, written: Written): void {
    super._write(chunk, encoding, afterLastWords(written));
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], written: Written): void {
    super._writev?.(chunks, afterLastWords(written));
  }
}

function afterLastWords(written: Written): Written {
  return (error) => {
    if (error && "code" in error && error.code === "EPIPE") {
      setTimeout(written, LAST_WORDS_MS, error).unref();
    } else {
      written(error);
    }
  };
}

/** The error of those who find nobody at this socket. */
export function notRunning(socket: string, cause: unknown): KeyfobError {
  return new KeyfobError("NOT_RUNNING", `no keyfobd listens on ${socket}`, { outcome: "not-sent", cause });
}

/** A socket that is connected to this path. */
export function connected(path: string, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = new DaemonSocket();
    const fail = (error: KeyfobError): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const unreachable = (reason: string, cause?: unknown): KeyfobError =>
      new KeyfobError("UNREACHABLE", `cannot connect to ${path}: ${reason}`, { outcome: "not-sent", cause });
    const timer = setTimeout(() => fail(unreachable(`it took longer than ${timeoutMs} ms`)), timeoutMs);
    socket.once("error", (error: NodeJS.ErrnoException) => {
      fail(ABSENT.has(error.code) ? notRunning(path, error) : unreachable(error.message, error));
    });
    socket.connect(path, () => {
      clearTimeout(timer);
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}
