import { describe, expect, it } from 'vitest';
import { fromHex, toHex, utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { systemDice } from '../../src/base/random.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createSealKey, type SealKey } from '../../src/protocol/seal.ts';
import { openBox } from '../../src/protocol/sealed-box.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import { ARCHIVE_MAGIC, writeArchive } from '../../src/vault/archive.ts';
import { checkArchive, openArchive } from '../../src/vault/archive-reader.ts';
import { preparedFrom } from '../../src/vault/archived.ts';
import {
  type grantRefused,
  makeGrant,
  type OpenedGrant,
  openGrant,
  type SignsFor,
} from '../../src/vault/grant-file.ts';
import { type Grant, GrantBook, type Purpose, standingOf } from '../../src/vault/grants.ts';
import { ACCESSES_MAX } from '../../src/vault/limits.ts';
import { readReadable, writeReadable } from '../../src/vault/readable.ts';
import { vaultKeys } from '../../src/vault/sealed/key-tree.ts';
import { commitVault, forgetName, verifyVault } from '../../src/vault/snapshots.ts';
import { checkPurpose, keepTerms } from '../../src/vault/terms.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { addText } from './fixtures.ts';
import { readVectors } from './vectors.ts';

interface Party {
  readonly signer: Signer & { readonly signing: Uint8Array };
  readonly did: Uint8Array;
  readonly seal: SealKey;
}

async function party(fill: number): Promise<Party> {
  const seed = new Uint8Array(32).fill(fill);
  const { publicKey: did, sign } = createSigner(seed);
  return { did, seal: await createSealKey(seed), signer: { publicKey: did, signing: did, sign } };
}

const [owner, reader, stranger] = await Promise.all([party(1), party(2), party(3)]);
const signsFor: SignsFor = (did, key) => toHex(did) === toHex(key);
const nowMs = 1_700_000_000_000;

const sealed = (): Promise<Vault> =>
  openVault({ store: createMemoryStore(), clock: systemClock }, { keys: vaultKeys(systemDice.bytes(32)) });

async function give(
  vault: Vault,
  purposes: readonly Purpose[] = ['answer', 'export'],
  expiresAtMs?: number,
): Promise<{ grant: Grant; file: Uint8Array }> {
  const id = systemDice.bytes(16);
  const grant = await vault.grants.add({ id, reader: reader.did, purposes, expiresAtMs }, nowMs);
  const { keys } = vault;
  if (keys === undefined) throw new Error('it is sealed');
  const terms = { ...grant, vault: keys.id, name: 'notes', owner: owner.did };
  return {
    grant,
    file: await makeGrant({ terms, sealedTo: reader.did }, keys.epoch(grant.epoch), owner.signer),
  };
}

const opened = (file: Uint8Array, by: Party = reader, atMs: number = nowMs): Promise<OpenedGrant> =>
  openGrant(file, { reader: by.did, nowMs: atMs, signsFor, keyOf: async () => by.seal });

async function archiveOf(vault: Vault, grant?: Uint8Array): Promise<Uint8Array[]> {
  const parts = { vault, name: 'notes', owner: owner.did, signer: owner.signer, dice: systemDice, nowMs };
  const pieces: Uint8Array[] = [];
  for await (const piece of writeArchive({ ...parts, ...(grant && { grant }) })) pieces.push(piece);
  return pieces;
}

const source = (pieces: readonly Uint8Array[]) =>
  async function* () {
    for (const piece of pieces) {
      // In two parts, so that frames do not come whole.
      yield piece.subarray(0, 3);
      yield piece.subarray(3);
    }
  };

async function readable(
  pieces: readonly Uint8Array[],
  grant: OpenedGrant,
): Promise<{ names: string[]; later: number }> {
  const names: string[] = [];
  let later = 0;
  for await (const { document } of openArchive(source(pieces), grant, () => later++))
    names.push(...document.names);
  return { names: names.sort(), later };
}

describe('grants', () => {
  it('KNOW-107, KNOW-108: give the key of the epoch to one reader, who is told what for and until when', async () => {
    const vault = await sealed();
    const { file, grant } = await give(vault, ['export', 'answer'], nowMs + 1000);
    const { terms, epochKey } = await opened(file);
    expect(terms).toMatchObject({
      name: 'notes',
      purposes: ['answer', 'export'],
      expiresAtMs: nowMs + 1000,
      epoch: 0,
    });
    expect(epochKey(0)).toEqual(vault.keys?.epoch(0));
    expect(epochKey(1)).toBeUndefined();
    expect(standingOf(grant, nowMs)).toBe('active');
    expect(standingOf(grant, nowMs + 1000)).toBe('expired');
  });

  it('KNOW-109: are refused in order: no grant, for another, of another, expired, not to be opened', async () => {
    const vault = await sealed();
    const { file } = await give(vault, ['answer'], nowMs + 1000);
    const reasons: string[] = [];
    const refused = async (promise: Promise<unknown>): Promise<void> => {
      const error: unknown = await promise.catch((failure: unknown) => failure);
      reasons.push((error as ReturnType<typeof grantRefused>).facts.reason as string);
    };
    await refused(opened(utf8('nonsense')));
    await refused(opened(file, stranger));
    const bent = file.slice();
    bent[file.length - 1] = (bent[file.length - 1] ?? 0) ^ 1;
    // With two faults the earlier one is told.
    await refused(opened(bent, reader, nowMs + 5000));
    await refused(opened(file, reader, nowMs + 1000));
    await refused(openGrant(file, { reader: reader.did, nowMs, signsFor, keyOf: async () => stranger.seal }));
    expect(reasons).toEqual([
      'it is no grant',
      'it was given to somebody else',
      'its signature is not the owner’s',
      'its time is over',
      'the key that it is sealed to is not here',
    ]);
  });

  it('KNOW-110: a box of the vectors opens, and under nothing else', async () => {
    const { valid } =
      readVectors<Record<'seed' | 'info' | 'context' | 'encapsulated' | 'sealed' | 'plain', string>>(
        'vault-box',
      );
    const hex = (text: string): Uint8Array => fromHex(text) ?? new Uint8Array(0);
    for (const vector of valid) {
      const key = await createSealKey(hex(vector.seed));
      const box = { encapsulated: hex(vector.encapsulated), sealed: hex(vector.sealed) };
      const of = { info: hex(vector.info), context: hex(vector.context) };
      expect(toHex(await openBox(key, of, box))).toBe(vector.plain);
      await expect(openBox(key, { ...of, context: utf8('x') }, box)).rejects.toMatchObject({
        code: 'seal-invalid',
      });
      await expect(openBox(stranger.seal, of, box)).rejects.toMatchObject({ code: 'seal-invalid' });
    }
  });

  it('KNOW-112, KNOW-113: a revoked reader cannot read what came after, with the old key and the new archive', async () => {
    const vault = await sealed();
    await addText(vault, 'before.txt', 'Camels drink at dawn.');
    const { file } = await give(vault);
    const grant = await opened(file);
    expect(await readable(await archiveOf(vault), grant)).toEqual({ names: ['before.txt'], later: 0 });
    expect(await vault.grants.revoke(reader.did, nowMs + 1)).toBe(1);
    expect(await vault.grants.revoke(reader.did, nowMs + 1)).toBe(0);
    await addText(vault, 'after.txt', 'The new well is behind the dune.');
    const pieces = await archiveOf(vault);
    expect(await readable(pieces, grant)).toEqual({ names: ['before.txt'], later: 1 });
    // Not by pretending either: an old key under a new epoch's number opens nothing.
    const forged: OpenedGrant = { ...grant, epochKey: () => grant.epochKey(0) };
    await expect(readable(pieces, forged)).rejects.toMatchObject({ code: 'archive-invalid' });
    const again = await opened((await give(vault)).file);
    expect(await readable(pieces, again)).toEqual({ names: ['after.txt', 'before.txt'], later: 0 });
  });

  it('KNOW-112: a grant that has run out begins another epoch before anything is kept', async () => {
    const store = createMemoryStore();
    const keys = vaultKeys(systemDice.bytes(32));
    const vault = await openVault({ store, clock: systemClock }, { keys });
    const soon = systemClock.nowMs() + 5;
    await vault.grants.add(
      { id: systemDice.bytes(16), reader: reader.did, purposes: ['answer'], expiresAtMs: soon },
      soon - 5,
    );
    await new Promise((resolve) => systemClock.after(20, () => resolve(undefined)));
    const { document } = await addText(vault, 'late.txt', 'Too late.');
    expect(await vault.epochOf(document)).toBe(1);
    // It is remembered.
    const book = await GrantBook.open(vault.books);
    expect(await book.epochAt(soon + 1000)).toBe(1);
    expect(book.list().map((grant) => standingOf(grant, soon + 1000))).toEqual(['expired']);
  });
});

describe('archives', () => {
  it('KNOW-111: keep everything and its commitment', async () => {
    const vault = await sealed();
    for (let n = 0; n < 5; n++)
      await addText(vault, `${n}.txt`, `Camel ${n} walks.\n\n${'It is far. '.repeat(300)}`);
    await addText(vault, 'copy.txt', `Camel 1 walks.\n\n${'It is far. '.repeat(300)}`);
    const { file } = await give(vault);
    const pieces = await archiveOf(vault, file);
    const header = await checkArchive(source(pieces), signsFor);
    expect(header.grant).toEqual(file);
    const copy = await sealed();
    for await (const archived of openArchive(source(pieces), await opened(file), () => {})) {
      await copy.keep(preparedFrom(archived));
    }
    expect(await copy.commitment()).toEqual(await vault.commitment());
    expect((await copy.document('copy.txt'))?.names.length).toBe(2);
    const raw = Buffer.concat(pieces).toString('latin1');
    expect(raw.includes('amel')).toBe(false);
  });

  it('KNOW-114: that were changed, cut, extended or signed by another are refused', async () => {
    const vault = await sealed();
    await addText(vault, 'a.txt', 'Camels drink at dawn.');
    await addText(vault, 'b.txt', 'Dunes move.');
    const pieces = await archiveOf(vault);
    const whole = Buffer.concat(pieces);
    const broken = async (bytes: Uint8Array): Promise<void> => {
      await expect(checkArchive(source([bytes]), signsFor)).rejects.toMatchObject({
        code: 'archive-invalid',
      });
    };
    for (let at = 0; at < whole.length; at += 7) {
      const bent = Buffer.from(whole);
      bent[at] = (bent[at] ?? 0) ^ 0x40;
      await broken(bent);
    }
    for (const end of [0, 10, ARCHIVE_MAGIC.length, whole.length - 1]) await broken(whole.subarray(0, end));
    await broken(Buffer.concat(pieces.slice(0, -1)));
    await broken(Buffer.concat([...pieces, pieces[2] ?? new Uint8Array(0)]));
    await broken(Buffer.concat([...pieces.slice(0, 2), ...pieces.slice(4)]));
    await expect(checkArchive(source(pieces), () => false)).rejects.toMatchObject({
      code: 'archive-invalid',
    });
  });

  it('KNOW-115: in readable form come back as they were; what is not one is refused with its line', async () => {
    const vault = await sealed();
    await addText(vault, 'a.txt', 'Camels drink at dawn.');
    await addText(vault, 'b.txt', 'Dunes move.\n\nSlowly.');
    const lines: string[] = [];
    for await (const line of writeReadable(vault, 'notes')) lines.push(line);
    const copy = await sealed();
    const from = async function* (all: readonly string[]) {
      yield* all;
    };
    for await (const archived of readReadable(from(lines))) await copy.keep(preparedFrom(archived));
    expect(await copy.commitment()).toEqual(await vault.commitment());
    for (const bad of [['{}'], [lines[0] ?? '', 'x'], [lines[0] ?? '', '{"names": 1}'], []]) {
      const all = (async () => {
        for await (const _ of readReadable(from(bad)));
      })();
      await expect(all).rejects.toMatchObject({ code: 'archive-invalid' });
    }
  });
});

describe('terms', () => {
  it('KNOW-116: what came under a grant is used for its purposes alone, until it runs out', async () => {
    const owned = await sealed();
    const { file } = await give(owned, ['answer'], nowMs + 1000);
    const copy = await sealed();
    await checkPurpose(copy.books, 'export', nowMs);
    await keepTerms(copy.books, (await opened(file)).terms);
    await checkPurpose(copy.books, 'answer', nowMs);
    for (const purpose of ['export', 'train', 'label'] as const) {
      await expect(checkPurpose(copy.books, purpose, nowMs)).rejects.toMatchObject({ code: 'grant-refused' });
    }
    await expect(checkPurpose(copy.books, 'answer', nowMs + 1000)).rejects.toMatchObject({
      code: 'grant-refused',
    });
  });
});

describe('what was committed to', () => {
  it('KNOW-117: verifies, and what differs since is named', async () => {
    const vault = await sealed();
    await addText(vault, 'kept.txt', 'Camels drink at dawn.');
    await addText(vault, 'changed.txt', 'Dunes move.');
    await addText(vault, 'gone.txt', 'Wells are deep.');
    const { document } = await addText(vault, 'secret.txt', 'Forget this.');
    const committed = await commitVault(vault, nowMs);
    expect(await verifyVault(vault, committed)).toMatchObject({ matches: true, damaged: [] });
    await addText(vault, 'changed.txt', 'Dunes stand still.');
    await addText(vault, 'new.txt', 'Rain is rare.');
    await vault.remove('gone.txt');
    expect(await forgetName(vault, document.id)).toBe(1);
    await vault.forget('secret.txt');
    const found = await verifyVault(vault, committed);
    expect(found).toMatchObject({
      matches: false,
      since: { added: ['new.txt'], changed: ['changed.txt'], atMs: nowMs },
    });
    expect(found.since?.removed[0]).toContain('forgotten');
    expect(found.since?.removed[1]).toBe('gone.txt');
    const unknown = await verifyVault(vault, { ...committed, root: new Uint8Array(32) });
    expect(unknown.matches).toBe(false);
    expect(unknown.since).toBeUndefined();
    // Only so many are remembered.
    for (let n = 0; n < 10; n++) {
      await addText(vault, 'n.txt', `Number ${n} is here.`);
      await commitVault(vault, nowMs + n + 1);
    }
    expect((await verifyVault(vault, committed)).since).toBeUndefined();
  });
});

describe('the access log', () => {
  it('KNOW-123: keeps the newest entries, over a restart too', async () => {
    const store = createMemoryStore();
    const keys = vaultKeys(systemDice.bytes(32));
    let vault = await openVault({ store, clock: systemClock }, { keys });
    const access = (count: number) => ({
      who: 'operator',
      action: 'search',
      purpose: 'answer',
      count,
      about: '',
    });
    for (let n = 0; n < 20; n++) await vault.accesses.add(access(n));
    vault = await openVault({ store, clock: systemClock }, { keys });
    for (let n = 20; n < ACCESSES_MAX + 5; n++) await vault.accesses.add(access(n));
    expect((await vault.accesses.list(3)).map(({ count }) => count)).toEqual(
      [4, 3, 2].map((n) => ACCESSES_MAX + n),
    );
    expect((await vault.accesses.list(2 * ACCESSES_MAX)).length).toBe(ACCESSES_MAX);
  });
});
