import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openLevelStore } from '../../src/base/level-store.ts';
import { claimHome, homeInUse, homeOf, prepareHome } from '../../src/daemon/home.ts';

const folder = mkdtempSync(join(tmpdir(), 'sahara-home-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('home', () => {
  it('is named by SAHARA_HOME, else by the XDG folders', () => {
    expect(homeOf({ SAHARA_HOME: '/tmp/x' })).toMatchObject({ root: '/tmp/x', config: '/tmp/x/config.yaml' });
    const xdg = homeOf({ XDG_DATA_HOME: '/d', XDG_CONFIG_HOME: '/c' });
    expect(xdg).toMatchObject({ root: '/d/sahara', config: '/c/sahara/config.yaml' });
  });

  it('belongs to this user alone', () => {
    const home = homeOf({ SAHARA_HOME: join(folder, 'own') });
    mkdirSync(home.root, { mode: 0o755 });
    prepareHome(home);
    for (const path of [home.root, home.keys, home.receipts]) expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  it('says what stands in its way', () => {
    const home = homeOf({ SAHARA_HOME: join(folder, 'file') });
    writeFileSync(home.root, '');
    expect(() => prepareHome(home)).toThrow(
      expect.objectContaining({
        code: 'home-unreadable',
        facts: { path: home.root, reason: 'a file stands in its place' },
      }),
    );
  });

  it('has room for its socket however long its path is', () => {
    const home = homeOf({ SAHARA_HOME: join(folder, 'x'.repeat(150)) });
    expect(Buffer.byteLength(home.socket)).toBeLessThanOrEqual(100);
    expect(homeOf({ SAHARA_HOME: home.root }).socket).toBe(home.socket);
  });

  it('tells which process holds it', async () => {
    const home = homeOf({ SAHARA_HOME: join(folder, 'held') });
    prepareHome(home);
    const store = await openLevelStore(home.store);
    claimHome(home, 0);
    const second = await openLevelStore(home.store).catch((error: unknown) => homeInUse(home, error));
    expect(second).toMatchObject({ code: 'home-in-use', facts: { path: home.root, pid: process.pid } });
    await store.close();
  });
});
