import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { concat, utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import {
  checkProof,
  commitmentOf,
  commitmentText,
  commitPath,
  type Part,
  provePath,
  readProof,
} from '../../src/daemon/content.ts';
import { contentProof } from '../../src/protocol/content.ts';
import { CONTENT_CHUNK_BYTES } from '../../src/protocol/limits.ts';
import { proveVaultChunk, VAULT_SCHEME, vaultCommitment } from '../../src/vault/proof.ts';
import { openVault } from '../../src/vault/vault.ts';

const folder = mkdtempSync(join(tmpdir(), 'sahara-content-'));
afterAll(() => rmSync(folder, { recursive: true }));
const { signal } = new AbortController();

/** A file that repeats nothing: each 32 bytes are a hash of their place. */
function fileOf(name: string, sizeBytes: number): { readonly path: string; readonly bytes: Uint8Array } {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < sizeBytes; at += 32)
    parts.push(createHash('sha256').update(`${name} ${at}`).digest());
  const bytes = concat(...parts).slice(0, sizeBytes);
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return { path, bytes };
}

const refused = (reason: RegExp) => ({
  code: 'content-invalid',
  facts: { reason: expect.stringMatching(reason) },
});
const chunk = (index: number): Part => ({ type: 'chunk', index });
const alone = (part: Part) => ({ part, inside: undefined });

describe('LEDGER-91: parts of a file', () => {
  const size = 2 * CONTENT_CHUNK_BYTES + 100;
  const { path, bytes } = fileOf('data', size);

  test('are proved by chunk and by bytes, and checked without the file', async () => {
    const trusted = await commitPath(path, { signal });
    for (const [part, first, last] of [
      [chunk(0), 0, 1],
      [chunk(2), 2, 3],
      [{ type: 'bytes', from: CONTENT_CHUNK_BYTES - 1, to: CONTENT_CHUNK_BYTES + 1 }, 0, 2],
      [{ type: 'bytes', from: size - 1, to: size }, 2, 3],
    ] as const) {
      const proven = checkProof(trusted, readProof(await provePath(path, alone(part), { signal })));
      const [from, to] = [first * CONTENT_CHUNK_BYTES, Math.min(size, last * CONTENT_CHUNK_BYTES)];
      expect(proven.offset).toBe(from);
      expect(Buffer.compare(concat(...proven.chunks), bytes.slice(from, to))).toBe(0);
    }
  });

  test('beyond the end, backwards, or too many at once are refused with the reason', async () => {
    const prove = (part: Part) => provePath(path, alone(part), { signal });
    await expect(prove(chunk(3))).rejects.toMatchObject(refused(/chunk 3 is beyond the end: there are 3/));
    await expect(prove({ type: 'bytes', from: 5, to: 5 })).rejects.toMatchObject(refused(/end before/));
    await expect(prove({ type: 'bytes', from: 0, to: size + 1 })).rejects.toMatchObject(refused(/beyond/));
    await expect(provePath(join(folder, 'none'), alone(chunk(0)), { signal })).rejects.toMatchObject({
      code: 'file-missing',
    });
    const large = join(folder, 'large');
    writeFileSync(large, '');
    truncateSync(large, 17 * CONTENT_CHUNK_BYTES);
    const whole = { type: 'bytes', from: 0, to: 17 * CONTENT_CHUNK_BYTES } as const;
    await expect(provePath(large, alone(whole), { signal })).rejects.toMatchObject(refused(/too many/));
  });

  test('LEDGER-94: a damaged proof, another size, another scheme and an unknown one prove nothing', async () => {
    const trusted = await commitPath(path, { signal });
    const file = await provePath(path, alone(chunk(1)), { signal });
    const damaged = file.slice();
    damaged[damaged.length - 200] = (damaged[damaged.length - 200] ?? 0) ^ 1;
    const check =
      (proof: Uint8Array, against = trusted) =>
      () =>
        checkProof(against, readProof(proof));
    expect(check(file)).not.toThrow();
    expect(check(damaged)).toThrow(expect.objectContaining({ code: 'content-invalid' }));
    expect(check(file.slice(1))).toThrow(expect.objectContaining(refused(/no proof/)));
    expect(check(file, { ...trusted, sizeBytes: size + 1 })).toThrow(
      expect.objectContaining(refused(/instead of/)),
    );
    expect(check(file, { ...trusted, scheme: 'sahara-folder-1' })).toThrow(
      expect.objectContaining(refused(/its scheme/)),
    );
    expect(check(file, { ...trusted, scheme: 'blake9' })).toThrow(
      expect.objectContaining(refused(/nobody here/)),
    );
    const newer = contentProof.encode({ ...readProof(file), version: 2 });
    expect(check(newer)).toThrow(expect.objectContaining(refused(/no proof/)));
    const stopped = AbortSignal.abort(new Error('enough'));
    await expect(commitPath(path, { signal: stopped })).rejects.toThrow('enough');
  });
});

test('LEDGER-92: a folder is committed to by its files, and a part of one of them proved', async () => {
  const root = join(folder, 'tree');
  mkdirSync(join(root, 'deep', 'er'), { recursive: true });
  writeFileSync(join(root, 'b'), 'second');
  writeFileSync(join(root, 'deep', 'er', 'a'), 'first');
  const trusted = await commitPath(root, { signal });
  expect(trusted).toMatchObject({ scheme: 'sahara-folder-1', sizeBytes: 11 });
  const inside = { part: chunk(0), inside: 'deep/er/a' };
  const proven = checkProof(trusted, readProof(await provePath(root, inside, { signal })));
  expect(proven).toMatchObject({ path: 'deep/er/a', chunks: [utf8('first')] });
  const prove = (of: string | undefined) => provePath(root, { part: chunk(0), inside: of }, { signal });
  await expect(prove(undefined)).rejects.toMatchObject(refused(/which file/));
  await expect(prove('c')).rejects.toMatchObject(refused(/holds no c/));
  await expect(provePath(join(root, 'b'), { part: chunk(0), inside: 'b' }, { signal })).rejects.toMatchObject(
    refused(/no folder/),
  );
  symlinkSync('b', join(root, 'link'));
  await expect(commitPath(root, { signal })).rejects.toMatchObject(refused(/link is neither/));
});

test('LEDGER-93: a chunk of a vault is proved, and of no other vault or time', async () => {
  const vault = await openVault({ store: createMemoryStore(), clock: systemClock });
  const provenance = { contributor: new Uint8Array(32).fill(1), contribution: undefined, licence: 'open' };
  const add = (name: string, text: string) => vault.importDocument({ name, bytes: utf8(text), provenance });
  await add('one.txt', 'A camel drinks a hundred litres.');
  await add('two.txt', 'A dune wanders with the wind.');
  const trusted = await vaultCommitment(vault);
  expect(trusted.scheme).toBe(VAULT_SCHEME);
  const { hits } = await vault.search({ question: 'camel', limit: 1 });
  const id = hits[0]?.chunk.id ?? expect.fail('no hit');
  const proof = { version: 1, commitment: trusted, body: await proveVaultChunk(vault, id) };
  expect(Buffer.from(checkProof(trusted, proof).chunks[0] ?? []).toString()).toContain('camel');
  await expect(proveVaultChunk(vault, new Uint8Array(32))).rejects.toMatchObject(refused(/no such chunk/));
  await add('three.txt', 'An oasis is rare.');
  const later = await vaultCommitment(vault);
  const now = { ...proof, commitment: later };
  expect(() => checkProof(later, now)).toThrow(expect.objectContaining(refused(/another/)));
  await vault.close();
});

test('a commitment has a form of one word', async () => {
  const commitment = await commitPath(join(folder, 'data'), { signal });
  expect(commitmentOf(commitmentText(commitment))).toEqual(commitment);
  const text = commitmentText(commitment);
  for (const bad of ['', `${text}x`, text.replace(':', ' '), text.toUpperCase()]) {
    expect(commitmentOf(bad)).toBeUndefined();
  }
  expect(commitmentOf(`a:${'0'.repeat(64)}:9999999999999999`)).toBeUndefined();
});
