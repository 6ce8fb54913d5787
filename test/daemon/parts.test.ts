import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { type Log, silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { openKeys } from '../../src/daemon/keys.ts';
import { createKnownNames } from '../../src/daemon/known-names.ts';
import { createLifecycle } from '../../src/daemon/lifecycle.ts';
import { createLoopback } from '../../src/daemon/loopback.ts';
import { findReceipt, newestReceipts, pruneReceipts, saveReceipt } from '../../src/daemon/receipts.ts';
import { createVaultKeeper } from '../../src/daemon/vaults.ts';
import { chunkRecord } from '../../src/vault/chunk.ts';
import { openDocument } from '../../src/vault/copy-open.ts';
import { documentRecord } from '../../src/vault/document.ts';
import { chunkKey, documentRange } from '../../src/vault/keys.ts';
import { decodePassages, documentBlocks } from '../../src/vault/passages.ts';
import { openVault } from '../../src/vault/vault.ts';

const folder = mkdtempSync(join(tmpdir(), 'sahara-parts-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('life cycle', () => {
  it('stops in reverse, once, and past a part that fails to stop', async () => {
    const told: string[] = [];
    const errors: string[] = [];
    const log: Log = { ...silentLog, error: (event) => errors.push(event) };
    const life = createLifecycle({ log });
    for (const name of ['a', 'b', 'c']) {
      await life.start(
        name,
        () => name,
        (part) => {
          told.push(part);
          if (part === 'b') throw new SaharaError('disk-full');
        },
      );
    }
    await expect(life.start('d', () => Promise.reject(new SaharaError('port-busy')))).rejects.toThrow(
      'port-busy',
    );
    await Promise.all([life.stop(), life.stop()]);
    expect(told).toEqual(['c', 'b', 'a']);
    expect(errors).toHaveLength(1);
  });
});

describe('known names', () => {
  it('keep the first agent of each name, whatever comes later, and only so many', async () => {
    const names = createKnownNames(createMemoryStore(), 2);
    expect(await names.of('guide')).toBeUndefined();
    await names.met('guide', 'did:key:first');
    await names.met('Guide', 'did:key:later');
    expect(await names.of(' GUIDE ')).toBe('did:key:first');
    await names.met('second', 'did:key:b');
    await names.met('third', 'did:key:c');
    expect(await Promise.all([names.of('second'), names.of('third')])).toEqual(['did:key:b', undefined]);
  });
});

describe('loopback', () => {
  const frame = (kind: number, ...body: readonly number[]): { kind: number; body: Uint8Array } => ({
    kind,
    body: Uint8Array.from(body),
  });

  it('carries frames in order to the explicit end', async () => {
    const [here, there] = createLoopback('self');
    there.send(frame(1, 1));
    there.send(frame(2, 2));
    there.end();
    const seen = [];
    for await (const { kind } of here.frames()) seen.push(kind);
    expect(seen).toEqual([1, 2]);
  });

  it('hands frames to a sink, also those that came before it', async () => {
    const [here, there] = createLoopback('self');
    here.send(frame(1));
    const seen: (number | string)[] = [];
    const over = Promise.withResolvers<void>();
    there.consume({
      frame: (kind) => seen.push(kind),
      end() {
        seen.push('end');
        over.resolve();
      },
      fail: () => {},
    });
    here.send(frame(2));
    here.end();
    await over.promise;
    expect(seen).toEqual([1, 2, 'end']);
  });

  it('holds a sender whose reader is slow, and lets it go on', async () => {
    const [here, there] = createLoopback('self');
    let sent = 0;
    while (there.send(frame(1, sent % 256))) sent += 1;
    expect(sent).toBeGreaterThan(10);
    let free = false;
    const waiting = there.writable().then(() => {
      free = true;
    });
    await Promise.resolve();
    expect(free).toBe(false);
    const reading = here.frames()[Symbol.asyncIterator]();
    await reading.next();
    await waiting;
    expect(free).toBe(true);
  });

  it('ends both sides with the failure of one', async () => {
    const [here, there] = createLoopback('self');
    there.fail(new SaharaError('quota-exhausted', { calls: 3 }));
    const reading = (async () => {
      for await (const _frame of here.frames()) expect.unreachable();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'quota-exhausted', facts: { calls: 3 } });
    expect(here.signal.aborted).toBe(true);
    expect(() => here.send(frame(1))).toThrow('quota-exhausted');
  });

  it('tells also the reader of the side that cancels, at once', async () => {
    const [here, there] = createLoopback('self');
    there.send(frame(1));
    const reading = here.frames()[Symbol.asyncIterator]();
    await reading.next();
    const next = reading.next();
    here.cancel();
    await expect(next).rejects.toMatchObject({ code: 'cancelled' });
    expect(there.signal.aborted).toBe(true);
  });
});

describe('receipts', () => {
  it('are found by the beginning of their id, and the oldest leave', async () => {
    const ids = ['aa11', 'aa22', 'bb33'].map((start) => start.padEnd(32, '0'));
    for (const [i, id] of ids.entries()) {
      const path = await saveReceipt(folder, id, Uint8Array.of(i));
      utimesSync(path, i, i);
    }
    await writeFile(join(folder, 'half.bundle.part'), '');
    expect(await findReceipt(folder, 'bb33')).toContain('bb33');
    expect(await findReceipt(folder, 'aa')).toBeUndefined();
    expect(await findReceipt(folder, 'aa1')).toBeUndefined();
    expect(await findReceipt(folder, 'aa11')).toContain('aa11');
    expect(await findReceipt(folder, '../etc')).toBeUndefined();
    expect(
      (await newestReceipts(folder, 2)).map((path) => path.slice(folder.length + 1, folder.length + 5)),
    ).toEqual(['bb33', 'aa22']);
    await pruneReceipts(folder, 1);
    expect(await newestReceipts(folder, 9)).toHaveLength(1);
  });
});

describe('vault keeper', () => {
  const provenance = { contributor: new Uint8Array(32), contribution: undefined, licence: '' };

  it('makes, keeps, reopens and removes vaults by name', async () => {
    const { vaults: secrets } = await openKeys(join(folder, 'keys'), undefined);
    const keeper = createVaultKeeper({ clock: systemClock, secrets }, { folder });
    const vault = await keeper.create('notes');
    await vault.importDocument({ name: 'a.txt', bytes: Buffer.from('Camels walk far.'), provenance });
    await keeper.close();
    const again = createVaultKeeper({ clock: systemClock, secrets }, { folder });
    expect((await again.open('notes')).stats()).toMatchObject({ documents: 1 });
    await expect(again.create('notes')).rejects.toMatchObject({ code: 'vault-exists' });
    await expect(again.open('nots')).rejects.toMatchObject({
      code: 'vault-unknown',
      facts: { nearest: ['notes'] },
    });
    await expect(again.create('../notes')).rejects.toMatchObject({ code: 'usage' });
    await again.remove('notes');
    expect(await secrets.of('notes')).toBeUndefined();
    await expect(again.open('notes')).rejects.toMatchObject({ code: 'vault-unknown' });
    await again.close();
  });

  it('KNOW-118: seals a vault that was written open, once, whatever moment a crash chose', async () => {
    const place = mkdtempSync(join(folder, 'open-'));
    const { vaults: secrets } = await openKeys(join(place, '.keys'), undefined);
    const store = await openLevelStore(join(place, 'old'));
    const old = await openVault({ store, clock: systemClock });
    await old.importDocument({ name: 'a.txt', bytes: Buffer.from('Quokkas hop.'), provenance });
    await old.importDocument({ name: 'b.txt', bytes: Buffer.from('Quokkas hop.'), provenance });
    const commitment = await old.commitment();
    await old.close();
    for await (const [key, value] of store.entries(documentRange())) {
      const { consent: _consent, ...before } = documentRecord.decode(value);
      await store.batch([{ type: 'put', key, value: openDocument.encode(before) }]);
      // Passages lay one by one then.
      for (const block of documentBlocks(before)) {
        const chunks = decodePassages((await store.get(block)) ?? new Uint8Array(0));
        await store.batch(
          chunks.map((chunk) => ({
            type: 'put',
            key: chunkKey(before.firstChunk + chunk.ordinal),
            value: chunkRecord.encode(chunk),
          })),
        );
      }
    }
    await store.close();
    const keeper = createVaultKeeper({ clock: systemClock, secrets }, { folder: place });
    const vault = await keeper.open('old');
    expect(await vault.commitment()).toEqual(commitment);
    expect((await vault.document('b.txt'))?.names.length).toBe(2);
    await keeper.close();
    expect(await keeper.names()).toEqual(['old']);
    // A crash between the two renamings.
    renameSync(join(place, 'old'), join(place, 'old.sealing'));
    mkdirSync(join(place, 'old.open'));
    const again = createVaultKeeper({ clock: systemClock, secrets }, { folder: place });
    expect(await again.names()).toEqual(['old']);
    expect(await (await again.open('old')).commitment()).toEqual(commitment);
    await again.close();
    const found = readdirSync(join(place, 'old')).map((file) =>
      readFileSync(join(place, 'old', file), 'latin1'),
    );
    expect(found.join('').includes('uokka')).toBe(false);
  });

  it('refuses more than a home holds, which is no misuse of the command', async () => {
    const full = mkdtempSync(join(folder, 'full-'));
    for (let n = 0; n < 256; n++) mkdirSync(join(full, `vault-${n}`));
    const { vaults: secrets } = await openKeys(join(full, '.keys'), undefined);
    const keeper = createVaultKeeper({ clock: systemClock, secrets }, { folder: full });
    await expect(keeper.create('more')).rejects.toMatchObject({
      code: 'home-full',
      kind: 'refused',
      facts: { what: 'vaults', limit: 256 },
    });
    await keeper.close();
  });
});
