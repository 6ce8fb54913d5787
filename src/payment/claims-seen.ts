/**
 * Finds the claims on a payer's channels: in every block where blocks are executed here, and by what peers prove where the
 * ledger is a light one. How far it has looked is on disk, so that what a block showed while the payer was away is found
 * when it is back.
 *
 * A light ledger has no blocks. It learns of each number of receipts that was claimed on a lane the first claim; of a second
 * one for the same number it learns the total alone.
 */
import { concat, equalBytes, readU64be, toHex, u32be, u64be, utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Store } from '../base/store.ts';
import type { BlockEvent, Ledger } from '../ledger/ledger.ts';
import { block as blockSchema } from '../protocol/block.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { charge as chargeSchema } from '../protocol/payment.ts';
import type { Signed } from '../protocol/signing.ts';
import { claimsOf, transaction } from '../protocol/transaction.ts';
import { CLAIMS_MARK_BLOCKS } from './limits.ts';
import type { SeenClaim } from './payer-watch.ts';

/** A claim and who sent it. */
export interface OwnClaim extends SeenClaim {
  readonly sender: PublicKey;
}

/** Parts of the search. */
export interface ClaimsSeenParts {
  readonly clock: Clock;
  readonly log: Log;
  /** This part has the store for itself. */
  readonly store: Store;
  readonly ledger: Pick<Ledger, 'mode' | 'base' | 'head' | 'blocks' | 'onBlock' | 'settled' | 'channel'>;
  /** Channels that are paid from here. */
  channels(): readonly Hash[];
  /** Takes a claim; it counts as seen once this resolves. */
  take(claim: OwnClaim): Promise<void>;
}

const HEIGHT_KEY = utf8('h');
const LANE_LETTER = utf8('n');
/** Wait before what could not be read is read again, milliseconds. */
const RETRY_MS = 2_000;

/** Follows the claims on a payer's channels. */
export class ClaimsSeen {
  readonly #parts: ClaimsSeenParts;
  /** Up to this height every block was looked at. */
  #height = 0;
  #noted = 0;
  /** Channels of which a light ledger showed a change. */
  readonly #changed = new Map<string, Hash>();
  #looking: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #cancel = (): void => {};
  #unwatch = (): void => {};

  private constructor(parts: ClaimsSeenParts) {
    this.#parts = parts;
  }

  /** Goes on where `parts.store` says. */
  static async open(parts: ClaimsSeenParts): Promise<ClaimsSeen> {
    const seen = new ClaimsSeen(parts);
    const { ledger, store } = parts;
    const kept = await store.get(HEIGHT_KEY);
    seen.#height = kept === undefined ? 0 : Number(readU64be(kept));
    seen.#noted = seen.#height;
    for (const id of parts.channels()) seen.#changed.set(toHex(id), id);
    seen.#unwatch = ledger.onBlock((event) => seen.#onBlock(event));
    seen.#look();
    return seen;
  }

  /** Follows no more, and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unwatch();
    this.#cancel();
    await this.#looking;
  }

  #onBlock({ height, channels }: BlockEvent): void {
    const own = channels.filter((id) => this.#isOwn(id));
    if (this.#parts.ledger.mode === 'light') {
      for (const id of own) this.#changed.set(toHex(id), id);
      if (own.length > 0) this.#look();
      return;
    }
    const next = this.#height + 1 === height && this.#looking === undefined;
    if (own.length === 0 && next) this.#height = height;
    if (own.length > 0 || !next || height >= this.#noted + CLAIMS_MARK_BLOCKS) this.#look();
  }

  #isOwn(id: Hash): boolean {
    return this.#parts.channels().some((own) => equalBytes(own, id));
  }

  /** Looks once at a time, after whoever called. */
  #look(): void {
    this.#again = true;
    if (this.#looking || this.#stopped) return;
    this.#looking = Promise.resolve()
      .then(async () => {
        while (this.#again && !this.#stopped) {
          this.#again = false;
          await (this.#parts.ledger.mode === 'light' ? this.#asked() : this.#read());
        }
      })
      .catch((error: unknown) => {
        if (this.#stopped) return;
        this.#parts.log.debug('claims not looked at', { code: asSaharaError(error).code });
        this.#cancel();
        this.#cancel = this.#parts.clock.after(RETRY_MS, () => this.#look());
      })
      .finally(() => {
        this.#looking = undefined;
        if (this.#again && !this.#stopped) this.#look();
      });
  }

  /** Every block since the last look. */
  async #read(): Promise<void> {
    const { ledger } = this.#parts;
    // Nothing was ever paid from here, so nothing can be claimed of it.
    if (this.#parts.channels().length === 0) this.#height = ledger.head().height;
    while (!this.#stopped && this.#height < ledger.head().height) {
      const from = Math.max(this.#height, ledger.base) + 1;
      const blocks = await ledger.blocks(from);
      if (blocks.length === 0 && from <= ledger.head().height) throw new SaharaError('state-unproven');
      for (const wire of blocks) {
        for (const message of blockSchema.decode(wire).transactions) await this.#transaction(message);
      }
      this.#height = from + blocks.length - 1;
      await this.#note();
    }
    await this.#note();
  }

  async #note(): Promise<void> {
    if (this.#height === this.#noted) return;
    const value = u64be(BigInt(this.#height));
    await this.#parts.store.batch([{ type: 'put', key: HEIGHT_KEY, value }]);
    this.#noted = this.#height;
  }

  async #transaction(message: Signed): Promise<void> {
    for (const { claim } of claimsIn(message)) {
      if (this.#isOwn(claim.channel) && !this.#stopped) await this.#parts.take(claim);
    }
  }

  /** The first claim of each number of receipts that is not known yet, by proof. */
  async #asked(): Promise<void> {
    const { ledger, store } = this.#parts;
    for (const [name, id] of [...this.#changed]) {
      const channel = ledger.channel(id);
      for (const { lane } of channel?.lanes ?? []) {
        const key = concat(LANE_LETTER, id, u32be(lane));
        const kept = await store.get(key);
        let count = kept === undefined ? 0 : Number(readU64be(kept));
        while (!this.#stopped) {
          const proof = await ledger.settled({ channel: id, lane, count: count + 1 });
          const next =
            proof === undefined
              ? []
              : claimsIn(proof.transaction).filter(({ claim, ...at }) => {
                  return equalBytes(claim.channel, id) && at.lane === lane && at.sequence > count;
                });
          if (next.length === 0) break;
          for (const { claim } of next) await this.#parts.take(claim);
          count = Math.max(...next.map(({ sequence }) => sequence));
          await store.batch([{ type: 'put', key, value: u64be(BigInt(count)) }]);
        }
      }
      this.#changed.delete(name);
    }
  }
}

interface FoundClaim {
  readonly claim: OwnClaim;
  readonly lane: number;
  readonly sequence: number;
}

/** Claims in a transaction that can be read: what is in a block may be refused, and then say anything. */
function claimsIn(message: Signed): readonly FoundClaim[] {
  const read = readable(() => transaction.decode(message.payload));
  if (read === undefined) return [];
  return claimsOf(read.action).flatMap(({ channel, charge }) => {
    const terms = readable(() => chargeSchema.decode(charge.payload));
    if (terms === undefined) return [];
    const { lane, sequence } = terms;
    return [{ claim: { channel, charge, sender: read.sender }, lane, sequence }];
  });
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (asSaharaError(error).code === 'malformed') return undefined;
    throw error;
  }
}
