/** Grants of this home's vaults to others, and vaults that leave and come as files. */
import { createReadStream, createWriteStream, existsSync, statSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { equalBytes } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Dice } from '../base/random.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { PublicKey } from '../protocol/ids.ts';
import { ARCHIVE_MAGIC, writeArchive } from '../vault/archive.ts';
import { type ArchivedDocument, checkArchive, openArchive } from '../vault/archive-reader.ts';
import { preparedFrom } from '../vault/archived.ts';
import type { DocumentRecord } from '../vault/document.ts';
import { GRANT_BYTES_MAX, grantRefused, makeGrant, openGrant, type SignsFor } from '../vault/grant-file.ts';
import type { Grant, Purpose } from '../vault/grants.ts';
import { readReadable, writeReadable } from '../vault/readable.ts';
import { checkPurpose, keepTerms } from '../vault/terms.ts';
import type { Outcome } from '../vault/transaction.ts';
import type { Vault } from '../vault/vault.ts';
import type { DaemonKeys } from './keys.ts';
import type { OperatorKey } from './operator-key.ts';
import { writeReading } from './vault-reading.ts';

/** What vaults are shared with. */
export interface SharingParts {
  readonly keys: DaemonKeys;
  readonly key: OperatorKey;
  readonly ledger: Pick<Ledger, 'identity'>;
  readonly clock: Clock;
  readonly dice: Dice;
}

/** A vault with its name here. */
export interface NamedVault {
  readonly name: string;
  readonly vault: Vault;
}

/** For whom a grant is, what for and until when. */
export interface GrantWish {
  readonly reader: PublicKey;
  readonly purposes: readonly Purpose[];
  readonly expiresAtMs: number | undefined;
}

/** How far a file is. */
export type SharingEvent =
  | {
      readonly type: 'document';
      readonly document: string;
      readonly outcome?: Outcome;
      readonly chunks: number;
    }
  | { readonly type: 'later'; readonly documents: number };

/** Makes a grant: the record in the vault, and the file for its reader. Throws `usage`, `seal-invalid`, `grant-refused`. */
export async function grantVault(
  parts: SharingParts,
  { name, vault }: NamedVault,
  wish: GrantWish,
): Promise<{ readonly grant: Grant; readonly file: Uint8Array }> {
  const { keys } = vault;
  if (keys === undefined) throw new SaharaError('internal', { reason: 'vaults of a home are sealed' });
  const nowMs = parts.clock.nowMs();
  await checkPurpose(vault.books, 'export', nowMs);
  const sealedTo = parts.ledger.identity(wish.reader)?.key ?? wish.reader;
  const id = parts.dice.bytes(16);
  const grant = await vault.quiet(() => vault.grants.add({ ...wish, id }, nowMs));
  const terms = { ...grant, vault: keys.id, name, owner: parts.key.publicKey };
  return { grant, file: await makeGrant({ terms, sealedTo }, keys.epoch(grant.epoch), parts.key) };
}

/** Writes an archive to the file `path`, which is there whole or not at all. With `wish`, a grant goes along. */
export async function* exportArchive(
  parts: SharingParts,
  named: NamedVault,
  to: { readonly path: string; readonly wish?: GrantWish },
): AsyncGenerator<SharingEvent> {
  const { clock, dice, key: signer } = parts;
  const nowMs = clock.nowMs();
  await checkPurpose(named.vault.books, 'export', nowMs);
  const grant = to.wish === undefined ? undefined : (await grantVault(parts, named, to.wish)).file;
  const told = new Told();
  const of = { ...named, owner: signer.publicKey, signer, dice, nowMs, ...(grant && { grant }) };
  yield* told.during(writeWhole(to.path, writeArchive(of, told.document)));
}

/** Writes a readable export to the file or folder `path`. */
export async function* exportReadable(
  parts: Pick<SharingParts, 'clock'>,
  { name, vault }: NamedVault,
  path: string,
): AsyncGenerator<SharingEvent> {
  await checkPurpose(vault.books, 'export', parts.clock.nowMs());
  const folder = path.endsWith('/') || (existsSync(path) && statSync(path).isDirectory());
  if (folder) {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await writeReading(vault, path);
  }
  const told = new Told();
  const lines = withEnds(writeReadable(vault, name, told.document));
  yield* told.during(writeWhole(folder ? join(path, READABLE_FILE) : path, lines));
}

/** Name of the file of a readable export in its folder. */
const READABLE_FILE = 'vault.jsonl';

/** Takes what an export holds into `vault`. Throws `file-missing`, `archive-invalid`, `grant-refused`. */
export async function* importExport(
  parts: SharingParts,
  vault: Vault,
  from: { readonly path: string; readonly grant?: Uint8Array | undefined; readonly signal: AbortSignal },
): AsyncGenerator<SharingEvent> {
  if (!existsSync(from.path)) throw new SaharaError('file-missing', { path: from.path });
  const path = statSync(from.path).isDirectory() ? join(from.path, READABLE_FILE) : from.path;
  if (!existsSync(path)) throw new SaharaError('file-missing', { path });
  const keep = async function* (documents: AsyncIterable<ArchivedDocument>): AsyncGenerator<SharingEvent> {
    for await (const archived of documents) {
      from.signal.throwIfAborted();
      for (const { outcome, document } of await vault.keep(preparedFrom(archived))) {
        yield { type: 'document', document: document.names[0] ?? '', outcome, chunks: document.chunks };
      }
    }
  };
  if (!(await isArchive(path))) {
    const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
    yield* keep(readReadable(lines));
    return;
  }
  const source = (): AsyncIterable<Uint8Array> => createReadStream(path);
  const header = await checkArchive(source, signsFor(parts));
  const encoded = from.grant ?? header.grant;
  if (encoded === undefined) throw grantRefused('the archive holds no grant: give one with --grant');
  const grant = await openGrant(encoded, {
    reader: parts.key.publicKey,
    nowMs: parts.clock.nowMs(),
    signsFor: signsFor(parts),
    keyOf: (key) => parts.keys.operatorSeal(key),
  });
  // Before anything is kept under them.
  if (!equalBytes(grant.terms.owner, parts.key.publicKey)) await keepTerms(vault.books, grant.terms);
  let later = 0;
  yield* keep(openArchive(source, grant, () => later++));
  if (later > 0) yield { type: 'later', documents: later };
}

/** A grant out of a file. Throws `file-missing`, `grant-refused`. */
export async function readGrantFile(path: string): Promise<Uint8Array> {
  if (!existsSync(path)) throw new SaharaError('file-missing', { path });
  if (statSync(path).size > GRANT_BYTES_MAX) throw grantRefused('it is no grant');
  return new Uint8Array(await readFile(path));
}

/** Writes a grant into a new file. Throws `usage` when something is there. */
export async function writeGrantFile(path: string, grant: Uint8Array): Promise<void> {
  if (existsSync(path)) throw new SaharaError('usage', { reason: `${path} is there already` });
  await writeWhole(path, one(grant));
}

function signsFor({ ledger }: Pick<SharingParts, 'ledger'>): SignsFor {
  return (did, key) => {
    const known = ledger.identity(did);
    return [did, known?.key, ...(known?.retired ?? []).map((retired) => retired.key)].some(
      (other) => other !== undefined && equalBytes(other, key),
    );
  };
}

async function isArchive(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const head = new Uint8Array(ARCHIVE_MAGIC.length);
    await file.read(head, 0, head.length, 0);
    return equalBytes(head, ARCHIVE_MAGIC);
  } finally {
    await file.close();
  }
}

/** Writes beside the place, 0600, and moves it there once it is whole. */
async function writeWhole(path: string, content: AsyncIterable<Uint8Array | string>): Promise<void> {
  const beside = `${path}.part`;
  try {
    await pipeline(content, createWriteStream(beside, { mode: 0o600, flush: true }));
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    if (error instanceof SaharaError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new SaharaError('usage', { reason: `${path} cannot be written: ${reason}` }, { cause: error });
  }
}

async function* withEnds(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`;
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Tells of documents while something else writes them. */
class Told {
  #waiting: SharingEvent[] = [];
  #wake: () => void = () => {};

  readonly document = ({ names, chunks }: DocumentRecord): void => {
    this.#waiting.push({ type: 'document', document: names[0] ?? '', chunks });
    this.#wake();
  };

  async *during(work: Promise<void>): AsyncGenerator<SharingEvent> {
    let done = false;
    const ended = work.finally(() => {
      done = true;
      this.#wake();
    });
    ended.catch(() => {});
    for (;;) {
      const [...events] = this.#waiting;
      this.#waiting = [];
      yield* events;
      if (done) break;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (done || this.#waiting.length > 0) resolve();
      });
    }
    await ended;
  }
}
