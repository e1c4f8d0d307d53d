/** Bytes to be signed. A string stands for its bytes in UTF-8, a lone surrogate for those of U+FFFD, as in `TextEncoder`. */
export type Bytes = Uint8Array | string;

/** The bytes in base64 (standard alphabet, padded), as the protocol has them. */
export function toBase64(bytes: Bytes): string {
  const buffer = typeof bytes === "string" ? Buffer.from(bytes, "utf8") : viewOf(bytes);
  return buffer.toString("base64");
}

function viewOf(bytes: Uint8Array): Buffer {
  // Not `instanceof`: the bytes may come from another realm.
  if (!ArrayBuffer.isView(bytes)) {
    throw new TypeError("a payload must be a Uint8Array or a string");
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
