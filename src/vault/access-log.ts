/** Who did what with a vault, for which purpose and when: the newest `ACCESSES_MAX` entries, sealed like everything. */
import { readU64be, u64be } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { record, type Schema, text, uint } from '../protocol/schema.ts';
import type { BookChange, Books } from './books.ts';
import { ACCESSES_MAX } from './limits.ts';

/** One access. What was asked or quoted is not in it. */
export interface Access {
  readonly atMs: number;
  /** A DID, or `operator`. */
  readonly who: string;
  /** What was done: `search`, `answer`, `import`, `export`, `grant`, `revoke`, `forget`, `verify`. */
  readonly action: string;
  /** What for: the purpose of the grant or call behind it. */
  readonly purpose: string;
  /** Passages that were handed out, or documents that were touched. */
  readonly count: number;
  /** More about it: an agent's name, a reader's DID, a document's name. */
  readonly about: string;
}

const accessRecord: Schema<Access> = record('vault-access', {
  atMs: uint(),
  who: text(128),
  action: text(16),
  purpose: text(16),
  count: uint(),
  about: text(1024),
});

/** Records accesses and tells of them. */
export interface AccessLog {
  /** Writes an access down. */
  add(access: Omit<Access, 'atMs'>): Promise<void>;
  /** The newest ones first. */
  list(limit: number): Promise<readonly Access[]>;
}

/** The access log in `books`. */
export async function openAccessLog(parts: {
  readonly books: Books;
  readonly clock: Clock;
}): Promise<AccessLog> {
  const { books, clock } = parts;
  let next = 0n;
  for await (const [name] of books.entries('a', undefined, { reverse: true, limit: 1 })) {
    next = readU64be(name) + 1n;
  }
  return {
    async add(access) {
      const number = next++;
      const value = accessRecord.encode({ ...access, atMs: clock.nowMs() });
      const changes: BookChange[] = [{ book: 'a', name: u64be(number), value }];
      const last = number - BigInt(ACCESSES_MAX);
      if (last >= 0n) changes.push({ book: 'a', name: u64be(last), value: undefined });
      await books.write(changes);
    },
    async list(limit) {
      const found: Access[] = [];
      for await (const [, value] of books.entries('a', undefined, { reverse: true, limit })) {
        found.push(accessRecord.decode(value));
      }
      return found;
    },
  };
}
