/**
 * A model's content hash: a Merkle tree over its tensors, blind to how they are spread over files. Leaves and nodes
 * are told apart as in RFC 6962; leaves stand in the order of their names' bytes.
 */
import { createHash } from 'node:crypto';
import { compareBytes, concat, fromHex, toHex, utf8 } from '../base/bytes.ts';
import { invariant } from '../base/errors.ts';
import { Writer } from '../protocol/codec.ts';

/** A tensor as the tree sees it. */
export interface HashedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** SHA-256 of its data, in hex. */
  readonly sha256: string;
}

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** The root over `tensors`, in hex: the hash of nothing when there are none. */
export function contentHash(tensors: readonly HashedTensor[]): string {
  const sorted = [...tensors].sort((a, b) => compareBytes(utf8(a.name), utf8(b.name)));
  return toHex(root(sorted.map(leafHash)));
}

/** Hash of a leaf: `0x00`, then the canonical encoding of `[name, dtype, shape, hash]`. */
function leafHash({ name, dtype, shape, sha256 }: HashedTensor): Uint8Array {
  const digest = fromHex(sha256);
  invariant(digest?.length === 32, 'a SHA-256 in hex');
  const writer = new Writer();
  writer.array(4);
  writer.text(name);
  writer.text(dtype);
  writer.array(shape.length);
  for (const extent of shape) writer.uint(extent);
  writer.bytes(digest);
  return hash(LEAF, writer.finish());
}

// The left subtree is the largest full one, as in RFC 6962, section 2.1.
function root(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves;
  if (only === undefined) return hash();
  if (leaves.length === 1) return only;
  const left = 2 ** (Math.ceil(Math.log2(leaves.length)) - 1);
  return hash(NODE, root(leaves.slice(0, left)), root(leaves.slice(left)));
}

function hash(...parts: readonly Uint8Array[]): Uint8Array {
  return createHash('sha256')
    .update(concat(...parts))
    .digest();
}
