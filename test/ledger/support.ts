/** What the ledger's tests share: people with keys, a local network, and a ledger in memory without an engine. */
import { utf8 } from '../../src/base/bytes.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { type BlockParts, buildBlock, type ExecutedBlock } from '../../src/ledger/blocks.ts';
import { type Chain, openChain } from '../../src/ledger/chain.ts';
import { createGenesis, type GenesisOptions, networkNameOf } from '../../src/ledger/genesis.ts';
import { prepareTransaction } from '../../src/ledger/prepare.ts';
import { createQueries, type Queries } from '../../src/ledger/queries.ts';
import { heldIn } from '../../src/ledger/records.ts';
import { resultName } from '../../src/ledger/result-codes.ts';
import { createSignatureBook } from '../../src/ledger/signatures.ts';
import type { ClaimBody } from '../../src/protocol/actions-channel.ts';
import type { Genesis, TransactionResult } from '../../src/protocol/block.ts';
import { type Hash, PROTOCOL_VERSION } from '../../src/protocol/ids.ts';
import { type AssetAmount, attributionRoot, charge, voucher } from '../../src/protocol/payment.ts';
import { type Signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite } from '../../src/protocol/suite-native.ts';
import { type Action, type Transaction, transaction } from '../../src/protocol/transaction.ts';

export const suite: typeof nativeSuite = nativeSuite;

/** The same key for the same name, always. */
export function person(name: string): Signer {
  return createSigner(suite.sha256(utf8(`test person ${name}`)));
}

export const sequencer: Signer = person('sequencer');
export const alice: Signer = person('alice');
export const bob: Signer = person('bob');
export const carol: Signer = person('carol');

export const START = 10_000_000_000n;

/** A local network in which alice, bob and carol start with money. */
export function testGenesis(options: GenesisOptions = {}): Genesis {
  const accounts = [alice, bob, carol].map(({ publicKey }) => ({ owner: publicKey, balance: START }));
  const parts = { sequencer: sequencer.publicKey, createdAtMs: 1_760_000_000_000 };
  return createGenesis(parts, {
    accounts,
    ...options,
    parameters: { closeDelayBlocks: 3, blockIntervalMs: 20, ...options.parameters },
  });
}

/** Signs an action as a transaction of `network`. */
export function signAction(
  network: string,
  signer: Signer,
  nonce: number,
  action: Action,
  changes: Partial<Transaction> = {},
): Signed {
  const body = { version: PROTOCOL_VERSION, network, sender: signer.publicKey, nonce, feeMax: 0n, action };
  const payload = transaction.encode({ ...body, ...changes });
  return signOne(suite, signer, network, { type: 'transaction', payload });
}

/** What a claim says, with its usual parts. */
export interface ClaimTerms {
  readonly channel: Hash;
  readonly payer: Signer;
  readonly payee: Signer;
  readonly ceiling: bigint;
  readonly amounts: readonly AssetAmount[];
  readonly lane?: number;
  readonly chargeLane?: number;
  readonly chargeNetwork?: string;
  readonly total?: bigint;
  readonly committed?: readonly AssetAmount[];
}

/** A claim as honest parties make it, unless `terms` bends it. */
export function claimOf(network: string, terms: ClaimTerms): ClaimBody {
  const { channel, payer, payee, ceiling, amounts, lane = 0 } = terms;
  const total = terms.total ?? amounts.reduce((sum, { amount }) => sum + amount, 0n);
  const receiptRoot = new Uint8Array(32);
  const promise = voucher.encode({
    network,
    channel,
    lane,
    ceiling,
    sequence: 1,
    receiptCount: 0,
    receiptRoot,
    receiptTotal: 0n,
    notAfterMs: undefined,
  });
  const statement = charge.encode({
    network: terms.chargeNetwork ?? network,
    channel,
    lane: terms.chargeLane ?? lane,
    total,
    sequence: 1,
    receiptRoot,
    attributionRoot: attributionRoot(suite, terms.committed ?? amounts),
  });
  return {
    channel,
    voucher: signOne(suite, payer, network, { type: 'voucher', payload: promise }),
    charge: signOne(suite, payee, network, { type: 'charge', payload: statement }),
    attribution: amounts,
  };
}

/** One result by name, with what it moved. */
export interface NamedResult {
  readonly name: string;
  readonly moved: bigint;
}

/** A ledger without an engine: one transaction a block, unless told otherwise. */
export class Bench {
  readonly parts: BlockParts;
  readonly chain: Chain;
  readonly queries: Queries;
  readonly network: string;
  last: ExecutedBlock | undefined;

  private constructor(parts: BlockParts) {
    this.parts = parts;
    this.chain = parts.chain;
    this.network = parts.network;
    this.queries = createQueries(parts);
  }

  static async create(
    genesis: Genesis = testGenesis(),
    store: Store = createMemoryStore(),
    keepBlocks?: number,
  ): Promise<Bench> {
    const network = networkNameOf(suite, genesis);
    const chain = await openChain({ suite, store, keepBlocks }, genesis);
    const signatures = createSignatureBook(suite, network);
    return new Bench({ suite, network, genesis, chain, signatures, recall: () => undefined });
  }

  nonce(signer: Signer): number {
    return this.queries.account(signer.publicKey).nonce;
  }

  balance(signer: Signer): bigint {
    return this.queries.account(signer.publicKey).balance;
  }

  /** Makes one block of signed transactions; results in order, left-out ones among them. */
  async block(messages: readonly Signed[]): Promise<readonly NamedResult[]> {
    const candidates = messages.map((message) => prepareTransaction(suite, this.network, message));
    const proposal = { candidates, timeMs: this.chain.head().timeMs + 1 };
    const { executed, leftOut } = buildBlock(this.parts, sequencer, proposal);
    await this.chain.commit(executed);
    this.last = executed;
    return candidates.map((candidate) => {
      const at = executed.transactions.indexOf(candidate);
      const refused = leftOut.find(({ prepared }) => prepared === candidate);
      const result: TransactionResult = executed.results[at] ?? { code: refused?.code ?? -1, moved: 0n };
      return { name: resultName(result.code) ?? `code ${result.code}`, moved: result.moved };
    });
  }

  /** Signs and executes one action in a block of its own. */
  async run(signer: Signer, action: Action, changes: Partial<Transaction> = {}): Promise<NamedResult> {
    const [result] = await this.block([
      signAction(this.network, signer, this.nonce(signer), action, changes),
    ]);
    return result ?? { name: 'nothing', moved: 0n };
  }

  /** All money, by adding up every record. */
  async supply(): Promise<bigint> {
    let sum = 0n;
    for await (const [key, value] of this.chain.stateEntries()) sum += heldIn(key, value);
    return sum;
  }
}
