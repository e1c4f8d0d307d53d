import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { KeyfobError } from "./error.js";
import type { Place } from "./place.js";

/** The longest line that a starting daemon may say, in characters. */
const MAX_STARTUP_LENGTH = 64 * 1024;

/** Starts the daemon of a place in the background and waits until it listens, or says why it cannot. */
export async function startDaemon(program: string, place: Place, timeoutMs: number): Promise<void> {
  const grant = process.env["KEYFOB_GRANT"];
  if (grant) {
    throw notStarted(`the grant ${grant}, which this program runs with, has ended: ask for another`);
  }
  const args = ["--background"];
  if (place.namedSocket !== undefined) {
    args.push("--socket", place.namedSocket);
  }
  if (place.namedDataDir !== undefined) {
    args.push("--data-dir", place.namedDataDir);
  }
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
  try {
    await once(child, "spawn");
  } catch (error) {
    const advice = "install keyfobd in PATH, name it with the option daemon, or start it yourself";
    throw notStarted(`cannot run ${program}: ${advice}`, error);
  }
  const exited = once(child, "exit");
  // Its one line ends the wait; so does its end. The daemon is a process of its own by then.
  const line = await firstLine(child.stdout, timeoutMs);
  if (line === undefined) {
    child.kill("SIGKILL");
  }
  const [code, signal] = (await exited) as [number | null, NodeJS.Signals | null];
  const said = startup(line ?? "");
  if (said === "listening") {
    return;
  }
  const why = child.killed ? `it took longer than ${timeoutMs} ms` : `it did not say why (${signal ?? code})`;
  throw notStarted(`keyfobd did not start: ${said ?? why}`);
}

/** The first line, or all there is; undefined when that takes too long. */
function firstLine(stdout: Readable, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = "";
    const end = (found: string | undefined): void => {
      clearTimeout(timer);
      // Somebody else may still hold the other end: it is not to keep this process alive.
      stdout.destroy();
      resolve(found);
    };
    const timer = setTimeout(() => end(undefined), timeoutMs);
    stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (text.includes("\n") || text.length > MAX_STARTUP_LENGTH) {
        end(text);
      }
    });
    stdout.on("end", () => end(text));
    stdout.on("error", () => end(text));
  });
}

/** What the line says: that the daemon listens, or why it does not. */
function startup(line: string): string | undefined {
  try {
    const { listening, failed } = Object(JSON.parse(line)) as { listening?: unknown; failed?: { message?: unknown } };
    if (listening !== undefined) {
      return "listening";
    }
    return typeof failed?.message === "string" ? failed.message : undefined;
  } catch {
    return undefined;
  }
}

function notStarted(message: string, cause?: unknown): KeyfobError {
  return new KeyfobError("NOT_STARTED", message, { outcome: "not-sent", cause });
}
