import { afterEach, expect, test } from 'vitest';
import { createMemoryStore } from '../../src/base/store.ts';
import type { Signed } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Action } from '../../src/protocol/transaction.ts';
import { cometNetwork, type DrivenBlock, DrivenLedger, vera, viktor } from './comet-support.ts';
import { ALONE, nextOf, rotate } from './identity-support.ts';
import { alice, bob, person, signAction } from './support.ts';

const RULES = { bondMin: 1_000n, slashPpm: 500_000, unbondDelayBlocks: 5, closeDelayBlocks: 3 };
const network = cometNetwork({ parameters: RULES });

let driven: DrivenLedger;
const nonces = new Map<Signer, number>();
afterEach(async () => {
  nonces.clear();
  await driven.close();
});

function by(who: Signer, action: Action, key = who): Signed {
  const nonce = nonces.get(who) ?? 0;
  nonces.set(who, nonce + 1);
  return signAction(driven.ledger.network, key, nonce, action, { sender: who.publicKey });
}

const bond = (amount: bigint): Action => ({ type: 'bond', role: 'validator', amount, commission: undefined });

/** The changes of voters by a block, as pairs of key and power. */
async function changes(block: DrivenBlock): Promise<readonly (readonly [Uint8Array | undefined, bigint])[]> {
  const { validatorUpdates } = await driven.block(block);
  return validatorUpdates.map(({ pubKey, power }) => [pubKey.ed25519, power]);
}

test('ENG-20: those of the genesis begin, and stake adds voters, in whole multiples of the least bond', async () => {
  driven = await DrivenLedger.open(network);
  const { initChain } = await driven.client.ask({
    initChain: { chainId: driven.ledger.network, initialHeight: 1n },
  });
  expect(initChain?.validators.map(({ pubKey, power }) => [pubKey.ed25519, power])).toEqual([
    [vera.publicKey, 10n],
    [viktor.publicKey, 5n],
  ]);
  expect(await changes({ messages: [by(alice, bond(2_999n))] })).toEqual([[alice.publicKey, 2n]]);
  const delegate: Action = { type: 'delegate', did: alice.publicKey, role: 'validator', amount: 1_001n };
  expect(await changes({ messages: [by(bob, delegate)] })).toEqual([[alice.publicKey, 4n]]);
  const unbond: Action = { type: 'unbond', role: 'validator', amount: 2_999n };
  expect(await changes({ messages: [by(alice, unbond)] })).toEqual([[alice.publicKey, 0n]]);
  expect(await changes({})).toEqual([]);
});

test('ENG-20: a node that was restarted has the set of everybody else', async () => {
  const store = createMemoryStore();
  driven = await DrivenLedger.open(network, store);
  await driven.block({ messages: [by(alice, bond(7_000n))] });
  const before = driven.ledger.validators();
  expect(before.map(({ power }) => power)).toEqual([10, 7, 5]);
  await driven.close();
  driven = await DrivenLedger.open(network, store);
  expect(driven.ledger.validators()).toEqual(before);
});

test('ENG-21: who changes the key of a DID changes the key that votes', async () => {
  driven = await DrivenLedger.open(network);
  const [next, third] = [person('vera, next'), person('vera, third')];
  await driven.block({
    messages: [by(vera, { type: 'register-identity', next: nextOf(next), policy: ALONE })],
  });
  expect(await changes({ messages: [by(vera, rotate(next, third), next)] })).toEqual([
    [vera.publicKey, 0n],
    [next.publicKey, 10n],
  ]);
  // Of the next two blocks the former key is the proposer still.
  await driven.block({ messages: [by(alice, bond(1_000n))], proposer: vera });
  await driven.block({ messages: [by(alice, bond(1_000n))], proposer: next });
  const lines = await driven.ledger.blocks(3);
  expect(lines).toHaveLength(2);
  expect(await driven.ledger.verify()).toMatchObject({ faults: [] });
});

test('ENG-22: an offence that consensus brings is punished once, and nobody gains by it', async () => {
  driven = await DrivenLedger.open(network);
  await driven.block({ messages: [by(alice, bond(8_000n))] });
  const offence = { offenders: [{ by: alice, height: 1 }] };
  expect(await changes(offence)).toEqual([[alice.publicKey, 4n]]);
  expect(driven.ledger.stakeOf(alice.publicKey, 'validator')[0]).toMatchObject({ own: 4_000n });
  expect(await changes(offence)).toEqual([]);
  expect(await changes({ offenders: [{ by: alice, height: 2 }] })).toEqual([[alice.publicKey, 2n]]);
  expect(await driven.ledger.verify()).toMatchObject({ faults: [], supply: driven.ledger.supply().total });
});

test('ENG-20 ENG-22: a first validator that offends loses the place of the genesis, the last one excepted', async () => {
  driven = await DrivenLedger.open(network);
  expect(await changes({ offenders: [{ by: viktor, height: 1 }] })).toEqual([[viktor.publicKey, 0n]]);
  const all = await changes({ offenders: [{ by: vera, height: 2 }] });
  expect(all).toEqual([[viktor.publicKey, 5n]]);
  expect(driven.ledger.validators()).toHaveLength(2);
});

test('ENG-20 ENG-4: a key that is a DID of its own as well votes once, and every node knows whose it is', async () => {
  const store = createMemoryStore();
  driven = await DrivenLedger.open(network, store);
  const [key, after] = [person('both'), person('after both')];
  const transfer: Action = { type: 'transfer', to: key.publicKey, amount: 50_000n, memo: undefined };
  await driven.block({
    messages: [
      by(alice, { type: 'register-identity', next: nextOf(key), policy: ALONE }),
      by(alice, bond(3_000n)),
      by(bob, transfer),
    ],
  });
  await driven.block({ messages: [by(alice, rotate(key, after), key)] });
  expect(await changes({ messages: [by(key, bond(20_000n))] })).toEqual([[key.publicKey, 20n]]);
  expect(driven.ledger.validators()).toHaveLength(3);
  const message = by(bob, bond(1_000n));
  const answer = (): Promise<unknown> => driven.finalize({ messages: [message], proposer: key });
  const before = await answer();
  await driven.close();
  driven = await DrivenLedger.open(network, store);
  expect(await answer()).toEqual(before);
});
