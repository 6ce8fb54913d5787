import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { openKeystore } from '../../src/daemon/keystore.ts';
import { nativeSuite } from '../../src/protocol/suite-native.ts';

let root = '';
let path = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sahara-keys-'));
  path = join(root, 'keys');
});
afterEach(() => rm(root, { recursive: true }));

const cheap = { scryptCost: 1024 };
const locked = { passphrase: 'open sesame', ...cheap };
const mode = async (of: string): Promise<number> => (await stat(of)).mode & 0o777;

describe('a key store', () => {
  it('makes, lists and loads keys that sign', async () => {
    const store = await openKeystore(path);
    const operator = await store.create('operator');
    await store.create('agent.guide');
    expect((await store.list()).map(({ name, encrypted }) => [name, encrypted])).toEqual([
      ['agent.guide', false],
      ['operator', false],
    ]);
    const signer = await (await openKeystore(path)).load('operator');
    expect(signer.publicKey).toEqual(operator.publicKey);
    expect(nativeSuite.verify(operator.publicKey, utf8('a'), signer.sign(utf8('a')))).toBe(true);
  });

  it('keeps files to their owner and takes rights of others away (ID-9)', async () => {
    const store = await openKeystore(path);
    await store.create('operator');
    const file = join(path, 'operator.json');
    expect([await mode(path), await mode(file)]).toEqual([0o700, 0o600]);
    await chmod(file, 0o644);
    await chmod(path, 0o755);
    await (await openKeystore(path)).load('operator');
    expect([await mode(path), await mode(file)]).toEqual([0o700, 0o600]);
  });

  it('encrypts under a passphrase and records how (ID-9)', async () => {
    const store = await openKeystore(path, locked);
    const made = await store.create('operator');
    expect(made.encrypted).toBe(true);
    const text = await readFile(join(path, 'operator.json'), 'utf8');
    expect(JSON.parse(text)).toMatchObject({ encrypted: { kdf: 'scrypt', n: 1024, r: 8, p: 1 } });
    const seed = await store.seed('operator');
    expect(text).not.toContain(Buffer.from(seed).toString('hex'));
    await expect((await openKeystore(path)).load('operator')).rejects.toMatchObject({ code: 'key-locked' });
    const wrong = await openKeystore(path, { ...cheap, passphrase: 'open barley' });
    await expect(wrong.load('operator')).rejects.toMatchObject({ code: 'passphrase-wrong' });
    expect((await (await openKeystore(path)).list())[0]?.did).toBe(made.did);
  });

  it('moves a key to another store, plain or encrypted', async () => {
    for (const options of [cheap, locked]) {
      const from = await openKeystore(join(root, `from-${'passphrase' in options}`), options);
      const made = await from.create('operator');
      const to = await openKeystore(join(root, `to-${'passphrase' in options}`), options);
      expect((await to.import('moved', await from.export('operator'))).did).toBe(made.did);
      expect((await to.import('again', await from.seed('operator'))).did).toBe(made.did);
    }
  });

  it('never overwrites a key, also when two are made at once', async () => {
    const store = await openKeystore(path);
    const made = await store.create('operator');
    await expect(store.create('operator')).rejects.toMatchObject({ code: 'usage' });
    await expect(store.import('operator', new Uint8Array(32))).rejects.toMatchObject({ code: 'usage' });
    expect((await store.list())[0]?.did).toBe(made.did);
    const both = await Promise.allSettled([store.create('twin'), store.create('twin')]);
    const kept = both.filter(({ status }) => status === 'fulfilled');
    expect(kept).toHaveLength(1);
    expect(await readdir(path)).toEqual(['operator.json', 'twin.json']);
  });

  it('says what is missing or misnamed', async () => {
    const store = await openKeystore(path);
    await expect(store.load('nobody')).rejects.toMatchObject({ code: 'key-missing' });
    for (const name of ['', '..', '../evil', 'a/b', 'UPPER', '.hidden', 'x'.repeat(64)]) {
      await expect(store.create(name), name).rejects.toMatchObject({ code: 'usage' });
    }
    await expect(store.import('short', new Uint8Array(31))).rejects.toMatchObject({ code: 'usage' });
  });

  it.each([
    ['no JSON', '{'],
    ['another version', '{"version":2,"did":"x","seed":"00"}'],
    ['no secret', '{"version":1,"did":"x"}'],
    ['null', 'null'],
    ['a huge file', `{"version":1,"did":"${'x'.repeat(5000)}","seed":"00"}`],
    ['a short seed', '{"version":1,"did":"x","seed":"00"}'],
  ])('refuses a key file that holds %s', async (_name, text) => {
    const store = await openKeystore(path);
    await writeFile(join(path, 'operator.json'), text, { mode: 0o600 });
    await expect(store.load('operator')).rejects.toMatchObject({ code: 'store-corrupt' });
  });

  it('refuses a secret that was put under another name or costs too much', async () => {
    const store = await openKeystore(path, locked);
    const [a, b] = [await store.create('a'), await store.create('b')];
    const file = join(path, 'a.json');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace(a.did, b.did));
    await expect(store.load('a')).rejects.toMatchObject({ code: 'passphrase-wrong' });
    for (const cost of [512, 3000, 2 ** 30]) {
      await writeFile(file, text.replace('"n": 1024', `"n": ${cost}`));
      await expect(store.load('a')).rejects.toMatchObject({ code: 'store-corrupt' });
    }
    const plain = await openKeystore(join(root, 'plain'));
    const c = await plain.create('c');
    const d = await plain.create('d');
    const other = join(root, 'plain', 'c.json');
    await writeFile(other, (await readFile(other, 'utf8')).replace(c.did, d.did));
    await expect(plain.load('c')).rejects.toMatchObject({ code: 'store-corrupt' });
  });

  it('follows no link and takes no file for a folder', async () => {
    const store = await openKeystore(path);
    await store.create('operator');
    await symlink(join(path, 'operator.json'), join(path, 'link.json'));
    await expect(store.load('link')).rejects.toMatchObject({ code: 'home-unreadable' });
    await writeFile(join(root, 'file'), '');
    await expect(openKeystore(join(root, 'file'))).rejects.toMatchObject({ code: 'home-unreadable' });
  });
});
