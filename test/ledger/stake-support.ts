/** What the tests of stakes and rewards share: a network with short delays, people who stake, headers and claims. */
import { bondOf, delegationOf } from '../../src/ledger/stake.ts';
import { State } from '../../src/ledger/state.ts';
import type { BondRole } from '../../src/protocol/actions-stake.ts';
import { type BlockHeader, blockHeader, type LedgerParameters } from '../../src/protocol/block.ts';
import { type Hash, PROTOCOL_VERSION } from '../../src/protocol/ids.ts';
import { type Signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, channelId } from '../../src/protocol/transaction.ts';
import { Bench, claimOf, type NamedResult, suite, testGenesis } from './support.ts';

/** Of a fee of 10 grains 4 go into the pool; a bond has at least 1,000; it takes 5 blocks to leave; an epoch has 20. */
export const RULES = {
  transactionFee: 10n,
  rewardPpm: 400_000,
  bondMin: 1_000n,
  slashPpm: 300_000,
  closeDelayBlocks: 3,
  unbondDelayBlocks: 5,
  epochBlocks: 20,
  depositMin: 1n,
} as const;

export const FEE: bigint = RULES.transactionFee;

/** A ledger with bonds: what people do takes one block each. */
export class StakeBench {
  readonly bench: Bench;

  private constructor(bench: Bench) {
    this.bench = bench;
  }

  static async create(parameters: Partial<LedgerParameters> = {}): Promise<StakeBench> {
    return new StakeBench(await Bench.create(testGenesis({ parameters: { ...RULES, ...parameters } })));
  }

  get height(): number {
    return this.bench.chain.head().height;
  }

  /** The committed state, to read from. */
  get state(): State {
    return new State(this.bench.chain.readState);
  }

  run(signer: Signer, action: Action): Promise<NamedResult> {
    return this.bench.run(signer, action, { feeMax: FEE });
  }

  async name(signer: Signer, action: Action): Promise<string> {
    return (await this.run(signer, action)).name;
  }

  async pass(blocks: number): Promise<void> {
    for (let i = 0; i < blocks; i++) await this.bench.block([]);
  }

  /** Empty blocks up to the first of the next epoch. */
  async nextEpoch(): Promise<number> {
    const epoch = Math.floor(this.height / RULES.epochBlocks) + 1;
    await this.pass(epoch * RULES.epochBlocks - this.height);
    return epoch;
  }

  own(who: Signer, role: BondRole = 'provider'): bigint {
    return bondOf(this.state, who.publicKey, role).own;
  }

  delegated(by: Signer, to: Signer, role: BondRole = 'provider'): bigint {
    return delegationOf(this.state, { did: to.publicKey, role }, by.publicKey).amount;
  }

  /** The id of the channel that the payer's next transaction opens. */
  channelOf(payer: Signer, payee: Signer): Hash {
    const { network } = this.bench;
    return channelId(suite, network, payer.publicKey, payee.publicKey, this.bench.nonce(payer));
  }

  async open(payer: Signer, payee: Signer, deposit: bigint): Promise<Hash> {
    const id = this.channelOf(payer, payee);
    await this.run(payer, { type: 'open-channel', payee: payee.publicKey, deposit });
    return id;
  }

  /** A claim that brings the lane to `total`. */
  claim(channel: Hash, payer: Signer, payee: Signer, total: bigint, lane = 0): Action {
    const amounts = [{ asset: new Uint8Array(32), amount: total }];
    const body = claimOf(this.bench.network, { channel, payer, payee, ceiling: total, amounts, lane });
    return { type: 'claim', ...body };
  }
}

export const bond = (amount: bigint, role: BondRole = 'provider', commission?: number): Action => ({
  type: 'bond',
  role,
  amount,
  commission,
});

export const unbond = (amount: bigint, role: BondRole = 'provider'): Action => ({
  type: 'unbond',
  role,
  amount,
});

export const delegate = (to: Signer, amount: bigint, role: BondRole = 'provider'): Action => ({
  type: 'delegate',
  did: to.publicKey,
  role,
  amount,
});

export const undelegate = (to: Signer, amount: bigint, role: BondRole = 'provider'): Action => ({
  type: 'undelegate',
  did: to.publicKey,
  role,
  amount,
});

export const release = (of: Signer, owner: Signer = of, role: BondRole = 'provider'): Action => ({
  type: 'release-bond',
  did: of.publicKey,
  role,
  owner: owner.publicKey,
});

/** A header of `height`, signed by `by`. */
export function header(
  network: string,
  by: Signer,
  height: number,
  changes: Partial<BlockHeader> = {},
): Signed {
  const zeros = new Uint8Array(32);
  const payload = blockHeader.encode({
    version: PROTOCOL_VERSION,
    network,
    height,
    previous: zeros,
    transactionsRoot: zeros,
    resultsRoot: zeros,
    stateRoot: zeros,
    proposer: by.publicKey,
    timeMs: 1,
    ...changes,
  });
  return signOne(suite, by, network, { type: 'block-header', payload });
}
