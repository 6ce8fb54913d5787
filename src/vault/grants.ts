/**
 * To whom a vault's owner gave keys, for what and until when, and the epoch in which new documents are kept. A
 * revocation begins another epoch, and so does a grant that ran out, before anything else is kept: who had a key reads
 * what came up to then and nothing later. What was read cannot be taken back. KNOW-107 to KNOW-114 are normative.
 */
import { compareBytes, equalBytes } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import {
  bytes,
  type Field,
  list,
  oneOf,
  optional,
  record,
  type Schema,
  u32,
  uint,
} from '../protocol/schema.ts';
import type { Books } from './books.ts';
import { GRANTS_MAX, VAULT_EPOCHS_MAX } from './limits.ts';

/** What a grant may be for. */
export const PURPOSES = ['answer', 'train', 'label', 'export'] as const;

/** One of them. */
export type Purpose = (typeof PURPOSES)[number];

/** One grant as the owner keeps it. */
export interface Grant {
  /** 16 random bytes. */
  readonly id: Uint8Array;
  /** DID's key of the reader, 32 bytes. */
  readonly reader: Uint8Array;
  readonly purposes: readonly Purpose[];
  /** The last epoch that it opens. */
  readonly epoch: number;
  readonly grantedAtMs: number;
  /** End of the time in which it may be used; absent: none. */
  readonly expiresAtMs: number | undefined;
  /** When it was taken back or, having run out, closed by another epoch. */
  readonly endedAtMs: number | undefined;
}

/** A list of purposes on the wire and on disk. */
export const purposeList: Field<readonly Purpose[]> = list(oneOf(...PURPOSES), PURPOSES.length);

const grantRecord: Schema<Grant> = record('vault-grant-kept', {
  id: bytes(16),
  reader: bytes(32),
  purposes: purposeList,
  epoch: u32,
  grantedAtMs: uint(),
  expiresAtMs: optional(uint()),
  endedAtMs: optional(uint()),
});

const EPOCH_NAME = new Uint8Array(0);
const epochRecord = record('vault-epoch', { epoch: u32 });

/** The grants of one vault, and its epoch. Calls are made one after the other. */
export class GrantBook {
  readonly #books: Books;
  readonly #grants: Grant[];
  #epoch: number;

  private constructor(books: Books, grants: Grant[], epoch: number) {
    this.#books = books;
    this.#grants = grants;
    this.#epoch = epoch;
  }

  /** Reads them. Throws `store-corrupt`. */
  static async open(books: Books): Promise<GrantBook> {
    const grants: Grant[] = [];
    for await (const [, value] of books.entries('g')) grants.push(grantRecord.decode(value));
    const stored = await books.get('e', EPOCH_NAME);
    const epoch = stored === undefined ? 0 : epochRecord.decode(stored).epoch;
    grants.sort((a, b) => a.grantedAtMs - b.grantedAtMs || compareBytes(a.id, b.id));
    return new GrantBook(books, grants, epoch);
  }

  /** All, oldest first. */
  list(): readonly Grant[] {
    return this.#grants;
  }

  /** The epoch in which what is kept at `nowMs` stands; another one first when a grant has run out since. */
  async epochAt(nowMs: number): Promise<number> {
    const over = this.#grants.filter((grant) => grant.endedAtMs === undefined && expired(grant, nowMs));
    if (over.length > 0) await this.#end(over, nowMs);
    return this.#epoch;
  }

  /**
   * Keeps a grant of the present epoch; on disk when it resolves. Throws `usage` without a purpose or with an end in
   * the past, `home-full` above `GRANTS_MAX`.
   */
  async add(grant: Pick<Grant, 'id' | 'reader' | 'purposes' | 'expiresAtMs'>, nowMs: number): Promise<Grant> {
    const purposes = PURPOSES.filter((purpose) => grant.purposes.includes(purpose));
    if (purposes.length === 0) throw new SaharaError('usage', { reason: 'A grant has a purpose' });
    if (grant.expiresAtMs !== undefined && grant.expiresAtMs <= nowMs) {
      throw new SaharaError('usage', { reason: 'A grant ends in the future' });
    }
    if (this.#grants.length >= GRANTS_MAX) await this.#dropEnded();
    const epoch = await this.epochAt(nowMs);
    const kept: Grant = { ...grant, purposes, epoch, grantedAtMs: nowMs, endedAtMs: undefined };
    await this.#books.write([{ book: 'g', name: kept.id, value: grantRecord.encode(kept) }], { sync: true });
    this.#grants.push(kept);
    return kept;
  }

  /** Takes back every grant of a reader that has not ended, and begins another epoch. How many there were. */
  async revoke(reader: Uint8Array, nowMs: number): Promise<number> {
    const given = this.#grants.filter((grant) => !grant.endedAtMs && equalBytes(grant.reader, reader));
    if (given.length > 0) await this.#end(given, nowMs);
    return given.length;
  }

  async #end(ending: readonly Grant[], nowMs: number): Promise<void> {
    const epoch = this.#epoch + 1;
    if (epoch >= VAULT_EPOCHS_MAX) {
      throw new SaharaError('home-full', { what: 'epochs of a vault', limit: VAULT_EPOCHS_MAX });
    }
    const ended = ending.map((grant) => ({ ...grant, endedAtMs: nowMs }));
    const changes = ended.map((grant) => ({
      book: 'g' as const,
      name: grant.id,
      value: grantRecord.encode(grant),
    }));
    const next = { book: 'e' as const, name: EPOCH_NAME, value: epochRecord.encode({ epoch }) };
    await this.#books.write([...changes, next], { sync: true });
    for (const grant of ended) {
      this.#grants[this.#grants.findIndex(({ id }) => equalBytes(id, grant.id))] = grant;
    }
    this.#epoch = epoch;
  }

  /** Makes room by forgetting the oldest grant that has ended. */
  async #dropEnded(): Promise<void> {
    const at = this.#grants.findIndex(({ endedAtMs }) => endedAtMs !== undefined);
    const oldest = this.#grants[at];
    if (oldest === undefined) {
      throw new SaharaError('home-full', { what: 'grants of a vault', limit: GRANTS_MAX });
    }
    await this.#books.write([{ book: 'g', name: oldest.id, value: undefined }], { sync: true });
    this.#grants.splice(at, 1);
  }
}

function expired({ expiresAtMs }: Pick<Grant, 'expiresAtMs'>, nowMs: number): boolean {
  return expiresAtMs !== undefined && expiresAtMs <= nowMs;
}

/** How a grant stands at `nowMs`. */
export function standingOf(grant: Grant, nowMs: number): 'active' | 'expired' | 'revoked' {
  if (expired(grant, grant.endedAtMs ?? nowMs)) return 'expired';
  return grant.endedAtMs === undefined ? 'active' : 'revoked';
}
