import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toHex, utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import { prefixed, type Store } from '../../src/base/store.ts';
import { stakeHandlers } from '../../src/daemon/handlers/stake.ts';
import { bondBehind } from '../../src/daemon/stake.ts';
import { createWallet, type Wallet } from '../../src/daemon/wallet.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { didOf } from '../../src/protocol/ids.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { channelId } from '../../src/protocol/transaction.ts';
import { alice, bob, claimOf, suite, testGenesis } from '../ledger/support.ts';

const folder = mkdtempSync(join(tmpdir(), 'sahara-stake-'));
const { signal } = new AbortController();
const RULES = { transactionFee: 10n, bondMin: 1_000n, unbondDelayBlocks: 4, epochBlocks: 15 };
let store: Store;
let ledger: Ledger;
let wallets: readonly [Wallet, Wallet];

const storeOf = (name: string): Store => prefixed(store, utf8(`${name}/`));

function walletOf(signer: Signer, name: string): Wallet {
  return createWallet({ ledger, signer, clock: systemClock, log: silentLog, store: storeOf(name) });
}

/** What an operator's daemon answers; nobody is known by name. */
function handlersOf(wallet: Wallet) {
  return stakeHandlers({
    ledger,
    wallet,
    directory: {
      find(name) {
        throw new SaharaError('agent-unknown', { agent: name });
      },
    },
    knownNames: { of: async () => undefined },
  });
}

beforeAll(async () => {
  store = await openLevelStore(join(folder, 'store'));
  const parts = { store: storeOf('ledger'), suite, clock: systemClock, log: silentLog, signer: alice };
  const genesis = testGenesis({ parameters: RULES, faucet: undefined });
  ledger = await createEmbeddedLedger(parts, { ...genesis, sequencer: alice.publicKey });
  wallets = [walletOf(alice, 'alice'), walletOf(bob, 'bob')];
});
afterAll(async () => {
  for (const wallet of wallets) wallet.stop();
  await ledger.stop();
  await store.close();
  rmSync(folder, { recursive: true });
});

describe('stakes of an operator', () => {
  it('are shown with what others put behind them, and what everything costs is known before (LEDGER-121, LEDGER-123)', async () => {
    const [mine, theirs] = wallets.map(handlersOf) as [
      ReturnType<typeof handlersOf>,
      ReturnType<typeof handlersOf>,
    ];
    expect(await mine.fees({}, signal)).toEqual({
      ...{ transaction: '10', toRewards: '5', bondMin: '1000', unbondBlocks: 4, slashPpm: 500_000 },
      ...{ epoch: 0, nextEpochAt: 15 },
    });
    expect(bondBehind(ledger, alice.publicKey)).toBeUndefined();
    const before = ledger.account(alice.publicKey).balance;
    const bonded = await mine['stake.bond'](
      { role: 'provider', amount: '5000', commissionPpm: 100_000 },
      signal,
    );
    expect(bonded).toMatchObject({ fees: '10', moved: '0' });
    // Half of the fee came back to the maker of the block, who is the same.
    expect(ledger.account(alice.publicKey).balance).toBe(before - 5_000n - 5n);
    const to = didOf(alice.publicKey);
    const { stake } = await theirs['stake.delegate']({ to, role: 'provider', amount: '2000' }, signal);
    expect(stake.bonds).toEqual([]);
    expect(stake.delegated).toMatchObject([{ did: to, role: 'provider', amount: '2000', sinceEpoch: 1 }]);
    expect((await theirs['stake.show']({ did: to }, signal)).bonds).toMatchObject([
      { role: 'provider', own: '5000', delegated: '2000', stands: true, commissionPpm: 100_000 },
    ]);
    expect(bondBehind(ledger, alice.publicKey)).toBe(7_000n);
    await expect(
      theirs['stake.delegate']({ to: 'nobody', role: 'provider', amount: '1' }, signal),
    ).rejects.toThrow('agent-unknown');
    await expect(theirs['stake.show']({ did: 'nobody' }, signal)).rejects.toThrow('usage');
  });

  it('earn rewards that name their claims, and are paid out once (LEDGER-130, LEDGER-132)', async () => {
    const [mine, theirs] = wallets;
    const { network } = ledger;
    const nonce = ledger.account(bob.publicKey).nonce;
    const channel = channelId(suite, network, bob.publicKey, alice.publicKey, nonce);
    await theirs.send({ type: 'open-channel', payee: alice.publicKey, deposit: 1_000_000n });
    const amounts = [{ asset: new Uint8Array(32), amount: 800n }];
    const terms = { channel, payer: bob, payee: alice, ceiling: 800n, amounts };
    await mine.send({ type: 'claim', ...claimOf(network, terms) });
    const handlers = handlersOf(mine);
    const { rewards } = await handlers.rewards({}, signal);
    expect(rewards).toMatchObject([
      {
        epoch: 0,
        state: 'running',
        settled: '800',
        weight: '800',
        allWeight: '800',
        contributed: '5',
        claims: 1,
      },
    ]);
    expect(rewards[0]?.causes).toMatchObject([
      { channel: toHex(channel), lane: 0, amount: '800', receipts: 1 },
    ]);
    expect(await handlers['rewards.collect']({}, signal)).toMatchObject({ collected: [] });
    while (ledger.head().height < RULES.epochBlocks)
      await theirs.send({ type: 'transfer', to: alice.publicKey, amount: 1n, memo: undefined });
    expect((await handlersOf(theirs).rewards({ did: didOf(alice.publicKey) }, signal)).rewards).toMatchObject(
      [{ epoch: 0, state: 'due', reward: '5' }],
    );
    const { collected, rewards: after } = await handlers['rewards.collect']({}, signal);
    expect(collected).toEqual([{ epoch: 0, moved: '5' }]);
    expect(after.rewards).toMatchObject([{ epoch: 0, state: 'collected', reward: '5' }]);
    expect((await handlers['rewards.collect']({}, signal)).collected).toEqual([]);
  });

  it('come back after the delay, which passes with nobody sending anything (LEDGER-124)', async () => {
    const [mine, theirs] = wallets.map(handlersOf) as [
      ReturnType<typeof handlersOf>,
      ReturnType<typeof handlersOf>,
    ];
    const to = didOf(alice.publicKey);
    const out = await theirs['stake.undelegate']({ to, role: 'provider', amount: '2000' }, signal);
    const [leaving] = out.stake.delegated[0]?.leaving ?? [];
    expect(leaving).toMatchObject({ amount: '2000', due: false });
    await mine['stake.unbond']({ role: 'provider', amount: '4000' }, signal);
    expect(await mine['stake.release']({}, signal)).toMatchObject({
      transactions: [],
      moved: '0',
      fees: '0',
    });
    const until = (leaving?.releaseAt ?? 0) + 1;
    await new Promise<void>((resolve) => {
      const stop = ledger.onBlock(({ height }) => {
        if (height < until) return;
        stop();
        resolve();
      });
    });
    // Anybody may have it paid out; it goes to its owner.
    const before = ledger.account(bob.publicKey).balance;
    const paid = await mine['stake.release']({ did: didOf(bob.publicKey) }, signal);
    expect(paid).toMatchObject({ moved: '2000', fees: '10' });
    expect(ledger.account(bob.publicKey).balance).toBe(before + 2_000n);
    expect((await mine['stake.release']({}, signal)).moved).toBe('4000');
    expect((await theirs['stake.show']({}, signal)).delegated).toEqual([]);
    expect(bondBehind(ledger, alice.publicKey)).toBe(1_000n);
  });
});
