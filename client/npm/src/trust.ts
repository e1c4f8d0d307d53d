import type { Stats } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { KeyfobError } from "./error.js";
import { ownUid } from "./place.js";

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Makes sure, before anything is sent, that nobody else can serve the socket: it and its directory belong to this user,
 * root, or the user who is named, and nobody else can put another socket in its place.
 *
 * Node does not tell who is at the other end of a connection (`SO_PEERCRED`), so this is what the file system says just
 * before. It does not look at the directories further up.
 */
export async function checkOwners(socket: string, serverUid: number | undefined): Promise<void> {
  const isTrusted = (file: Stats): boolean => [ownUid(), 0, serverUid].includes(file.uid);
  // Whoever can write beside a link, or beside what it leads to, decides where it ends.
  const paths = new Set([socket, await realpath(socket)]);
  for (const dir of new Set([...paths].map((path) => dirname(path)))) {
    const found = await stat(dir);
    if (!isTrusted(found)) {
      throw untrusted(socket, `the directory ${dir} belongs to user ${found.uid}`);
    }
    // In a sticky directory others may add files and not replace those that are there.
    if ((found.mode & WRITABLE_BY_OTHERS) !== 0 && (found.mode & STICKY) === 0) {
      throw untrusted(socket, `others may write to the directory ${dir} (chmod go-w makes it safe)`);
    }
  }
  const found = await stat(socket);
  if (!isTrusted(found)) {
    throw untrusted(socket, `it belongs to user ${found.uid}, and you are user ${ownUid()}`);
  }
  if (!found.isSocket()) {
    throw untrusted(socket, "it is not a socket");
  }
}

function untrusted(socket: string, reason: string): KeyfobError {
  const message = `${socket} could be served by somebody else, so nothing was sent: ${reason}`;
  return new KeyfobError("UNTRUSTED", message, { outcome: "not-sent" });
}
