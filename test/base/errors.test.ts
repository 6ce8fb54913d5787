import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { asSaharaError, invariant, isErrorCode, SaharaError } from '../../src/base/errors.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { createLog } from '../../src/base/log.ts';

let path = '';
beforeEach(async () => {
  // A name with `block` in it: what the database says must be told from where it lies.
  path = await mkdtemp(join(tmpdir(), 'sahara-block-'));
});
afterEach(() => rm(path, { recursive: true }));

describe('failures', () => {
  it('are told from foreign errors by what those are', () => {
    const ours = new SaharaError('expired', { receiverTimeMs: 1 });
    expect(asSaharaError(ours)).toBe(ours);
    expect(asSaharaError(AbortSignal.abort().reason).code).toBe('cancelled');
    expect(asSaharaError(new DOMException('', 'TimeoutError')).code).toBe('deadline-exceeded');
    expect(asSaharaError(Object.assign(new RangeError('full'), { code: 'ENOSPC' })).code).toBe('disk-full');
    expect(asSaharaError('text')).toMatchObject({ code: 'internal', facts: { reason: 'text' } });
    expect(ours.kind).toBe('refused');
  });

  it('know their codes and nothing that is inherited', () => {
    expect(isErrorCode('expired')).toBe(true);
    for (const name of ['toString', '__proto__', '', 'Expired']) expect(isErrorCode(name)).toBe(false);
  });

  it('stop on a broken assumption', () => {
    expect(() => invariant(false, 'one is two')).toThrow('one is two');
    expect(() => invariant(true, 'one is one')).not.toThrow();
  });
});

describe('a database that cannot be opened', () => {
  it('is locked or damaged, whatever its folder is called', async () => {
    const folder = join(path, 'store');
    const store = await openLevelStore(folder);
    await expect(openLevelStore(folder)).rejects.toMatchObject({ code: 'store-locked' });
    await store.close();
    await writeFile(join(folder, 'CURRENT'), 'garbage');
    await expect(openLevelStore(folder)).rejects.toMatchObject({ code: 'store-corrupt' });
  });
});

describe('a log', () => {
  it('holds no secrets and belongs to its owner', async () => {
    const file = join(path, 'log');
    const log = createLog({ level: 'info', path: file }).child({ part: 'test' });
    log.info('began', { token: 'hidden', inside: { passphrase: 'hidden', seed: 'hidden' }, kept: 1 });
    // Lines are written behind.
    const text = await vi.waitFor(async () => {
      const written = await readFile(file, 'utf8');
      expect(written).toContain('began');
      return written;
    });
    expect(JSON.parse(text)).toMatchObject({ msg: 'began', part: 'test', kept: 1 });
    expect(text).not.toContain('hidden');
    expect((await stat(file)).mode & 0o077).toBe(0);
  });
});

describe('the clock', () => {
  it('waits for what is further off than a timer reaches', async () => {
    let ran = false;
    const cancel = systemClock.after(2 ** 40, () => {
      ran = true;
    });
    await new Promise<void>((resolve) => {
      systemClock.after(20, resolve);
      // The system clock's timers do not keep a process alive; this one does until then.
      const alive = setInterval(() => {}, 1000);
      systemClock.after(30, () => clearInterval(alive));
    });
    cancel();
    expect(ran).toBe(false);
  });
});
