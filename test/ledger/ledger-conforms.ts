import { afterEach, describe, expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { checkInclusion, inclusionProof } from '../../src/ledger/inclusion.ts';
import type { BlockEvent, InclusionProof, Ledger } from '../../src/ledger/ledger.ts';
import { ACCOUNTS, stateKey } from '../../src/ledger/records.ts';
import { blockHeader } from '../../src/protocol/block.ts';
import { certifiedHeader, openCertified } from '../../src/protocol/certified-header.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import { signOne } from '../../src/protocol/signing.ts';
import { verifyStateProof } from '../../src/protocol/state-proof.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, channelId, transactionId } from '../../src/protocol/transaction.ts';
import { alice, bob, carol, claimOf, START, signAction, suite } from './support.ts';

/** A running ledger under test, with what it takes to end it. */
export interface LedgerUnderTest {
  readonly ledger: Ledger;
  close(): Promise<void>;
}

const transfer = (to: Signer, amount: bigint): Action => ({
  type: 'transfer',
  to: to.publicKey,
  amount,
  memo: undefined,
});

/** The header of a proof with another result, as somebody else signs it. */
function signedBy(who: Signer, { network }: Ledger, { header }: InclusionProof): InclusionProof['header'] {
  const { stateRoot, ...rest } = blockHeader.decode(header.payload);
  const payload = blockHeader.encode({ ...rest, stateRoot: suite.sha256(stateRoot) });
  return signOne(suite, who, network, { type: 'block-header', payload });
}

/** What every engine must do. `create` gives a ledger of `testGenesis()` that accepts transactions. */
export function ledgerConforms(name: string, create: () => Promise<LedgerUnderTest>): void {
  describe(`ledger: ${name}`, () => {
    let running: LedgerUnderTest | undefined;
    const open = async (): Promise<Ledger> => {
      running = await create();
      return running.ledger;
    };
    afterEach(async () => {
      await running?.close();
      running = undefined;
    });
    const sign = (ledger: Ledger, who: Signer, nonce: number, action: Action, changes = {}) =>
      signAction(ledger.network, who, nonce, action, changes);

    test('LEDGER-40: a submitted transaction is answered with its place, and is found there', async () => {
      const ledger = await open();
      expect(ledger.head()).toMatchObject({ height: 0 });
      const message = sign(ledger, alice, 0, transfer(bob, 5n));
      const id = transactionId(suite, ledger.network, message.payload);
      expect(ledger.lookup(id)).toBeUndefined();
      const inclusion = await ledger.submit(message);
      expect(inclusion).toMatchObject({ id, result: { code: 0, moved: 0n } });
      expect(ledger.lookup(id)).toEqual(inclusion);
      expect(ledger.account(alice.publicKey)).toEqual({ balance: START - 5n, nonce: 1 });
      expect(ledger.head().height).toBe(inclusion.height);
      const [line] = await ledger.transactions();
      expect(line).toMatchObject({ ...inclusion, nonce: 0, action: transfer(bob, 5n) });
    });

    test('LEDGER-41: handing in the same transaction again gives the same place', async () => {
      const ledger = await open();
      const message = sign(ledger, alice, 0, transfer(bob, 5n));
      const [first, second] = await Promise.all([ledger.submit(message), ledger.submit(message)]);
      expect(second).toEqual(first);
      expect(await ledger.submit(message)).toEqual(first);
      expect(ledger.account(bob.publicKey).balance).toBe(START + 5n);
    });

    test('LEDGER-42: refusals name their code and reason, and where a block refused its place', async () => {
      const ledger = await open();
      const message = sign(ledger, alice, 0, transfer(bob, 5n));
      const forged = { ...message, signature: new Uint8Array(64) };
      await expect(ledger.submit(forged)).rejects.toMatchObject({ code: 'tx-invalid', facts: { code: 4 } });
      const garbage = { ...message, payload: new Uint8Array(3) };
      await expect(ledger.submit(garbage)).rejects.toMatchObject({ code: 'tx-invalid', facts: { code: 1 } });
      const elsewhere = sign(ledger, alice, 0, transfer(bob, 5n), { network: 'other-0' });
      await expect(ledger.submit(elsewhere)).rejects.toMatchObject({
        code: 'tx-invalid',
        facts: { code: 3 },
      });
      const tooMuch = sign(ledger, alice, 0, transfer(bob, START + 1n));
      await expect(ledger.submit(tooMuch)).rejects.toMatchObject({
        code: 'tx-refused',
        facts: { code: 17, height: 1, index: 0, reason: 'The sender has less than the amount.' },
      });
      await expect(ledger.submit(message)).rejects.toMatchObject({ code: 'tx-refused', facts: { code: 5 } });
      const distant = sign(ledger, alice, 1_000_000, transfer(bob, 5n));
      await expect(ledger.submit(distant)).rejects.toMatchObject({ code: 'tx-refused', facts: { code: 6 } });
    });

    test('transactions that come out of order wait for each other', async () => {
      const ledger = await open();
      const later = [3, 1, 2].map((nonce) => ledger.submit(sign(ledger, alice, nonce, transfer(bob, 1n))));
      await ledger.submit(sign(ledger, alice, 0, transfer(bob, 1n)));
      await Promise.all(later);
      expect(ledger.account(alice.publicKey)).toEqual({ balance: START - 4n, nonce: 4 });
    });

    test('who gives up waiting is told that the outcome is unknown', async () => {
      const ledger = await open();
      const gap = sign(ledger, alice, 1, transfer(bob, 1n));
      const wait = new AbortController();
      const answer = ledger.submit(gap, { signal: wait.signal });
      setTimeout(() => wait.abort(), 20);
      await expect(answer).rejects.toMatchObject({ code: 'cancelled' });
      await ledger.submit(sign(ledger, alice, 0, transfer(bob, 1n)));
      expect((await ledger.submit(gap)).result.code).toBe(0);
    });

    test('LEDGER-43: an inclusion proof verifies offline, and no altered one does', async () => {
      const ledger = await open();
      const messages = [0, 1, 2, 3, 4].map((nonce) =>
        sign(ledger, alice, nonce, transfer(bob, BigInt(nonce + 1))),
      );
      const places = await Promise.all(messages.map((message) => ledger.submit(message)));
      const trusted = { network: ledger.network, sequencer: ledger.genesis.sequencer };
      // What somebody believes who has the network's genesis and nothing else.
      const judge = (proof: InclusionProof) => checkInclusion(suite, trusted, proof);
      for (const [i, { id, height }] of places.entries()) {
        const made = await ledger.proof(id);
        expect(made?.transaction).toEqual(messages[i]);
        if (made === undefined) continue;
        const proof = inclusionProof.decode(inclusionProof.encode(made));
        expect(judge(proof)).toMatchObject({ height });
        const other = { ...proof, result: { code: 17, moved: 0n } };
        expect(judge(other)).toBe('result-path');
        const swapped = { ...proof, transaction: messages[(i + 1) % 5] ?? proof.transaction };
        expect(judge(swapped)).toBe('transaction-path');
        const forged = { ...proof, header: signedBy(bob, ledger, proof) };
        expect(judge(forged)).toBe('header-signature');
        const { payload } = forged.header;
        expect(judge({ ...proof, header: { ...proof.header, payload } })).toBe('header-signature');
      }
      expect(await ledger.proof(new Uint8Array(32))).toBeUndefined();
    });

    test('LEDGER-32: state proofs hold against the head', async () => {
      const ledger = await open();
      await ledger.submit(sign(ledger, alice, 0, transfer(bob, 5n)));
      const key = stateKey(ACCOUNTS, bob.publicKey);
      const { value, proof } = ledger.stateProof(key);
      expect(value && ACCOUNTS.schema.decode(value)).toMatchObject({ balance: START + 5n });
      expect(verifyStateProof(suite, ledger.head().stateRoot, { key, value }, proof)).toBe(true);
      const absent = stateKey(ACCOUNTS, new Uint8Array(32).fill(3));
      const nothing = ledger.stateProof(absent);
      expect(nothing.value).toBeUndefined();
      expect(
        verifyStateProof(suite, ledger.head().stateRoot, { key: absent, ...nothing }, nothing.proof),
      ).toBe(true);
    });

    test('LEDGER-32, ENG-30: what the state holds is proved to who has the genesis alone, and that it holds nothing', async () => {
      const ledger = await open();
      await ledger.submit(sign(ledger, alice, 0, transfer(bob, 5n)));
      const keys = [bob.publicKey, new Uint8Array(32).fill(3)].map((key) => stateKey(ACCOUNTS, key));
      const { header, entries } = await ledger.prove(keys);
      if (header === undefined) throw new RangeError('no header');
      const root = { network: ledger.network, sequencer: ledger.genesis.sequencer };
      const copy = certifiedHeader.decode(certifiedHeader.encode(header));
      const { stateRoot } = openCertified(suite, root, copy).header;
      expect(entries.map(({ value }) => value && ACCOUNTS.schema.decode(value).balance)).toEqual([
        START + 5n,
        undefined,
      ]);
      for (const [i, { value, proof }] of entries.entries()) {
        const key = keys[i] ?? new Uint8Array(0);
        expect(verifyStateProof(suite, stateRoot, { key, value }, proof)).toBe(true);
        expect(verifyStateProof(suite, stateRoot, { key, value: Uint8Array.of(1) }, proof)).toBe(false);
      }
      const other = { ...root, sequencer: suite.sha256(root.sequencer) };
      expect(() => openCertified(suite, other, copy)).toThrow('bundle-invalid');
    });

    test('LEDGER-22: a closing channel ends by itself, without further transactions', async () => {
      const ledger = await open();
      const id = channelId(suite, ledger.network, alice.publicKey, bob.publicKey, 0);
      const opening: Action = { type: 'open-channel', payee: bob.publicKey, deposit: 1_000_000n };
      await ledger.submit(sign(ledger, alice, 0, opening));
      const amounts = [{ asset: new Uint8Array(32) as Hash, amount: 7n }];
      const terms = { channel: id, payer: alice, payee: bob, ceiling: 9n, amounts };
      const claim: Action = { type: 'claim', ...claimOf(ledger.network, terms) };
      expect((await ledger.submit(sign(ledger, carol, 0, claim))).result.moved).toBe(7n);
      const ended = new Promise<BlockEvent>((resolve) => {
        ledger.onBlock((event) => !ledger.channel(id) && resolve(event));
      });
      const request: Action = { type: 'request-close', channel: id };
      const { height } = await ledger.submit(sign(ledger, alice, 1, request));
      expect(ledger.channel(id)).toMatchObject({ state: 'closing', closeAt: height + 3 });
      const event = await ended;
      expect(event).toMatchObject({ height: height + 3, inclusions: [] });
      expect(event.channels.map(toHex)).toEqual([toHex(id)]);
      expect(ledger.account(alice.publicKey).balance).toBe(START - 7n);
      expect(ledger.channelsOf(alice.publicKey)).toEqual([]);
    });

    test('LEDGER-4: verify replays to the same root and supply', async () => {
      const ledger = await open();
      await Promise.all(
        [0, 1, 2].map((nonce) => ledger.submit(sign(ledger, alice, nonce, transfer(bob, 1n)))),
      );
      const report = await ledger.verify();
      expect(report).toMatchObject({ transactions: 3, faults: [], supply: ledger.supply().total });
      expect(report.stateRoot).toEqual(ledger.head().stateRoot);
    });

    test('after stopping it still reads, and takes nothing more', async () => {
      const ledger = await open();
      const gap = ledger.submit(sign(ledger, alice, 1, transfer(bob, 1n)));
      const rejected = expect(gap).rejects.toMatchObject({ code: 'cancelled' });
      await ledger.submit(sign(ledger, bob, 0, transfer(alice, 1n)));
      await ledger.stop();
      await rejected;
      expect(ledger.account(bob.publicKey).nonce).toBe(1);
      await expect(ledger.submit(sign(ledger, carol, 0, transfer(bob, 1n)))).rejects.toMatchObject({
        code: 'cancelled',
      });
    });
  });
}
