import { MAX_LINE_BYTES } from "./call.js";

const LINE_FEED = 0x0a;

/** What was read is no line of the protocol. */
export class LineError extends Error {}

/** Cuts what a connection reads into lines. It knows nothing of what they say. */
export class LineReader {
  /** What was read of the line that has no end yet. */
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  /** The lines that end in this chunk, without their line feeds. Blank lines are passed over. Throws `LineError`. */
  *push(chunk: Uint8Array): Generator<string> {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      this.#keep(chunk.subarray(start, end));
      start = end + 1;
      const line = this.#take();
      if (line.trim() !== "") {
        yield line;
      }
    }
    this.#keep(chunk.subarray(start));
  }

  #keep(part: Uint8Array): void {
    this.#bytes += part.length;
    if (this.#bytes > MAX_LINE_BYTES) {
      throw new LineError("a line is too long");
    }
    if (part.length > 0) {
      this.#chunks.push(part);
    }
  }

  #take(): string {
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#bytes = 0;
    try {
      return this.#decoder.decode(bytes);
    } catch {
      throw new LineError("a line is not UTF-8");
    }
  }
}
