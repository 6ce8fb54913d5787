/**
 * What the owners of imported archives allow with them. A vault that holds something of another's vault may be used
 * only for what every one of their grants allows, and while none has run out. Programs hold to it, keys cannot make
 * them: who has read a text can keep it.
 */
import { bytes, optional, record, type Schema, text, uint } from '../protocol/schema.ts';
import type { Books } from './books.ts';
import { type GrantTerms, grantRefused } from './grant-file.ts';
import { type Purpose, purposeList } from './grants.ts';

/** Terms under which something of another vault was imported. */
export interface KeptTerms {
  readonly owner: Uint8Array;
  readonly name: string;
  readonly purposes: readonly Purpose[];
  readonly expiresAtMs: number | undefined;
}

const keptTerms: Schema<KeptTerms> = record('vault-terms', {
  owner: bytes(32),
  name: text(64),
  purposes: purposeList,
  expiresAtMs: optional(uint()),
});

/** Keeps the terms of a grant (16 bytes name it) beside what is imported under it; on disk when this resolves. */
export async function keepTerms(books: Books, terms: KeptTerms & Pick<GrantTerms, 'id'>): Promise<void> {
  await books.write([{ book: 'r', name: terms.id, value: keptTerms.encode(terms) }], { sync: true });
}

/** All terms that a vault is under. */
export async function termsOf(books: Books): Promise<readonly KeptTerms[]> {
  const all: KeptTerms[] = [];
  for await (const [, value] of books.entries('r')) all.push(keptTerms.decode(value));
  return all;
}

/** Throws `grant-refused` where a vault may not be used for `purpose` at `nowMs`. */
export async function checkPurpose(books: Books, purpose: Purpose, nowMs: number): Promise<void> {
  for (const terms of await termsOf(books)) {
    if (terms.expiresAtMs !== undefined && terms.expiresAtMs <= nowMs) {
      throw grantRefused(`the grant of ${terms.name}, from which something here comes, has run out`);
    }
    if (!terms.purposes.includes(purpose)) {
      const allowed = terms.purposes.join(', ');
      throw grantRefused(
        `something here comes from ${terms.name}, whose grant is for ${allowed} and not for ${purpose}`,
      );
    }
  }
}
