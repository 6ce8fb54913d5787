const SCRATCH = Buffer.alloc(512);

/** The text under which bytes stand in a map: one character per byte, flat, and much cheaper than hexadecimal. */
export function nameOf(bytes: Uint8Array): string {
  if (bytes.length > SCRATCH.length) return Buffer.from(bytes).toString('latin1');
  // A view of a small array would first move it out of the heap, which costs several times the copy.
  SCRATCH.set(bytes);
  return SCRATCH.toString('latin1', 0, bytes.length);
}
