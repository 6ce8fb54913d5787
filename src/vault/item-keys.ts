/** Where keys of items and the records of books stand in the vault's store, beside what `keys.ts` places. */
import { concat, u32be } from '../base/bytes.ts';
import type { StoreRange } from '../base/store.ts';
import { range } from './keys.ts';

const tag = (letter: string): Uint8Array => Uint8Array.of(letter.charCodeAt(0));
const ITEM = tag('k');
const BOOK = tag('b');

/** The wrapped key of an item. */
export function itemKey(item: number): Uint8Array {
  return concat(ITEM, u32be(item));
}

/** A record of a book (grants, accesses, commitments, watched folders) under its name there. */
export function bookKey(book: string, name: Uint8Array): Uint8Array {
  return concat(BOOK, tag(book), name);
}

/** The records of a book whose names begin with `prefix`. */
export function bookRange(book: string, prefix: Uint8Array): StoreRange {
  return range(bookKey(book, prefix));
}
