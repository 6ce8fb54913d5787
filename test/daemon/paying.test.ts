import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toHex, utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import { prefixed, type Store } from '../../src/base/store.ts';
import { payHandlers } from '../../src/daemon/handlers/pay.ts';
import { createPaying, type Paying, type PaymentOrder } from '../../src/daemon/paying.ts';
import { createWallet, type Wallet } from '../../src/daemon/wallet.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { alice, bob, person, suite, testGenesis } from '../ledger/support.ts';

const folder = mkdtempSync(join(tmpdir(), 'sahara-paying-'));
const { signal } = new AbortController();
let store: Store;
let ledger: Ledger;
let wallet: Wallet;

const storeOf = (name: string): Store => prefixed(store, utf8(`${name}/`));
const payingWith = (own: Pick<Wallet, 'send'>): Paying =>
  createPaying({ ledger, wallet: own, suite, clock: systemClock, store: storeOf('paying') });
const received = (): bigint => ledger.account(bob.publicKey).balance;
const sentByAlice = (): number => ledger.account(alice.publicKey).nonce;

let counter = 0;
function order(change: Partial<PaymentOrder> = {}): PaymentOrder {
  const reference = new Uint8Array(16).fill(++counter);
  return { reference, to: bob.publicKey, amount: 700n, memo: undefined, ...change };
}

/** A wallet whose process ends after it kept what it signed: nothing of it is handed in. */
const dying: Pick<Wallet, 'send'> = {
  send: (action, options = {}) =>
    wallet.send(action, {
      ...options,
      recorded: async (message) => {
        await options.recorded?.(message);
        throw new Error('the process ends here');
      },
    }),
};

/** A wallet whose process ends after its transaction took effect, before anybody was told. */
const dyingLate: Pick<Wallet, 'send'> = {
  async send(action, options) {
    await wallet.send(action, options);
    throw new Error('the process ends here');
  },
};

beforeAll(async () => {
  store = await openLevelStore(join(folder, 'store'));
  const parts = { store: storeOf('ledger'), suite, clock: systemClock, log: silentLog, signer: alice };
  const genesis = testGenesis({ faucet: undefined });
  ledger = await createEmbeddedLedger(parts, { ...genesis, sequencer: alice.publicKey });
  wallet = createWallet({
    ...{ ledger, signer: alice, clock: systemClock, log: silentLog },
    store: storeOf('wallet'),
  });
});
afterAll(async () => {
  wallet.stop();
  await ledger.stop();
  await store.close();
  rmSync(folder, { recursive: true });
});

describe('a payment', () => {
  it('is in a block when it is done, and told again without being paid again (LEDGER-41)', async () => {
    const before = received();
    const wanted = order({ memo: 'for the dataset' });
    const paid = await payingWith(wallet).pay(wanted, { signal });
    expect(paid).toMatchObject({ index: 0, count: 1, before: false });
    expect(ledger.lookup(paid.transaction)).toMatchObject({ height: paid.height, result: { code: 0 } });
    expect(received()).toBe(before + 700n);
    // By another process with the same store.
    expect(await payingWith(wallet).pay(wanted)).toEqual({ ...paid, before: true });
    expect(received()).toBe(before + 700n);
  });

  it('is paid once when it is asked for many times at once', async () => {
    const before = received();
    const paying = payingWith(wallet);
    const wanted = order();
    const all = await Promise.all([1, 2, 3, 4].map(() => paying.pay(wanted)));
    expect(new Set(all.map(({ transaction }) => toHex(transaction))).size).toBe(1);
    expect(all.filter((one) => !one.before)).toHaveLength(1);
    expect(received()).toBe(before + 700n);
  });

  it('that was signed before a crash is handed in as the same bytes (LEDGER-61)', async () => {
    const before = received();
    const wanted = order();
    await expect(payingWith(dying).pay(wanted)).rejects.toThrow('the process ends here');
    expect(received()).toBe(before);
    const nonce = sentByAlice();
    const paid = await payingWith(wallet).pay(wanted);
    expect(received()).toBe(before + 700n);
    expect(sentByAlice()).toBe(nonce + 1);
    expect(await payingWith(wallet).pay(wanted)).toMatchObject({
      transaction: paid.transaction,
      before: true,
    });
  });

  it('that was signed before a crash and whose number another took is signed anew, and paid once (LEDGER-61)', async () => {
    const before = received();
    const wanted = order();
    await expect(payingWith(dying).pay(wanted)).rejects.toThrow('the process ends here');
    await wallet.send({ type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined });
    expect(await payingWith(wallet).pay(wanted)).toMatchObject({ before: false });
    expect(received()).toBe(before + 701n);
  });

  it('that took effect before a crash is not paid again (LEDGER-41)', async () => {
    const before = received();
    const wanted = order();
    await expect(payingWith(dyingLate).pay(wanted)).rejects.toThrow('the process ends here');
    expect(received()).toBe(before + 700n);
    expect(await payingWith(wallet).pay(wanted)).toMatchObject({ before: true });
    expect(received()).toBe(before + 700n);
  });

  it('that a block refused may be asked for again', async () => {
    const before = received();
    const wanted = order({ amount: ledger.account(alice.publicKey).balance + 1n });
    const refused = { code: 'tx-refused', facts: { code: 17 } };
    await expect(payingWith(wallet).pay(wanted)).rejects.toMatchObject(refused);
    await expect(payingWith(wallet).pay(wanted)).rejects.toMatchObject(refused);
    expect(received()).toBe(before);
  });

  it('is refused under the reference of another one', async () => {
    const wanted = order();
    const paying = payingWith(wallet);
    await paying.pay(wanted);
    for (const other of [{ amount: 701n }, { to: alice.publicKey }, { memo: 'x' }]) {
      await expect(paying.pay({ ...wanted, ...other })).rejects.toMatchObject({ code: 'usage' });
    }
  });
});

describe('a payment by the admin API', () => {
  const reference = 'ab'.repeat(16);
  const stranger = didOf(person('stranger').publicKey);

  it('refuses oneself, nothing, no DID, and a DID that the ledger has never seen unless told to', async () => {
    const { pay } = payHandlers({ ledger, wallet, paying: payingWith(wallet) });
    const refused = async (to: string, amount = '5'): Promise<string> => {
      const error = await pay({ to, amount, reference }, signal).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'usage' });
      return String((error as { facts: { reason: unknown } }).facts.reason);
    };
    expect(await refused(didOf(alice.publicKey))).toContain('your own');
    expect(await refused(didOf(bob.publicKey), '0')).toContain('nothing to pay');
    expect(await refused('bob')).toContain('not a DID');
    expect(await refused(stranger)).toContain('never seen');
    const long = { to: didOf(bob.publicKey), amount: '5', reference, memo: 'ü'.repeat(65) };
    await expect(pay(long, signal)).rejects.toMatchObject({ code: 'too-large' });
    const paid = await pay({ to: stranger, amount: '5', reference, unseen: true }, signal);
    expect(paid).toMatchObject({ to: stranger, amount: '5', reference, before: false });
    expect(paid.balance).toBe(String(ledger.account(alice.publicKey).balance));
  });
});
