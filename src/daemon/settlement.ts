/**
 * Finds the claim that settled a call. Every block is looked through once for claims on channels that this peer
 * pays from; what is kept is where each claim stands and how far the looking has come, in one batch.
 */
import { concat, prefixEnd, readU64be, toHex, u32be, u64be, utf8 } from '../base/bytes.ts';
import type { Log } from '../base/log.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { block as blockSchema } from '../protocol/block.ts';
import type { Settlement } from '../protocol/bundle.ts';
import type { Hash } from '../protocol/ids.ts';
import { charge, type Receipt } from '../protocol/payment.ts';
import { receiptPathOf, type SumNode } from '../protocol/receipt-tree.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { claimsOf, transaction, transactionId } from '../protocol/transaction.ts';

/** Where calls were settled. */
export interface Settlements {
  /** The proof that a claim counts `receipt`, or `undefined` while there is none. */
  of(receipt: Receipt, leaves: readonly SumNode[]): Promise<Settlement | undefined>;
  /** Whether a claim counts `receipt`. */
  has(receipt: Receipt): Promise<boolean>;
  /** Waits until every executed block was looked through. */
  caughtUp(): Promise<void>;
  stop(): Promise<void>;
}

/** What settlements are found with. */
export interface SettlementParts {
  readonly ledger: Ledger;
  /** This part has the store for itself. */
  readonly store: Store;
  readonly log: Log;
  /** Whether this peer pays from the channel. */
  readonly paysFrom: (channel: Hash) => boolean;
}

const HEIGHT = utf8('h');
const CLAIM = utf8('c');

/** Watches `parts.ledger`, from where the last run ended. */
export function createSettlements(parts: SettlementParts): Settlements {
  const { ledger, store } = parts;
  let stopped = false;
  let work: Promise<void> = Promise.resolve();
  const look = (): void => {
    work = work
      .then(() => (stopped ? undefined : catchUp(parts)))
      .catch((error: unknown) => parts.log.error('blocks not looked through', { reason: String(error) }));
  };
  const stopListening = ledger.onBlock(look);
  look();

  const find = async (
    receipt: Receipt,
  ): Promise<{ readonly id: Hash; readonly count: number } | undefined> => {
    if (receipt.channel === undefined) return undefined;
    const prefix = laneKey(receipt.channel, receipt.lane);
    // The first claim whose charge covers more receipts than came before this one.
    const gte = concat(prefix, u64be(BigInt(receipt.sequence + 1)));
    const lt = prefixEnd(prefix);
    for await (const [key, id] of store.entries({ gte, ...(lt && { lt }), limit: 1 })) {
      return { id, count: Number(readU64be(key, prefix.length)) };
    }
    return undefined;
  };

  return {
    async of(receipt, leaves) {
      await work;
      const found = await find(receipt);
      const proof = found && (await ledger.proof(found.id));
      if (!found || !proof || leaves.length < found.count) return undefined;
      const receiptPath = receiptPathOf(nativeSuite, leaves.slice(0, found.count), receipt.sequence);
      return { ...proof, receiptPath };
    },
    async has(receipt) {
      await work;
      return (await find(receipt)) !== undefined;
    },
    caughtUp: () => work,
    async stop() {
      stopped = true;
      stopListening();
      await work;
    },
  };
}

function laneKey(channel: Hash, lane: number): Uint8Array {
  return concat(CLAIM, channel, u32be(lane));
}

async function catchUp(parts: SettlementParts): Promise<void> {
  const { ledger, store } = parts;
  const kept = await store.get(HEIGHT);
  let next = Math.max(ledger.base, kept === undefined ? 0 : Number(readU64be(kept))) + 1;
  while (next <= ledger.head().height) {
    const blocks = await ledger.blocks(next);
    if (blocks.length === 0) return;
    const operations = new Map<string, StoreOperation>();
    for (const bytes of blocks) {
      for (const operation of claimsIn(parts, bytes)) {
        // The first claim of a charge is the one that paid.
        const known = operations.has(toHex(operation.key)) || (await store.get(operation.key)) !== undefined;
        if (!known) operations.set(toHex(operation.key), operation);
      }
    }
    next += blocks.length;
    const reached: StoreOperation = { type: 'put', key: HEIGHT, value: u64be(BigInt(next - 1)) };
    await store.batch([...operations.values(), reached]);
  }
}

function claimsIn({ ledger, paysFrom }: SettlementParts, bytes: Uint8Array): StoreOperation[] {
  const found: StoreOperation[] = [];
  for (const { payload } of blockSchema.decode(bytes).transactions) {
    const claims = claimsOf(transaction.decode(payload).action).filter(({ channel }) => paysFrom(channel));
    if (claims.length === 0) continue;
    const id = transactionId(nativeSuite, ledger.network, payload);
    // Which claims of a batch held shows only when all of them did.
    if (ledger.lookup(id)?.result.code !== 0) continue;
    for (const claim of claims) {
      const terms = charge.decode(claim.charge.payload);
      const key = concat(laneKey(claim.channel, terms.lane), u64be(BigInt(terms.sequence)));
      found.push({ type: 'put', key, value: id });
    }
  }
  return found;
}
