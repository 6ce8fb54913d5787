/** What `ledger-vectors.ts` tells about keys: transactions one by one, what each gives, and the records after it. */
import { toHex } from '../src/base/bytes.ts';
import { identityKey } from '../src/ledger/identities.ts';
import { RESULT_CODES, type ResultName } from '../src/ledger/result-codes.ts';
import { genesis as genesisSchema } from '../src/protocol/block.ts';
import { signed } from '../src/protocol/signing.ts';
import type { Signer } from '../src/protocol/suite.ts';
import { type Action, channelId } from '../src/protocol/transaction.ts';
import { finish, guardedBy, recover, register, rotate, signFor } from '../test/ledger/identity-support.ts';
import { alice, Bench, bob, carol, claimOf, person, suite, testGenesis } from '../test/ledger/support.ts';

interface Step {
  readonly name: string;
  readonly height: number;
  /** The transaction in its wire form; absent for an empty block. */
  readonly transaction: string | null;
  readonly code: number;
  /** Alice's and bob's identity records after the block. */
  readonly records: readonly (string | null)[];
}

const [k1, k2, k3, k4] = [person('k1'), person('k2'), person('k3'), person('k4')];

class Teller {
  readonly steps: Step[] = [];
  readonly bench: Bench;
  #total = 0n;
  readonly #channel: Uint8Array;

  constructor(bench: Bench) {
    this.bench = bench;
    this.#channel = channelId(suite, bench.network, alice.publicKey, bob.publicKey, 0);
  }

  async tell(name: string, did: Signer, key: Signer, action: Action): Promise<void> {
    const message = signFor(this.bench, did, key, action);
    const [result] = await this.bench.block([message]);
    this.#keep(name, toHex(signed.encode(message)), result?.name ?? 'ok');
  }

  async wait(blocks: number): Promise<void> {
    for (let i = 0; i < blocks; i++) {
      await this.bench.block([]);
      this.#keep('an empty block', null, 'ok');
    }
  }

  /** One grain more on alice's channel to bob. */
  async claim(name: string, payer: Signer, payee: Signer): Promise<void> {
    const amount = ++this.#total;
    const amounts = [{ asset: new Uint8Array(32), amount }];
    const terms = { channel: this.#channel, payer, payee, ceiling: amount, amounts };
    await this.tell(name, carol, carol, { type: 'claim', ...claimOf(this.bench.network, terms) });
  }

  #keep(name: string, transaction: string | null, result: string): void {
    const records = [alice, bob].map(({ publicKey }) => {
      const stored = this.bench.chain.readState(identityKey(publicKey));
      return stored === undefined ? null : toHex(stored);
    });
    // Names of results are the keys of the table.
    const { code } = RESULT_CODES[result as ResultName];
    this.steps.push({ name, height: this.bench.chain.head().height, transaction, code, records });
  }
}

const spend: Action = { type: 'transfer', to: carol.publicKey, amount: 1n, memo: undefined };

async function rotations(told: Teller): Promise<void> {
  const policy = guardedBy([bob, carol], 2);
  await told.tell('a channel', alice, alice, {
    type: 'open-channel',
    payee: bob.publicKey,
    deposit: 1_000_000n,
  });
  await told.tell('a rotation without a record', alice, k1, rotate(k1, k2));
  await told.tell('the next key is the DID', alice, alice, register(alice, policy));
  await told.tell('a guardian is the DID', alice, alice, register(k1, guardedBy([alice], 1)));
  await told.tell('a guardian named twice', alice, alice, register(k1, guardedBy([bob, bob], 1)));
  await told.tell('a threshold above the guardians', alice, alice, register(k1, guardedBy([bob], 2)));
  await told.tell('no threshold', alice, alice, register(k1, guardedBy([bob], 0)));
  await told.tell('a delay below that of channels', alice, alice, register(k1, guardedBy([bob], 1, 2)));
  await told.tell('a delay above a week', alice, alice, register(k1, guardedBy([bob], 1, 604_801)));
  await told.tell('a registration', alice, alice, register(k1, policy));
  await told.tell('registered twice', alice, alice, register(k2, policy));
  await told.tell('a rotation by the present key', alice, alice, rotate(k1, k2));
  await told.tell('a rotation to a key that was not named', alice, k2, rotate(k2, k3));
  await told.tell('next names the DID', alice, k1, rotate(k1, alice));
  await told.tell('a guardian is the new key', alice, k1, rotate(k1, k2, guardedBy([k1], 1)));
  await told.claim('a voucher by the DID', alice, bob);
  await told.tell('a rotation', alice, k1, rotate(k1, k2));
  await told.tell('a transaction by the retired key', alice, alice, spend);
  await told.tell('a transaction by the new key', alice, k1, spend);
  await told.claim('a voucher by a retired key in its last block', alice, bob);
  await told.claim('a voucher by a revoked key', alice, bob);
  await told.claim('a voucher by the new key', k1, bob);
  await told.tell('a key of another registers', k1, k1, register(k3));
  await told.tell(
    'a rotation that replaces the guardians',
    alice,
    k2,
    rotate(k2, k3, guardedBy([bob, carol], 1)),
  );
  await told.tell('one certificate', alice, k2, { type: 'revoke-certificate', serial: new Uint8Array(16) });
  await told.tell('revoked twice', alice, k2, { type: 'revoke-certificate', serial: new Uint8Array(16) });
  await told.tell('bob registers', bob, bob, register(k1));
  await told.tell('a key that was another’s', bob, k1, rotate(k1, k3));
}

async function recoveries(told: Teller): Promise<void> {
  const { network } = told.bench;
  const want = (key: Signer, next: Signer): Action => recover(network, alice.publicKey, key, next);
  const unsigned = want(person('new'), k3);
  const bare: Action =
    unsigned.type === 'recover-identity' ? { ...unsigned, consent: new Uint8Array(64) } : unsigned;
  await told.tell('of somebody unknown', bob, bob, recover(network, carol.publicKey, k4, k3));
  await told.tell('by nobody’s guardian', k4, k4, recover(network, bob.publicKey, k4, k3));
  await told.tell('to a key that was used', bob, bob, want(k2, k3));
  await told.tell('without the consent of the key', bob, bob, bare);
  const lost = person('lost');
  await told.tell('a vote', bob, bob, want(lost, k3));
  await told.tell('the same vote', bob, bob, want(lost, k3));
  await told.tell('rejected', alice, k2, { type: 'cancel-recovery' });
  await told.tell('nothing to reject', alice, k2, { type: 'cancel-recovery' });
  await told.tell('a vote again', bob, bob, want(lost, k3));
  await told.tell('another guardian’s vote for another key', carol, carol, want(person('found'), k3));
  await told.tell('a mind that is changed', carol, carol, want(lost, k3));
  await told.tell('too early', carol, carol, finish(alice.publicKey, lost, k3));
  await told.tell('another recovery', carol, carol, finish(alice.publicKey, person('found'), k3));
  await told.wait(2);
  await told.tell('a recovery', carol, carol, finish(alice.publicKey, lost, k3));
  await told.tell('a transaction by the recovered key', alice, lost, spend);
  await told.claim('a voucher by the lost key', k2, bob);
  await told.tell('a recovery that a rotation overtakes', bob, bob, want(person('new'), person('x')));
  await told.tell('the rotation', alice, k3, rotate(k3, person('y')));
  await told.tell('what is left of it', carol, carol, finish(alice.publicKey, person('new'), person('x')));
}

async function manyRotations(told: Teller): Promise<void> {
  const row = Array.from({ length: 10 }, (_, i) => person(`row ${i}`));
  await told.wait(4);
  await told.tell('to the first of many', alice, person('y'), rotate(person('y'), row[0] ?? k1));
  for (let i = 0; i < 4; i++) {
    const [key, next] = [row[i] ?? k1, row[i + 1] ?? k1];
    await told.tell('on to the next', alice, key, rotate(key, next));
  }
}

/** Keys registered, rotated, recovered and revoked, each in order and against the rules. */
export async function identityVectors(): Promise<unknown> {
  const genesis = testGenesis();
  const told = new Teller(await Bench.create(genesis));
  await rotations(told);
  await recoveries(told);
  await manyRotations(told);
  return {
    about:
      'Keys on a ledger from its genesis (LEDGER-70 to 77): blocks of one transaction each, what it gave, and the identity records of two DIDs after it.',
    genesis: toHex(genesisSchema.encode(genesis)),
    network: told.bench.network,
    dids: [alice, bob].map(({ publicKey }) => toHex(publicKey)),
    steps: told.steps,
  };
}
