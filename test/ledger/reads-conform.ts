import { afterEach, describe, expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { checkInclusion } from '../../src/ledger/inclusion.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { bondOfId } from '../../src/ledger/queries-stake.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, assetId, channelId, transactionId } from '../../src/protocol/transaction.ts';
import { until } from '../mesh/support.ts';
import { alice, bob, carol, claimOf, START, signAction, suite } from './support.ts';

/** A ledger of alice's home, whatever it keeps, and one that keeps everything. */
export interface ReadsUnderTest {
  readonly ledger: Ledger;
  readonly full: Ledger;
  close(): Promise<void>;
}

const transfer = (to: Signer, amount: bigint): Action => ({
  type: 'transfer',
  to: to.publicKey,
  amount,
  memo: undefined,
});

const dataset: Action = {
  type: 'register-asset',
  kind: 'dataset',
  name: 'maps',
  owners: [{ owner: bob.publicKey, ppm: 1_000_000 }],
  parents: [],
  commitment: { scheme: 'none', root: new Uint8Array(32), sizeBytes: 0 },
  licence: '',
  terms: undefined,
  replaces: undefined,
  bounty: 0,
};

const level = (ledger: Ledger, full: Ledger): Promise<void> =>
  until(() => ledger.head().height === full.head().height);

/** What wallet, payment and the daemon need of a ledger, whoever keeps it. Genesis: `testGenesis()`. */
export function readsConform(name: string, create: () => Promise<ReadsUnderTest>): void {
  describe(`a home's ledger: ${name}`, () => {
    let running: ReadsUnderTest | undefined;
    const open = async (): Promise<ReadsUnderTest> => {
      running = await create();
      return running;
    };
    afterEach(async () => {
      await running?.close();
      running = undefined;
    });
    const sign = (who: Signer, nonce: number, action: Action, changes = {}) =>
      signAction(running?.ledger.network ?? '', who, nonce, action, changes);

    test('LEDGER-40 LEDGER-41 LEDGER-157: what was sent is answered once it is in a block, shows in reads, and has its proof', async () => {
      const { ledger } = await open();
      const message = sign(alice, 0, transfer(bob, 5n));
      const [first, second] = await Promise.all([ledger.submit(message), ledger.submit(message)]);
      const id = transactionId(suite, ledger.network, message.payload);
      expect(first).toMatchObject({ id, height: 1, index: 0, result: { code: 0 } });
      expect(second).toEqual(first);
      expect(await ledger.submit(message)).toEqual(first);
      expect(ledger.lookup(id)).toEqual(first);
      expect(ledger.account(alice.publicKey)).toEqual({ balance: START - 5n, nonce: 1 });
      expect(ledger.head().height).toBe(1);
      const proof = await ledger.proof(id);
      const trusted = { network: ledger.network, sequencer: ledger.genesis.sequencer };
      expect(proof && checkInclusion(suite, trusted, proof)).toMatchObject({ height: 1 });
    });

    test('LEDGER-42: refusals name their code, and where a block refused its place', async () => {
      const { ledger } = await open();
      const refused = async (message: ReturnType<typeof sign>, code: string, facts: object) =>
        expect(ledger.submit(message)).rejects.toMatchObject({ code, facts });
      const good = sign(alice, 0, transfer(bob, 5n));
      await refused({ ...good, signature: new Uint8Array(64) }, 'tx-invalid', { code: 4 });
      await refused({ ...good, payload: new Uint8Array(3) }, 'tx-invalid', { code: 1 });
      await refused(sign(alice, 0, transfer(bob, 5n), { network: 'other-0' }), 'tx-invalid', { code: 3 });
      await refused(sign(alice, 0, transfer(bob, START + 1n)), 'tx-refused', {
        code: 17,
        height: 1,
        index: 0,
      });
      await refused(sign(alice, 1_000_000, transfer(bob, 5n)), 'tx-refused', { code: 6 });
    });

    test('transactions that come out of order wait for each other', async () => {
      const { ledger } = await open();
      const later = [2, 1].map((nonce) => ledger.submit(sign(alice, nonce, transfer(bob, 1n))));
      await ledger.submit(sign(alice, 0, transfer(bob, 1n)));
      await Promise.all(later);
      expect(ledger.account(alice.publicKey)).toEqual({ balance: START - 3n, nonce: 3 });
    });

    test('LEDGER-156: own channels are in memory, from their opening to their end, whoever changes them', async () => {
      const { ledger, full } = await open();
      const id = channelId(suite, ledger.network, alice.publicKey, bob.publicKey, 0);
      await ledger.submit(
        sign(alice, 0, { type: 'open-channel', payee: bob.publicKey, deposit: 5_000_000n }),
      );
      expect(ledger.channel(id)).toEqual(full.channel(id));
      expect(ledger.channelsOf(alice.publicKey)).toHaveLength(1);
      expect(ledger.channelsOf(bob.publicKey).map((channel) => toHex(channel.id))).toEqual([toHex(id)]);
      await ledger.submit(sign(alice, 1, { type: 'top-up', channel: id, amount: 7n }));
      expect(ledger.channel(id)?.deposit).toBe(5_000_007n);
      const told: string[] = [];
      const stop = ledger.onBlock(({ channels }) => told.push(...channels.map(toHex)));
      const terms = { channel: id, payer: alice, payee: bob, ceiling: 9n, amounts: [] };
      const amounts = [{ asset: new Uint8Array(32), amount: 7n }];
      await full.submit(sign(bob, 0, { type: 'claim', ...claimOf(ledger.network, { ...terms, amounts }) }));
      await until(() => ledger.channel(id)?.claimed === 7n);
      await full.submit(sign(bob, 1, { type: 'close-by-payee', channel: id, claim: undefined }));
      await until(() => ledger.channelsOf(alice.publicKey).length === 0);
      expect(new Set(told)).toEqual(new Set([toHex(id)]));
      expect(ledger.account(alice.publicKey)).toEqual(full.account(alice.publicKey));
      stop();
    });

    test('LEDGER-156 LEDGER-158: what others have is read by asking, and what they list', async () => {
      const { ledger, full } = await open();
      await full.submit(sign(bob, 0, dataset));
      const id = assetId(suite, ledger.network, bob.publicKey, 0);
      await level(ledger, full);
      expect(await ledger.read((reads) => reads.asset(id))).toEqual(full.asset(id));
      expect(await ledger.read((reads) => reads.account(bob.publicKey).nonce)).toBe(1);
      expect(await ledger.read((reads) => reads.channel(id))).toBeUndefined();
      expect(await ledger.read((reads) => reads.identity(carol.publicKey))).toBeUndefined();
      expect(await ledger.read((reads) => reads.isRevoked(bob.publicKey, new Uint8Array(16)))).toBe(false);
      expect(await ledger.listed('assets', bob.publicKey)).toEqual([id]);
      expect(await ledger.listed('channels', carol.publicKey)).toEqual([]);
    });

    test('LEDGER-156 LEDGER-158: stakes of others are read by asking, and what somebody delegated', async () => {
      const { ledger, full } = await open();
      const stake = { role: 'provider', amount: 1_000_000_000n } as const;
      await full.submit(sign(bob, 0, { type: 'bond', ...stake, commission: 5 }));
      await full.submit(sign(carol, 0, { type: 'delegate', did: bob.publicKey, ...stake }));
      await level(ledger, full);
      expect(await ledger.read((reads) => reads.stakeOf(bob.publicKey))).toEqual(full.stakeOf(bob.publicKey));
      expect(full.stakeOf(bob.publicKey)).toMatchObject([{ own: stake.amount, delegated: stake.amount }]);
      expect(await ledger.read((reads) => reads.rewardsOf(bob.publicKey))).toEqual([]);
      const [id] = await ledger.listed('delegations', carol.publicKey);
      expect(id && bondOfId(id)).toEqual({ did: bob.publicKey, role: 'provider' });
    });

    test('LEDGER-158: the claim that counts a receipt is found and proved', async () => {
      const { ledger, full } = await open();
      const channel = channelId(suite, ledger.network, alice.publicKey, bob.publicKey, 0);
      await ledger.submit(
        sign(alice, 0, { type: 'open-channel', payee: bob.publicKey, deposit: 5_000_000n }),
      );
      const body = claimOf(ledger.network, {
        channel,
        payer: alice,
        payee: bob,
        ceiling: 9n,
        amounts: [{ asset: new Uint8Array(32), amount: 7n }],
      });
      const { id } = await full.submit(sign(bob, 0, { type: 'claim', ...body }));
      await level(ledger, full);
      const proof = await ledger.settled({ channel, lane: 0, count: 1 });
      expect(proof && transactionId(suite, ledger.network, proof.transaction.payload)).toEqual(id);
      expect(await ledger.settled({ channel, lane: 0, count: 1_000 })).toBeUndefined();
      expect(await ledger.settled({ channel, lane: 1, count: 1 })).toBeUndefined();
    });

    test('after stopping it still reads own records, and takes nothing more', async () => {
      const { ledger } = await open();
      await ledger.submit(sign(alice, 0, transfer(bob, 1n)));
      const gap = ledger.submit(sign(alice, 2, transfer(bob, 1n)));
      const rejected = expect(gap).rejects.toMatchObject({ code: 'cancelled' });
      await ledger.stop();
      await rejected;
      expect(ledger.account(alice.publicKey).nonce).toBe(1);
      await expect(ledger.submit(sign(alice, 1, transfer(bob, 1n)))).rejects.toMatchObject({
        code: 'cancelled',
      });
    });
  });
}
