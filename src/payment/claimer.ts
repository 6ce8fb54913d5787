/**
 * Claims what is due: several claims in one transaction where several are due, of which the ledger takes those that hold;
 * one that did not is then made by itself, so that one that is refused never holds up the rest. A claim that was sent and not heard of is looked up by its id before anything is sent again; amounts are
 * cumulative and the ledger pays the difference, so even a repeated claim pays nothing twice.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { point } from '../base/points.ts';
import { RESULT_CODES } from '../ledger/result-codes.ts';
import { claimBody as claimSchema } from '../protocol/actions-channel.ts';
import type { Hash } from '../protocol/ids.ts';
import { CLAIM_BATCH_MAX, TRANSACTION_BYTES_MAX } from '../protocol/limits.ts';
import { type Claimable, claimBody, dueFor, type LostClaim, unpaid } from './claims.ts';
import { CLAIMS_AT_ONCE_MAX } from './limits.ts';
import type { PayeeBook } from './payee-book.ts';
import type { ChannelView, Claim, ClaimLedger } from './ports.ts';

/** Bytes of the claims of one transaction: what else is in it takes less than the rest. */
const BATCH_BYTES_MAX = TRANSACTION_BYTES_MAX - 1_024;

const BATCH_PARTIAL = RESULT_CODES['batch-partial'].code;

/** Parts of a claimer. */
export interface ClaimerParts {
  readonly book: PayeeBook;
  readonly channels: ChannelView;
  readonly ledger: ClaimLedger;
  readonly clock: Clock;
  readonly log: Log;
}

/** Options of a claimer. */
export interface ClaimerOptions {
  /** Claim from this amount on, grains. Default 1 SAHARA. */
  readonly amountMin: bigint;
  /** Claim whatever is due once it has waited this long, milliseconds. Default one hour. */
  readonly ageMs: number;
  /** How often is looked, milliseconds. Default 30,000. */
  readonly everyMs: number;
}

/** Values for every option. */
export const CLAIMER_DEFAULTS: ClaimerOptions = {
  amountMin: 1_000_000_000n,
  ageMs: 3_600_000,
  everyMs: 30_000,
};

/** What one round did. */
export interface ClaimRound {
  readonly claimed: number;
  readonly waiting: number;
  readonly failed: readonly { readonly channel: Hash; readonly code: string }[];
}

/** What became of a claim: `claimed`, `waiting`, or the code of what was wrong. */
type Outcome = 'claimed' | 'waiting' | string;

interface Part {
  readonly due: Claimable;
  readonly claim: Claim;
}

interface Sent {
  readonly transaction: Hash;
  readonly claim: Claim;
}

/** What one round looks at. */
export interface RoundOptions {
  readonly all?: boolean;
  readonly only?: Hash;
  readonly signal?: AbortSignal;
}

/** Claims by thresholds. */
export interface Claimer {
  /** Begins to look regularly. */
  start(): void;
  /** Looks once; `all` claims whatever is due, `only` looks at one channel alone. */
  round(options?: RoundOptions): Promise<ClaimRound>;
  /** Stops looking and waits for the round under way. */
  stop(): Promise<void>;
}

/** A claimer for `parts.book`. */
export function createClaimer(parts: ClaimerParts, options: Partial<ClaimerOptions> = {}): Claimer {
  return new ThresholdClaimer(parts, { ...CLAIMER_DEFAULTS, ...options });
}

class ThresholdClaimer implements Claimer {
  readonly #parts: ClaimerParts;
  readonly #options: ClaimerOptions;
  readonly #since = new Map<string, number>();
  readonly #sent = new Map<string, Sent>();
  /** Lanes whose last claim was refused: they are claimed by themselves, so that they burden no others. */
  readonly #refused = new Set<string>();
  /** Channels whose loss was told. */
  readonly #lost = new Set<string>();
  readonly #stopping = new AbortController();
  #running: Promise<ClaimRound> | undefined;
  #cancel: (() => void) | undefined;

  constructor(parts: ClaimerParts, options: ClaimerOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  start(): void {
    if (this.#cancel || this.#stopping.signal.aborted) return;
    this.#cancel = this.#parts.clock.after(this.#options.everyMs, () => {
      this.#cancel = undefined;
      this.round().then(
        () => this.start(),
        (error: unknown) => {
          this.#parts.log.warn('claim round failed', { code: asSaharaError(error).code });
          this.start();
        },
      );
    });
  }

  round(options: RoundOptions = {}): Promise<ClaimRound> {
    const before = this.#running?.catch(() => {}) ?? Promise.resolve();
    const running = before
      .then(() => this.#round(options))
      .finally(() => {
        if (this.#running === running) this.#running = undefined;
      });
    this.#running = running;
    return running;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancel?.();
    this.#cancel = undefined;
    await this.#running?.catch(() => {});
  }

  async #round(options: RoundOptions): Promise<ClaimRound> {
    const signals = [this.#stopping.signal, ...(options.signal ? [options.signal] : [])];
    const signal = AbortSignal.any(signals);
    const failed: { channel: Hash; code: string }[] = [];
    let claimed = 0;
    let waiting = 0;
    let batch: Claimable[] = [];
    const send = async (): Promise<void> => {
      const sent = batch;
      batch = [];
      for (const [due, outcome] of await this.#claimAll(sent, signal)) {
        if (outcome === 'claimed') claimed++;
        else if (outcome === 'waiting') waiting++;
        else failed.push({ channel: due.channel, code: outcome });
      }
    };
    for await (const due of unpaid(this.#parts.book, this.#parts.channels)) {
      if (options.only && !equalBytes(due.channel, options.only)) continue;
      if ('lost' in due) {
        this.#tellLoss(due);
        continue;
      }
      if (!options.all && !this.#isTime(due)) {
        waiting++;
        continue;
      }
      batch.push(due);
      if (batch.length === CLAIM_BATCH_MAX) await send();
    }
    await send();
    return { claimed, waiting, failed };
  }

  #tellLoss({ channel, lost }: LostClaim): void {
    const name = toHex(channel);
    if (this.#lost.has(name)) return;
    this.#lost.add(name);
    this.#parts.log.warn('a channel ended before it was claimed', { channel: name, lost: String(lost) });
  }

  #isTime(due: Claimable): boolean {
    if (due.closing || due.amount >= this.#options.amountMin) return true;
    const name = nameOf(due);
    const nowMs = this.#parts.clock.monotonicMs();
    const sinceMs = this.#since.get(name) ?? nowMs;
    this.#since.set(name, sinceMs);
    return nowMs - sinceMs >= this.#options.ageMs;
  }

  /** Claims in as few transactions as they fit into; what did not hold together is claimed one by one. */
  async #claimAll(dues: readonly Claimable[], signal: AbortSignal): Promise<ReadonlyMap<Claimable, Outcome>> {
    const outcomes = new Map<Claimable, Outcome>();
    for (const group of this.#grouped(dues)) {
      if (group.length > 1) await this.#together(group, outcomes, signal);
    }
    const alone = dues.filter((due) => !outcomes.has(due));
    for (let at = 0; at < alone.length; at += CLAIMS_AT_ONCE_MAX) {
      const some = alone.slice(at, at + CLAIMS_AT_ONCE_MAX);
      await Promise.all(some.map(async (due) => outcomes.set(due, await this.#claim(due, signal))));
    }
    return outcomes;
  }

  /** Claims that fit into one transaction together; not one whose outcome is unknown, or that was refused before. */
  #grouped(dues: readonly Claimable[]): readonly (readonly Part[])[] {
    const groups: Part[][] = [];
    let sizeBytes = BATCH_BYTES_MAX;
    for (const due of dues) {
      const claim = claimBody(due.lane);
      const name = nameOf(due);
      if (claim === undefined || this.#sent.has(name) || this.#refused.has(name)) continue;
      const claimBytes = claimSchema.encode(claim).length;
      const group = sizeBytes + claimBytes > BATCH_BYTES_MAX ? undefined : groups.at(-1);
      if (group === undefined) groups.push([{ due, claim }]);
      else group.push({ due, claim });
      sizeBytes = claimBytes + (group === undefined ? 0 : sizeBytes);
    }
    return groups;
  }

  /** Claims in one transaction. Those without an outcome afterwards are to be claimed one by one. */
  async #together(
    group: readonly Part[],
    outcomes: Map<Claimable, Outcome>,
    signal: AbortSignal,
  ): Promise<void> {
    const { ledger, channels, log } = this.#parts;
    try {
      const claims = group.map(({ claim }) => claim);
      const transaction = await this.#send(group, () => ledger.submitClaims(claims, { signal }));
      const code = await ledger.outcome(transaction);
      // Each is looked up by itself, now and in later rounds.
      if (code === undefined) return;
      for (const { due, claim } of group) {
        this.#sent.delete(nameOf(due));
        const channel = await channels.channel(due.channel);
        const partly = code === BATCH_PARTIAL && channel !== undefined && dueFor(claim, channel) <= 0n;
        if (code !== 0 && !partly) continue;
        this.#since.delete(nameOf(due));
        await this.#keep(due, claim);
        outcomes.set(due, 'claimed');
      }
    } catch (error) {
      const { code } = asSaharaError(error);
      log.debug('claims failed together', { claims: group.length, code });
      // Refused together, they say one by one which it was. Any other failure would only be met again.
      if (code !== 'tx-refused' && code !== 'tx-invalid')
        for (const { due } of group) if (!outcomes.has(due)) outcomes.set(due, code);
    }
  }

  async #claim(due: Claimable, signal: AbortSignal): Promise<Outcome> {
    const name = nameOf(due);
    try {
      let sent = this.#sent.get(name);
      if (sent === undefined) {
        const claim = claimBody(due.lane);
        if (claim === undefined) return 'waiting';
        const submit = (): Promise<Hash> => this.#parts.ledger.submitClaim(claim, { signal });
        sent = { claim, transaction: await this.#send([{ due, claim }], submit) };
      }
      const code = await this.#parts.ledger.outcome(sent.transaction);
      if (code === undefined) return 'waiting';
      this.#sent.delete(name);
      // It went with others: whether it was among those that were paid shows in the channel, when that is looked at again.
      if (code === BATCH_PARTIAL) return 'waiting';
      this.#since.delete(name);
      if (code !== 0) {
        this.#refused.add(name);
        return `ledger ${code}`;
      }
      this.#refused.delete(name);
      await this.#keep(due, sent.claim);
      return 'claimed';
    } catch (error) {
      const { code } = asSaharaError(error);
      if (code === 'tx-refused') this.#refused.add(name);
      this.#parts.log.warn('claim failed', { channel: name, code });
      return code;
    }
  }

  /** Sends claims. A loss of power must not leave this book behind what it has claimed. */
  async #send(parts: readonly Part[], submit: () => Promise<Hash>): Promise<Hash> {
    await this.#parts.book.flush();
    point('claim:submitting');
    const transaction = await submit();
    for (const { due, claim } of parts) this.#sent.set(nameOf(due), { claim, transaction });
    point('claim:submitted');
    return transaction;
  }

  /** Keeps what the ledger has paid. */
  async #keep(due: Claimable, claim: Claim): Promise<void> {
    await this.#parts.book.lanes.settled(due.lane, claim.attribution);
    point('claim:settled');
  }
}

function nameOf({ lane }: Claimable): string {
  return `${toHex(lane.channel)}/${lane.lane}`;
}
