/**
 * A payer's watch: holds every claim on its channels against what its payees signed for it, keeps what it cannot explain
 * and looks again, and brings the ledger one challenge where a payee contradicted itself. What it found is on disk before
 * it is sent, and the transaction before anybody sees it, so that a crash at any moment loses nothing and sends nothing
 * twice. Between honest parties it writes nothing and sends nothing.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Store } from '../base/store.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { ChallengeAction } from '../protocol/actions-channel.ts';
import type { Hash } from '../protocol/ids.ts';
import { charge as chargeSchema } from '../protocol/payment.ts';
import type { Signed, Verifier } from '../protocol/signing.ts';
import { forecastOf } from './challenge-forecast.ts';
import { type Case, type DisputedLane, disputedKey, disputedLane } from './dispute-records.ts';
import { UNEXPLAINED_CLAIMS_MAX } from './limits.ts';
import type { PayerBook } from './payer-book.ts';
import type { LaneName, Proof } from './payer-evidence.ts';

/** What became of a challenge in a block: what the payee's stake lost, grains. */
export interface ChallengeTaken {
  readonly height: number;
  readonly moved: bigint;
}

/** Brings challenges to the ledger. */
export interface ChallengeLedger {
  /** Sends one; `recorded` is waited for before anybody sees what was signed. Throws `tx-refused`, or why nothing is known. */
  send(
    action: ChallengeAction,
    options: { readonly signal: AbortSignal; readonly recorded: (message: Signed) => Promise<void> },
  ): Promise<ChallengeTaken>;
  /** What became of one that was signed before; `undefined` when it can never take effect. Throws like `send`. */
  decide(message: Signed, options: { readonly signal: AbortSignal }): Promise<ChallengeTaken | undefined>;
}

/** Parts of a watch. */
export interface PayerWatchParts {
  readonly verifier: Verifier;
  readonly clock: Clock;
  readonly log: Log;
  /** This part has the store for itself. */
  readonly store: Store;
  readonly book: Pick<PayerBook, 'findingOn' | 'ownProof' | 'lanes'>;
  readonly ledger: Pick<Ledger, 'network' | 'read' | 'genesis'>;
  readonly challenges: ChallengeLedger;
}

/** Options of a watch. */
export interface PayerWatchOptions {
  /** How often what is not explained or decided is looked at again, milliseconds. Default 5,000. */
  readonly everyMs: number;
}

/** Values for every option. */
export const PAYER_WATCH_DEFAULTS: PayerWatchOptions = { everyMs: 5_000 };

/** A claim that a block shows. */
export interface SeenClaim {
  readonly channel: Hash;
  readonly charge: Signed;
}

interface Pressing {
  /** Whatever it is worth. */
  readonly pressed: boolean;
  readonly signal?: AbortSignal;
}

/** A lane that is not as it should be. */
export interface WatchedDispute extends LaneName, DisputedLane {}

/** Watches a payer's channels. */
export class PayerWatch {
  readonly #parts: PayerWatchParts;
  readonly #options: PayerWatchOptions;
  readonly #lanes = new Map<string, WatchedDispute>();
  readonly #listeners = new Set<(dispute: WatchedDispute) => void>();
  readonly #stopping = new AbortController();
  #working: Promise<unknown> = Promise.resolve();
  /** Cases that are on their way to the ledger. */
  readonly #bringing = new Map<string, Promise<void>>();
  /** How lanes stood that were looked at for what they prove. */
  readonly #looked = new Map<string, string>();
  #cancel = (): void => {};

  private constructor(parts: PayerWatchParts, options: PayerWatchOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Opens the watch kept in `parts.store` and goes on with what it had begun. */
  static async open(parts: PayerWatchParts, options: Partial<PayerWatchOptions> = {}): Promise<PayerWatch> {
    const watch = new PayerWatch(parts, { ...PAYER_WATCH_DEFAULTS, ...options });
    for await (const [key, value] of parts.store.entries()) {
      const lane = new DataView(key.buffer, key.byteOffset, key.byteLength).getUint32(32);
      watch.#lanes.set(toHex(key), { channel: key.slice(0, 32), lane, ...disputedLane.decode(value) });
    }
    watch.#lookLater(0);
    return watch;
  }

  /** Everything that is not explained, and every case. */
  disputes(): readonly WatchedDispute[] {
    return [...this.#lanes.values()];
  }

  /** Tells of every change of a case. Listeners must not throw. Returns how to stop it. */
  onDispute(listener: (dispute: WatchedDispute) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes a claim on a channel of this payer; what it says against the payee is on disk when this resolves. */
  take(claim: SeenClaim): Promise<void> {
    return this.#alone(() => this.#judge(claim));
  }

  /** Holds everything against what is here by now, lanes that turned disputed with it. Waits for no ledger. */
  compare(): Promise<void> {
    return this.#alone(() => this.#round());
  }

  /** The same, and goes on with open cases until the ledger has said something. */
  async look(): Promise<void> {
    await this.compare();
    const open = this.disputes().filter((found) => found.case?.state === 'open');
    await Promise.all(open.map((found) => this.#bring(found)));
  }

  /**
   * Has a lane's case, if it is not decided, brought to the ledger now, even if it is worth nothing; `undefined` when there
   * is none. Throws why it cannot be.
   */
  async press(
    at: LaneName,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<WatchedDispute | undefined> {
    const name = nameOf(at);
    await this.#bringing.get(name);
    const found = this.#lanes.get(name);
    const state = found?.case?.state;
    if (found && (state === 'open' || state === 'worthless' || state === 'refused')) {
      await this.#bring(found, { pressed: true, ...options });
    }
    const now = this.#lanes.get(name);
    return now?.case && now;
  }

  /** Watches no more, and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort(new SaharaError('cancelled'));
    this.#cancel();
    await Promise.all(this.#bringing.values());
    await this.#working.catch(() => {});
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const working = this.#working.catch(() => {}).then(work);
    this.#working = working;
    return working;
  }

  #lookLater(ms: number): void {
    if (this.#stopping.signal.aborted) return;
    this.#cancel = this.#parts.clock.after(ms, () => {
      this.look()
        .catch((error: unknown) => {
          const { code } = asSaharaError(error);
          if (!this.#stopping.signal.aborted) this.#parts.log.warn('claims not compared', { code });
        })
        .finally(() => this.#lookLater(this.#options.everyMs));
    });
  }

  async #round(): Promise<void> {
    const { book } = this.#parts;
    for (const lane of book.lanes()) {
      const name = nameOf(lane);
      const known = this.#lanes.get(name);
      if (!lane.disputed && (known === undefined || known.unexplained.length === 0)) continue;
      // Nothing is read again before there is something new to be found.
      const stands = `${lane.count} ${lane.charge?.terms.sequence} ${lane.contradictions} ${lane.disputed}`;
      if (this.#looked.get(name) === stands) continue;
      if (lane.disputed) {
        const { channel, lane: number, payee } = lane;
        const at = { channel, lane: number, payee, unexplained: known?.unexplained ?? [] };
        const proof = await book.ownProof({ channel, lane: number });
        if (proof) await this.#accuse(at, proof, known?.case);
      }
      for (const charge of known?.unexplained ?? []) await this.#judge({ channel: lane.channel, charge });
      this.#looked.set(name, stands);
    }
  }

  async #judge({ channel, charge }: SeenClaim): Promise<void> {
    const { book, verifier, ledger } = this.#parts;
    const { lane, network, channel: named } = chargeSchema.decode(charge.payload);
    const payee = book.lanes().find((one) => equalBytes(one.channel, channel))?.payee;
    if (payee === undefined || network !== ledger.network || !equalBytes(named, channel)) return;
    if (await verifier.check(network, 'charge', payee, charge)) return;
    const at = { channel, lane };
    const finding = await book.findingOn(at, charge);
    const known = this.#lanes.get(nameOf({ channel, lane }));
    const others = known?.unexplained.filter((one) => !equalBytes(one.payload, charge.payload)) ?? [];
    const rest = { ...at, payee, unexplained: others };
    if (finding?.type === 'contradicts') return this.#accuse(rest, finding, known?.case);
    if (finding?.type !== 'agrees') {
      // What the payee claims on a lane that was never used from here counts receipts that are not here either.
      const unexplained = highest([...others, charge]);
      if (known?.unexplained.length === unexplained.length && unexplained.length > others.length) return;
      await this.#keep({ ...rest, unexplained, case: known?.case });
      return;
    }
    if (known !== undefined && known.unexplained.length > others.length)
      await this.#keep({ ...rest, case: known.case });
  }

  /** Opens a case, and another one only for less than was proven before. */
  async #accuse(at: Omit<WatchedDispute, 'case'>, { evidence, total }: Proof, before?: Case): Promise<void> {
    if (before !== undefined && before.total <= total) return this.#keep({ ...at, case: before });
    const foundAtMs = Math.trunc(this.#parts.clock.nowMs());
    const nothing = { transaction: undefined, height: 0, taken: 0n, returned: 0n, reason: undefined };
    const found = { ...at, case: { evidence, total, foundAtMs, state: 'open', ...nothing } as const };
    await this.#keep(found);
    this.#tell(found, 'a payee contradicts itself');
    void this.#bring(found);
  }

  async #keep(found: WatchedDispute): Promise<void> {
    const key = disputedKey(found.channel, found.lane);
    const gone = found.case === undefined && found.unexplained.length === 0;
    const value = gone ? undefined : disputedLane.encode(found);
    await this.#parts.store.batch(
      [value === undefined ? { type: 'del', key } : { type: 'put', key, value }],
      {
        sync: true,
      },
    );
    if (gone) this.#lanes.delete(toHex(key));
    else this.#lanes.set(toHex(key), found);
  }

  #tell(found: WatchedDispute, event: string): void {
    const { channel, lane, payee } = found;
    const { evidence, total, state, taken, returned, height } = found.case ?? {};
    this.#parts.log.warn(event, {
      ...{ channel: toHex(channel), lane, payee: toHex(payee), evidence: evidence?.type ?? '' },
      ...{ proven: String(total), state: state ?? '', taken: String(taken), returned: String(returned) },
      height: height ?? 0,
    });
    for (const listener of this.#listeners) listener(found);
  }

  /** Changes a lane's case on disk, unless another one took its place in the meantime. */
  #change(found: WatchedDispute, now: Case): Promise<void> {
    return this.#alone(async () => {
      const known = this.#lanes.get(nameOf(found));
      if (known?.case?.total === now.total) await this.#keep({ ...known, case: now });
    });
  }

  async #decided(found: WatchedDispute, now: Case): Promise<void> {
    await this.#change(found, now);
    this.#tell({ ...found, case: now }, now.state === 'won' ? 'a challenge was won' : 'a challenge is over');
  }

  /** Brings a case to the ledger, once at a time. Throws only when it is pressed. */
  #bring(found: WatchedDispute, how: Pressing = { pressed: false }): Promise<void> {
    const name = nameOf(found);
    const under = this.#bringing.get(name);
    if (under !== undefined) return under;
    const bringing = this.#tryToBring(found, how);
    const done = bringing
      .catch(() => {})
      .then(() => {
        this.#bringing.delete(name);
      });
    this.#bringing.set(name, done);
    return how.pressed ? bringing : done;
  }

  async #tryToBring(found: WatchedDispute, { pressed, signal }: Pressing): Promise<void> {
    const stopping = this.#stopping.signal;
    const either = signal === undefined ? stopping : AbortSignal.any([stopping, signal]);
    const open = found.case;
    if (open === undefined || stopping.aborted) return;
    try {
      await this.#challenge(found, { ...open, state: 'open' }, { pressed, signal: either });
    } catch (error) {
      const { code, facts } = asSaharaError(error);
      if (code === 'tx-refused') {
        const { frozenAt } = (await this.#forecast(found, open, either)) ?? {};
        const state = frozenAt !== undefined && frozenAt <= open.total ? 'frozen' : 'refused';
        await this.#decided(found, { ...open, state, reason: String(facts.reason ?? '').slice(0, 256) });
      } else if (!stopping.aborted) {
        this.#parts.log.warn('a challenge waits for the ledger', { code, channel: toHex(found.channel) });
      }
      throw error;
    }
  }

  async #challenge(
    found: WatchedDispute,
    open: Case,
    { pressed, signal }: { readonly pressed: boolean; readonly signal: AbortSignal },
  ): Promise<void> {
    const { challenges } = this.#parts;
    const { evidence, total } = open;
    let { transaction } = open;
    let taken = transaction && (await challenges.decide(transaction, { signal }));
    if (taken === undefined) {
      const before = await this.#forecast(found, open, signal);
      if (before === undefined) return this.#decided(found, { ...open, state: 'worthless' });
      if (before.frozenAt !== undefined && before.frozenAt <= total)
        return this.#decided(found, { ...open, state: 'frozen' });
      const worth = before.taken > 0n || before.left > 0n;
      if (!worth && !pressed) return this.#decided(found, { ...open, state: 'worthless' });
      const recorded = (message: Signed): Promise<void> => {
        transaction = message;
        return this.#change(found, { ...open, transaction });
      };
      taken = await challenges.send(
        { type: 'challenge', channel: found.channel, evidence },
        { signal, recorded },
      );
    }
    const { returned = 0n } = (await this.#forecast(found, open, signal)) ?? {};
    const { height, moved } = taken;
    await this.#decided(found, { ...open, transaction, state: 'won', height, taken: moved, returned });
  }

  #forecast(
    { channel, lane, payee }: WatchedDispute,
    { total }: Case,
    signal: AbortSignal,
  ): ReturnType<typeof forecastOf> {
    return forecastOf(this.#parts.ledger, { channel, lane, payee, total }, { signal });
  }
}

function nameOf({ channel, lane }: LaneName): string {
  return toHex(disputedKey(channel, lane));
}

/** Of more charges than there is room for, those of the highest totals. */
function highest(charges: readonly Signed[]): readonly Signed[] {
  const totalOf = (message: Signed): bigint => chargeSchema.decode(message.payload).total;
  return [...charges].sort((a, b) => (totalOf(a) > totalOf(b) ? -1 : 1)).slice(0, UNEXPLAINED_CLAIMS_MAX);
}
