/** The operator's keys of a home: for whom they act, and under which names they are kept. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { openKeys } from '../../src/daemon/keys.ts';
import { createOperatorKey } from '../../src/daemon/operator-key.ts';
import { createSigner, nativeSuite } from '../../src/protocol/suite-native.ts';

let root = '';
let folder = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sahara-home-'));
  folder = join(root, 'keys');
});
afterEach(() => rm(root, { recursive: true }));

const lost = createSigner(new Uint8Array(32).fill(7)).publicKey;

describe('a home that acts for another DID', () => {
  it('does so from the next start on, with a key of its own, and goes back (ID-44, ID-46)', async () => {
    const keys = await openKeys(folder, undefined);
    expect(keys.operator.publicKey).toEqual(keys.first);
    const key = await keys.addOperatorKey();
    await keys.adopt({ did: lost, key });
    expect(keys.operator.publicKey).toEqual(keys.first);
    const next = await openKeys(folder, undefined);
    expect([next.operator.publicKey, next.signing.publicKey, next.first]).toEqual([lost, key, keys.first]);
    const operator = createOperatorKey(next.operator, next.signing);
    expect([operator.publicKey, operator.signing]).toEqual([lost, key]);
    expect(nativeSuite.verify(key, utf8('a'), operator.sign(utf8('a')))).toBe(true);
    await next.adopt({ did: keys.first, key: keys.first });
    const back = await openKeys(folder, undefined);
    expect([back.operator.publicKey, back.signing.publicKey]).toEqual([keys.first, keys.first]);
  });

  it('does not start without the key, or by a file that was changed (ID-44)', async () => {
    const keys = await openKeys(folder, undefined);
    await keys.adopt({ did: lost, key: await keys.addOperatorKey() });
    await rm(join(folder, 'operator.1.json'));
    await expect(openKeys(folder, undefined)).rejects.toMatchObject({ code: 'key-missing' });
    await writeFile(join(folder, 'adopted'), 'did:key:z6Mk\n');
    await expect(openKeys(folder, undefined)).rejects.toMatchObject({ code: 'store-corrupt' });
  });
});

describe('a key that is kept elsewhere', () => {
  it('leaves its name free for ever, and comes back under another one (ID-47, ID-9)', async () => {
    const keys = await openKeys(folder, undefined);
    const away = await keys.addOperatorKey();
    const file = join(root, 'next.key');
    await keys.giveOperatorKey(away, file);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await keys.operatorKeys()).toEqual([keys.first]);
    await expect(keys.giveOperatorKey(away, file)).rejects.toMatchObject({ code: 'key-missing' });
    const made = await (await openKeys(folder, undefined)).addOperatorKey();
    await expect(keys.giveOperatorKey(made, file)).rejects.toMatchObject({ code: 'usage' });
    expect(await keys.operatorKeys()).toEqual([keys.first, made]);
    const text = await readFile(file, 'utf8');
    for (let i = 0; i < 2; i++) expect(await keys.takeOperatorKey(text)).toEqual(away);
    expect(await keys.operatorKeys()).toEqual([keys.first, made, away]);
    const names = (await readdir(folder)).filter((name) => name.startsWith('operator'));
    expect(names).toEqual(['operator.2.json', 'operator.3.json', 'operator.json']);
    await expect(keys.takeOperatorKey('{}')).rejects.toMatchObject({ code: 'store-corrupt' });
  });
});
