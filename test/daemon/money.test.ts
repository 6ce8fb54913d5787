import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { equalBytes, toHex, utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import { systemDice } from '../../src/base/random.ts';
import { prefixed, type Store } from '../../src/base/store.ts';
import { type AssetBook, createAssetBook } from '../../src/daemon/assets.ts';
import { createWallet, type Wallet } from '../../src/daemon/wallet.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { createGenesis } from '../../src/ledger/genesis.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { createSigner, nativeSuite } from '../../src/protocol/suite-native.ts';
import { assetId } from '../../src/protocol/transaction.ts';

const folder = mkdtempSync(join(tmpdir(), 'sahara-money-'));
const signer = createSigner(systemDice.bytes(32));
const signal = new AbortController().signal;
let store: Store;
let ledger: Ledger;
let wallet: Wallet;

const storeOf = (name: string): Store => prefixed(store, utf8(`${name}/`));

function book(name: string): AssetBook {
  return createAssetBook({
    store: storeOf(name),
    ledger,
    operator: signer.publicKey,
    send: (action, options) => wallet.send(action, options),
    idOf: (nonce) => assetId(nativeSuite, ledger.network, signer.publicKey, nonce),
  });
}

beforeAll(async () => {
  store = await openLevelStore(join(folder, 'store'));
  const genesis = createGenesis({ sequencer: signer.publicKey, createdAtMs: 1 });
  const parts = { store: storeOf('ledger'), suite: nativeSuite, clock: systemClock, log: silentLog, signer };
  ledger = await createEmbeddedLedger(parts, genesis);
  wallet = createWallet({ ledger, signer, clock: systemClock, log: silentLog, store: storeOf('wallet') });
});
afterAll(async () => {
  wallet.stop();
  await ledger.stop();
  await store.close();
  rmSync(folder, { recursive: true });
});

describe('wallet', () => {
  it('draws from the faucet once', async () => {
    await wallet.funded;
    expect(wallet.balance()).toBe(100_000_000_000n);
    const again = createWallet({
      ledger,
      signer,
      clock: systemClock,
      log: silentLog,
      store: storeOf('again'),
    });
    await again.funded;
    expect(again.balance()).toBe(100_000_000_000n);
    again.stop();
  });

  it('waits for a draw of an earlier run before it would draw again', async () => {
    const poor = createSigner(systemDice.bytes(32));
    const parts = { signer: poor, clock: systemClock, log: silentLog, store: storeOf('poor') };
    // The first run hands its draw in and dies before any block has it.
    const handedIn = Promise.withResolvers<void>();
    const silent = new Proxy(ledger, {
      get: (target, name) => {
        if (name !== 'submit') return Reflect.get(target, name);
        return (_message: unknown, { signal }: { readonly signal: AbortSignal }) => {
          handedIn.resolve();
          return new Promise((_resolve, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason)),
          );
        };
      },
    });
    const first = createWallet({ ...parts, ledger: silent });
    await handedIn.promise;
    first.stop();
    await first.funded;
    const second = createWallet({ ...parts, ledger });
    await second.funded;
    expect([second.balance(), ledger.account(poor.publicKey).nonce]).toEqual([100_000_000_000n, 1]);
    second.stop();
  });

  it('says which number an action used', async () => {
    const before = ledger.account(signer.publicKey).nonce;
    const sent = await wallet.send({
      type: 'transfer',
      to: systemDice.bytes(32),
      amount: 1n,
      memo: undefined,
    });
    expect(sent.nonce).toBe(before);
  });
});

describe('asset book', () => {
  it('registers an agent and a contribution once, whoever asks how often', async () => {
    const contributor = systemDice.bytes(32);
    const assets = book('assets');
    const of = { vault: 'notes', contributor, licence: 'CC-BY-4.0' };
    const ids = await Promise.all([1, 2, 3].map(() => assets.contribution(of, { signal })));
    expect(new Set(ids.map(toHex)).size).toBe(1);
    const [id] = ids;
    const asset = id && ledger.asset(id);
    expect(asset).toMatchObject({ kind: 'contribution', licence: 'CC-BY-4.0', owners: [{ ppm: 1_000_000 }] });
    expect(equalBytes(asset?.owners[0]?.owner ?? new Uint8Array(0), contributor)).toBe(true);
    const commitment = { scheme: 'sahara-manifest-1', root: new Uint8Array(32), sizeBytes: 0 };
    const agent = await assets.agent(
      'notes',
      { commitment, parents: [], terms: undefined, bounty: 0 },
      { signal },
    );
    expect(ledger.asset(agent)).toMatchObject({ kind: 'agent', name: 'notes' });
    expect((await assets.registered()).map(toHex).sort()).toEqual([toHex(agent), toHex(id ?? agent)].sort());
  });

  it('finds again what a lost store had registered', async () => {
    const of = { vault: 'notes', contributor: systemDice.bytes(32), licence: '' };
    const first = await book('assets').contribution(of, { signal });
    const { nonce } = ledger.account(signer.publicKey);
    expect(toHex(await book('lost').contribution(of, { signal }))).toBe(toHex(first));
    expect(ledger.account(signer.publicKey).nonce).toBe(nonce);
  });
});
