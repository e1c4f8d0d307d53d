import assert from "node:assert/strict";
import { test } from "node:test";
import { LineError, LineReader } from "../src/lines.js";

const MAX = 4 * 1024 * 1024;

function read(chunks: Uint8Array[]): string[] {
  const reader = new LineReader();
  return chunks.flatMap((chunk) => [...reader.push(chunk)]);
}

test("lines are the same wherever the bytes are cut", () => {
  const lines = ["{\"a\":\"café 🔑\"}", "{}", "{\"b\":\"\u2028\u0085\"}"];
  const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
  assert.deepEqual(read([bytes]), lines);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    assert.deepEqual(read([bytes.subarray(0, cut), bytes.subarray(cut)]), lines, `cut at ${cut}`);
  }
  assert.deepEqual(read([...bytes].map((byte) => Uint8Array.of(byte))), lines);
});

test("blank lines are passed over", () => {
  assert.deepEqual(read([Buffer.from("\n \r\n{}\n\n")]), ["{}"]);
});

test("a line may have 4 MiB and no byte more", () => {
  assert.equal(read([Buffer.alloc(MAX, "x"), Buffer.from("\n")])[0]?.length, MAX);
  assert.throws(() => read([Buffer.alloc(MAX, "x"), Buffer.from("x\n")]), LineError);
});

test("a line that never ends is refused before it ends", () => {
  assert.throws(() => read([Buffer.alloc(MAX), Buffer.alloc(1)]), LineError);
});

test("bytes that are not UTF-8 are refused", () => {
  assert.throws(() => read([Buffer.from([0x22, 0xff, 0x22, 0x0a])]), LineError);
});
