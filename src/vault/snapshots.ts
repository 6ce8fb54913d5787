/**
 * What a vault held when it was committed to, so that a later look can say what differs: a commitment itself is one
 * hash and says only that something does.
 */
import { concat, equalBytes, toHex } from '../base/bytes.ts';
import { record, text, uint } from '../protocol/schema.ts';
import type { Commitment } from '../protocol/transaction.ts';
import type { BookChange } from './books.ts';
import { chunkId } from './chunk.ts';
import type { DocumentRecord } from './document.ts';
import { NAME_BYTES_MAX, SNAPSHOTS_MAX } from './limits.ts';
import { VAULT_SCHEME, vaultCommitment } from './proof.ts';
import type { Vault } from './vault.ts';

const headRecord = record('vault-snapshot', { atMs: uint() });
const nameRecord = record('vault-snapshot-name', { name: text(NAME_BYTES_MAX) });
const HEAD = Uint8Array.of(0);
const DOCUMENT = Uint8Array.of(1);
const ROOT_BYTES = 32;
const BATCH = 1000;
/** Most names that are told of each kind of difference. */
const TOLD_MAX = 100;

/** How a vault stands to a commitment. */
export interface Verification {
  /** It holds exactly what was committed to, and every passage is sound. */
  readonly matches: boolean;
  /** The commitment to what it holds now. */
  readonly now: Commitment;
  /** Names of documents of which a passage is missing or not what its id says. */
  readonly damaged: readonly string[];
  /** What differs from what was committed to; absent where it is not known what that was. */
  readonly since?: {
    readonly atMs: number;
    readonly added: readonly string[];
    readonly changed: readonly string[];
    readonly removed: readonly string[];
  };
}

/** The commitment to what `vault` holds, whose documents are remembered under it. */
export async function commitVault(vault: Vault, nowMs: number): Promise<Commitment> {
  const commitment = await vaultCommitment(vault);
  const { root } = commitment;
  if ((await vault.books.get('s', concat(root, HEAD))) !== undefined) return commitment;
  let batch: BookChange[] = [];
  for await (const { id, names } of vault.documents()) {
    const value = nameRecord.encode({ name: names[0] ?? '' });
    batch.push({ book: 's', name: concat(root, DOCUMENT, id), value });
    if (batch.length < BATCH) continue;
    await vault.books.write(batch);
    batch = [];
  }
  batch.push({ book: 's', name: concat(root, HEAD), value: headRecord.encode({ atMs: nowMs }) });
  await vault.books.write(batch, { sync: true });
  await dropOldest(vault);
  return commitment;
}

/** Looks at every passage, and at what differs from the commitment `trusted`. */
export async function verifyVault(vault: Vault, trusted: Commitment): Promise<Verification> {
  const now = await vaultCommitment(vault);
  const same = trusted.scheme === VAULT_SCHEME && equalBytes(trusted.root, now.root);
  const damaged: string[] = [];
  for await (const document of vault.documents()) {
    if (damaged.length < TOLD_MAX && !(await isSound(vault, document))) damaged.push(document.names[0] ?? '');
  }
  if (same) return { matches: damaged.length === 0, now, damaged };
  const since = await differences(vault, trusted.root);
  return { matches: false, now, damaged, ...(since !== undefined && { since }) };
}

/** Takes the name of a document out of what is remembered of commitments. In how many it stands. */
export async function forgetName(vault: Vault, document: Uint8Array): Promise<number> {
  const changes: BookChange[] = [];
  for (const { root } of await snapshots(vault)) {
    const name = concat(root, DOCUMENT, document);
    if ((await vault.books.get('s', name)) === undefined) continue;
    changes.push({ book: 's', name, value: nameRecord.encode({ name: '' }) });
  }
  if (changes.length > 0) await vault.books.write(changes, { sync: true });
  return changes.length;
}

async function isSound(vault: Vault, document: DocumentRecord): Promise<boolean> {
  let ordinal = 0;
  for await (const chunk of vault.passages(document)) {
    if (chunk.ordinal !== ordinal || !equalBytes(chunkId(chunk), chunk.id)) return false;
    ordinal++;
  }
  return ordinal === document.chunks;
}

async function differences(vault: Vault, root: Uint8Array): Promise<Verification['since']> {
  const stored = await vault.books.get('s', concat(root, HEAD));
  if (stored === undefined) return undefined;
  const then = new Map<string, string>();
  for await (const [name, value] of vault.books.entries('s', concat(root, DOCUMENT))) {
    then.set(toHex(name.subarray(ROOT_BYTES + 1)), nameRecord.decode(value).name);
  }
  const added: string[] = [];
  for await (const { id, names } of vault.documents()) {
    if (!then.delete(toHex(id))) added.push(names[0] ?? '');
  }
  const gone = [...then].map(([id, name]) => name || `a document that was forgotten (${id.slice(0, 12)})`);
  const told = (names: readonly string[]): readonly string[] => [...names].sort().slice(0, TOLD_MAX);
  const changed = new Set(added.filter((name) => gone.includes(name)));
  return {
    atMs: headRecord.decode(stored).atMs,
    added: told(added.filter((name) => !changed.has(name))),
    changed: told([...changed]),
    removed: told(gone.filter((name) => !changed.has(name))),
  };
}

async function snapshots(vault: Vault): Promise<{ readonly root: Uint8Array; readonly atMs: number }[]> {
  const found: { readonly root: Uint8Array; readonly atMs: number }[] = [];
  let last: Uint8Array | undefined;
  for await (const [name, value] of vault.books.entries('s')) {
    const root = name.subarray(0, ROOT_BYTES);
    if (last !== undefined && equalBytes(root, last)) continue;
    last = root;
    // The head is the first record of each; one without was not written to its end.
    const whole = name.length === ROOT_BYTES + HEAD.length;
    found.push({ root, atMs: whole ? headRecord.decode(value).atMs : 0 });
  }
  return found.sort((a, b) => a.atMs - b.atMs);
}

async function dropOldest(vault: Vault): Promise<void> {
  const all = await snapshots(vault);
  for (const { root } of all.slice(0, Math.max(0, all.length - SNAPSHOTS_MAX))) {
    let batch: BookChange[] = [];
    for await (const [name] of vault.books.entries('s', root)) {
      batch.push({ book: 's', name, value: undefined });
      if (batch.length < BATCH) continue;
      await vault.books.write(batch);
      batch = [];
    }
    await vault.books.write(batch);
  }
}
