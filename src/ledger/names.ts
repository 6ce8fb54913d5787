/** The text under which bytes stand in a map: one character per byte, flat, and much cheaper than hexadecimal. */
export function nameOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
