import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { explainError } from '../../src/base/error-text.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import { systemDice } from '../../src/base/random.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { chooseNetwork } from '../../src/daemon/genesis.ts';
import { createFileMark } from '../../src/daemon/head-mark.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { alice, bob, sequencer, signAction, suite, testGenesis } from '../ledger/support.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'sahara-mark-'));
});
afterEach(() => rmSync(home, { recursive: true }));

/** Runs a ledger in the home from opening to stopping. */
async function session<T>(work: (ledger: Ledger) => Promise<T>): Promise<T> {
  const store = await openLevelStore(join(home, 'store'));
  try {
    const mark = createFileMark(join(home, 'ledger.head'));
    const parts = { suite, clock: systemClock, log: silentLog, store, mark, signer: sequencer };
    const ledger = await createEmbeddedLedger(parts, testGenesis());
    try {
      return await work(ledger);
    } finally {
      await ledger.stop();
    }
  } finally {
    await store.close();
  }
}

/** Makes blocks of one transfer each; answers the head's height. */
function transfers(count: number): Promise<number> {
  return session(async (ledger) => {
    for (let left = count; left > 0; left--) {
      const { nonce } = ledger.account(alice.publicKey);
      const action = { type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined } as const;
      await ledger.submit(signAction(ledger.network, alice, nonce, action));
    }
    return ledger.head().height;
  });
}

/** Flips one byte of LevelDB's write-ahead log. */
function damageLog(at: (length: number) => number): void {
  const [log] = readdirSync(join(home, 'store')).filter((name) => name.endsWith('.log'));
  const path = join(home, 'store', String(log));
  const bytes = readFileSync(path);
  const index = at(bytes.length);
  bytes[index] = (bytes[index] ?? 0) ^ 0xff;
  writeFileSync(path, bytes);
}

async function refusal(): Promise<SaharaError> {
  const error = await transfers(0).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SaharaError);
  expect(error).toMatchObject({ code: 'store-corrupt' });
  return error as SaharaError;
}

describe('a damaged write-ahead log (LEDGER-47)', () => {
  it.each([
    ['its first record', () => 20, 5, /beginning is missing, but block 5 had been written/],
    ['its last record', (length: number) => length - 5, 5, /ends at block 4, but block 5 had been written/],
    ['its middle', (length: number) => length >> 1, 60, /^Block \d+ of 60 is missing$/],
  ])('is not taken for a shorter ledger when it hits %s', async (_name, at, blocks, reason) => {
    expect(await transfers(blocks)).toBe(blocks);
    damageLog(at);
    const error = await refusal();
    expect(error.facts.reason).toMatch(reason);
    const text = explainError(error);
    expect(text).toContain('Restore the whole home folder from its latest backup');
    // It stays refused: nothing was begun anew in its place.
    await refusal();
  });

  it('is refused by a follower too, which may begin anew without store and mark', async () => {
    await transfers(3);
    damageLog(() => 20);
    expect(explainError(await refusal())).toContain(`move its store and ${join(home, 'ledger.head')} away`);
    rmSync(join(home, 'store'), { recursive: true });
    await refusal();
    rmSync(join(home, 'ledger.head'));
    expect(await transfers(0)).toBe(0);
  });
});

it('a home whose store lost its network neither adopts nor begins another (LEDGER-47)', async () => {
  await transfers(1);
  const mark = createFileMark(join(home, 'ledger.head'));
  const store = createMemoryStore();
  const parts = {
    store,
    mark,
    operator: alice.publicKey,
    log: silentLog,
    clock: systemClock,
    dice: systemDice,
  };
  const options = {
    ...{
      name: 'local',
      file: '',
      searchMs: 0,
      rules: { closeDelayBlocks: 10, transactionFee: 0n, epochBlocks: 10 },
      bootstrap: [],
      mdns: false,
    },
    ...{ tell: () => {}, signal: new AbortController().signal },
  };
  await expect(chooseNetwork(parts, options)).rejects.toMatchObject({ code: 'store-corrupt' });
  rmSync(join(home, 'ledger.head'));
  expect(await chooseNetwork(parts, options)).toMatchObject({ origin: 'created' });
});

describe('the mark in a file', () => {
  const head = { genesisHash: new Uint8Array(32).fill(1), height: 7, headerHash: new Uint8Array(32).fill(2) };

  it('gives back what was written last, and nothing where nothing was', async () => {
    const mark = createFileMark(join(home, 'ledger.head'));
    expect(await mark.read()).toBeUndefined();
    await mark.write({ ...head, height: 6 });
    await mark.write(head);
    expect(await mark.read()).toEqual(head);
    expect(readdirSync(home)).toEqual(['ledger.head']);
  });

  it.each(['', 'height 7\n', 'nonsense'])('refuses %j', async (text) => {
    writeFileSync(join(home, 'ledger.head'), text);
    const reading = createFileMark(join(home, 'ledger.head')).read();
    await expect(reading).rejects.toMatchObject({ code: 'store-corrupt' });
  });
});
