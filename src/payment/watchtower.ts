/**
 * A watchtower: keeps the latest claim of each lane that was left with it, and makes it in its own name when the payee
 * could lose it: the channel is closing, a withdrawal would take what is due, or the key of a statement is retired. The
 * payee has the first half of the time for itself. What a tower holds pays the parties of the channel and nobody else.
 */
import { toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import type { BlockEvent, Ledger } from '../ledger/ledger.ts';
import type { ClaimBody } from '../protocol/actions-channel.ts';
import { charge as chargeSchema, voucher as voucherSchema } from '../protocol/payment.ts';
import { checkSigned, type Verifier } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import type { WatchVerdict } from '../protocol/watchtower.ts';
import { CLAIMS_AT_ONCE_MAX, WATCHED_LANES_MAX, WATCHED_PER_PAYEE_MAX } from './limits.ts';
import { checkWatched, dueOf, withinMost } from './watch-check.ts';
import { type WatchedLane, type WatchedRecord, watchedKey, watchedRecord } from './watch-records.ts';

/** Parts of a watchtower. */
export interface WatchtowerParts {
  readonly suite: Suite;
  readonly verifier: Verifier;
  readonly clock: Clock;
  readonly log: Log;
  /** This part has the store for itself. */
  readonly store: Store;
  /** One that executes every block. */
  readonly ledger: Pick<Ledger, 'network' | 'genesis' | 'head' | 'channel' | 'identity' | 'onBlock'>;
  /** Makes a claim in the tower's own name; resolves with what it paid, grains. */
  claim(claim: ClaimBody, options: { readonly signal: AbortSignal }): Promise<bigint>;
}

/** Options of a watchtower. */
export interface WatchtowerOptions {
  /** Lanes watched in all. Default `WATCHED_LANES_MAX`. */
  readonly lanesMax: number;
  /** Lanes watched for one payee. Default `WATCHED_PER_PAYEE_MAX`. */
  readonly perPayeeMax: number;
}

/** Values for every option. */
export const WATCHTOWER_DEFAULTS: WatchtowerOptions = {
  lanesMax: WATCHED_LANES_MAX,
  perPayeeMax: WATCHED_PER_PAYEE_MAX,
};

/** What a tower has claimed since it was opened. */
export interface TowerClaims {
  readonly claims: number;
  /** Grains. */
  readonly paid: bigint;
}

/** The last claim that this tower paid the fee of: for which end, and how many blocks were left until then. */
interface PaidClaim {
  readonly ends: number;
  readonly left: number;
}

/** A lane whose claim is to be made now. */
interface Endangered extends PaidClaim {
  readonly lane: WatchedLane;
}

/** Watches lanes for payees. */
export class Watchtower {
  readonly #parts: WatchtowerParts;
  readonly #options: WatchtowerOptions;
  /** By channel, then by lane. */
  readonly #lanes = new Map<string, Map<number, WatchedLane>>();
  readonly #perPayee = new Map<string, number>();
  /** Channels of which something may have to be claimed. */
  readonly #ending = new Set<string>();
  /** Claims that the ledger refused: not sent again before something newer is left. */
  readonly #refused = new Set<string>();
  /** What was paid for in the closing under way: by channel, then by lane. */
  readonly #fees = new Map<string, Map<number, PaidClaim>>();
  readonly #stopping = new AbortController();
  #count = 0;
  #taking: Promise<unknown> = Promise.resolve();
  #looking: Promise<void> | undefined;
  #again = false;
  #claimed: TowerClaims = { claims: 0, paid: 0n };
  #unwatch = (): void => {};

  private constructor(parts: WatchtowerParts, options: WatchtowerOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Opens the tower kept in `parts.store` and begins to watch. */
  static async open(parts: WatchtowerParts, options: Partial<WatchtowerOptions> = {}): Promise<Watchtower> {
    const tower = new Watchtower(parts, { ...WATCHTOWER_DEFAULTS, ...options });
    for await (const [, value] of parts.store.entries()) {
      const lane = laneOf(watchedRecord.decode(value));
      tower.#put(lane);
      tower.#ending.add(toHex(lane.channel));
    }
    tower.#unwatch = parts.ledger.onBlock((block) => tower.#onBlock(block));
    tower.#look();
    return tower;
  }

  /** What is watched. */
  lanes(): readonly WatchedLane[] {
    return [...this.#lanes.values()].flatMap((lanes) => [...lanes.values()]);
  }

  /** What was claimed since it was opened. */
  get claimed(): TowerClaims {
    return this.#claimed;
  }

  /** Takes claims; those that are `watched` are on disk when it resolves. */
  take(claims: readonly ClaimBody[]): Promise<readonly WatchVerdict[]> {
    return this.#alone(() => this.#take(claims));
  }

  /** Watches no more, and waits for what is under way. */
  async stop(): Promise<void> {
    this.#unwatch();
    this.#stopping.abort();
    await this.#taking.catch(() => {});
    await this.#looking;
  }

  /** What is kept changes in one place at a time, so that what is held is what is on disk. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const working = this.#taking.catch(() => {}).then(work);
    this.#taking = working;
    return working;
  }

  async #take(claims: readonly ClaimBody[]): Promise<readonly WatchVerdict[]> {
    const verdicts: WatchVerdict[] = [];
    const { store } = this.#parts;
    for (const claim of claims) {
      const found = await this.#judge(claim);
      verdicts.push(typeof found === 'string' ? found : 'watched');
      if (typeof found === 'string') continue;
      const lane = laneOf(found);
      const key = watchedKey(lane.channel, lane.lane);
      await store.batch([{ type: 'put', key, value: watchedRecord.encode(found) }], { sync: true });
      this.#put(lane);
      this.#refused.delete(toHex(key));
      this.#ending.add(toHex(lane.channel));
    }
    this.#look();
    return verdicts;
  }

  /** What is to be kept of a claim, or why nothing is. What costs least is looked at first. */
  async #judge(claim: ClaimBody): Promise<WatchedRecord | WatchVerdict> {
    const { ledger, clock } = this.#parts;
    const channel = ledger.channel(claim.channel);
    if (channel === undefined) return 'channel-unknown';
    const terms = checkWatched(this.#parts, claim);
    if (terms === undefined) return 'unverified';
    const { lane, ceiling, total } = terms;
    if (dueOf(channel, { lane, ceiling, total }) <= 0n) return 'paid';
    const held = this.#lanes.get(toHex(claim.channel))?.get(lane);
    if (held === undefined && this.#isFull(toHex(channel.payee))) return 'full';
    if (held !== undefined) {
      if (held.ceiling === ceiling && held.total === total) return 'watched';
      if (ceiling < held.ceiling || total < held.total) return 'older';
    }
    if (!(await this.#isSigned(claim))) return 'unverified';
    const { payer, payee } = channel;
    return { payer, payee, claim, sinceMs: held?.sinceMs ?? Math.trunc(clock.nowMs()) };
  }

  #isFull(payee: string): boolean {
    const { lanesMax, perPayeeMax } = this.#options;
    return this.#count >= lanesMax || (this.#perPayee.get(payee) ?? 0) >= perPayeeMax;
  }

  async #isSigned({ channel: id, voucher, charge }: ClaimBody): Promise<boolean> {
    const { verifier, ledger } = this.#parts;
    const channel = ledger.channel(id);
    if (channel === undefined) return false;
    const { network } = ledger;
    if (await verifier.check(network, 'charge', channel.payee, charge)) return false;
    if ((await verifier.check(network, 'voucher', channel.payer, voucher)) === undefined) return true;
    const { height } = ledger.head();
    for (const { key, until } of channel.voucherKeys) {
      const counts = until === undefined || until > height;
      if (counts && checkSigned(this.#parts.suite, network, 'voucher', key, voucher) === undefined)
        return true;
    }
    return false;
  }

  #put(lane: WatchedLane): void {
    const name = toHex(lane.channel);
    const lanes = this.#lanes.get(name) ?? new Map<number, WatchedLane>();
    this.#lanes.set(name, lanes);
    if (!lanes.has(lane.lane)) this.#counted(lane, 1);
    lanes.set(lane.lane, lane);
  }

  #counted(lane: WatchedLane, by: 1 | -1): void {
    const payee = toHex(lane.payee);
    const left = (this.#perPayee.get(payee) ?? 0) + by;
    this.#count += by;
    if (left === 0) this.#perPayee.delete(payee);
    else this.#perPayee.set(payee, left);
  }

  #onBlock({ channels, identities }: BlockEvent): void {
    for (const id of channels) {
      const name = toHex(id);
      if (this.#lanes.has(name)) this.#ending.add(name);
      if (this.#fees.has(name) && this.#parts.ledger.channel(id) === undefined) this.#fees.delete(name);
    }
    if (identities.length > 0) {
      const changed = new Set(identities.map(toHex));
      for (const { channel, payer, payee } of this.lanes()) {
        if (changed.has(toHex(payer)) || changed.has(toHex(payee))) this.#ending.add(toHex(channel));
      }
    }
    this.#look();
  }

  /** Looks at the channels that may end, once at a time, after whoever called. */
  #look(): void {
    this.#again = true;
    if (this.#looking || this.#ending.size === 0) return;
    this.#looking = Promise.resolve()
      .then(async () => {
        while (this.#again && !this.#stopping.signal.aborted) {
          this.#again = false;
          await this.#round();
        }
      })
      .catch((error: unknown) => {
        this.#parts.log.warn('watchtower could not look', { code: asSaharaError(error).code });
      })
      .finally(() => {
        this.#looking = undefined;
      });
  }

  async #round(): Promise<void> {
    let batch: Endangered[] = [];
    const send = async (): Promise<void> => {
      await Promise.all(batch.map((one) => this.#claim(one)));
      batch = [];
    };
    for (const name of [...this.#ending]) {
      for (const lane of await this.#endangered(name)) {
        batch.push(lane);
        if (batch.length === CLAIMS_AT_ONCE_MAX) await send();
      }
    }
    await send();
  }

  /** Lanes of a channel whose claims are to be made now. What the ledger has paid, or can pay no more, is given up. */
  async #endangered(name: string): Promise<readonly Endangered[]> {
    const { ledger } = this.#parts;
    const lanes = [...(this.#lanes.get(name)?.values() ?? [])];
    const [first] = lanes;
    const channel = first && ledger.channel(first.channel);
    const open = channel ? lanes.filter((lane) => dueOf(channel, lane) > 0n) : [];
    const over = lanes.filter((lane) => !open.includes(lane));
    if (over.length > 0) await this.#alone(() => this.#drop(over));
    const ends = channel && open.length > 0 ? await this.#endOf(open) : undefined;
    if (ends === undefined) this.#ending.delete(name);
    const { height } = ledger.head();
    const half = Math.ceil(ledger.genesis.parameters.closeDelayBlocks / 2);
    if (ends === undefined || height < ends - half) return [];
    const left = ends - height;
    return open
      .filter((lane) => !this.#refused.has(toHex(watchedKey(lane.channel, lane.lane))))
      .filter((lane) => this.#isTime(name, lane, { ends, left }))
      .map((lane) => ({ lane, ends, left }));
  }

  /** Whether what came after a claim that was paid for is claimed now: not before half of what was left then is over. */
  #isTime(name: string, { lane }: WatchedLane, { ends, left }: PaidClaim): boolean {
    const paid = this.#fees.get(name)?.get(lane);
    return paid === undefined || paid.ends !== ends || 2 * left <= paid.left;
  }

  /** Height at which something due on these lanes of one channel would be lost. */
  async #endOf(lanes: readonly WatchedLane[]): Promise<number | undefined> {
    const { ledger } = this.#parts;
    const channel = lanes[0] && ledger.channel(lanes[0].channel);
    if (channel === undefined) return undefined;
    const ends: number[] = channel.closeAt === undefined ? [] : [channel.closeAt];
    const { withdrawal } = channel;
    if (withdrawal !== undefined && !withinMost(channel, lanes, withdrawal.amount)) ends.push(withdrawal.at);
    for (const lane of lanes) ends.push(...(await this.#retiredIn(lane)));
    return ends.length === 0 ? undefined : Math.min(...ends);
  }

  /** Heights after which a statement of this lane does not count any more. */
  async #retiredIn(lane: WatchedLane): Promise<readonly number[]> {
    const { ledger, suite } = this.#parts;
    const { network } = ledger;
    const { height } = ledger.head();
    const ends: number[] = [];
    const former = (ledger.channel(lane.channel)?.voucherKeys ?? []).flatMap(({ key, until }) =>
      until === undefined || until < height ? [] : [{ key, until }],
    );
    const until = (did: Uint8Array, type: 'voucher' | 'charge', claim: ClaimBody): void => {
      const identity = ledger.identity(did);
      if (identity === undefined) return;
      const signedBy = (key: Uint8Array): boolean =>
        checkSigned(suite, network, type, key, claim[type]) === undefined;
      if (signedBy(identity.key)) return;
      for (const { key, until } of identity.retired) if (until >= height && signedBy(key)) ends.push(until);
    };
    const registered = [lane.payer, lane.payee].some((did) => ledger.identity(did) !== undefined);
    if (!registered && former.length === 0) return ends;
    const kept = await this.#kept(lane);
    if (kept === undefined) return ends;
    for (const one of former) {
      if (checkSigned(suite, network, 'voucher', one.key, kept.claim.voucher) === undefined)
        ends.push(one.until);
    }
    until(lane.payer, 'voucher', kept.claim);
    until(lane.payee, 'charge', kept.claim);
    return ends;
  }

  async #kept({ channel, lane }: WatchedLane): Promise<WatchedRecord | undefined> {
    const stored = await this.#parts.store.get(watchedKey(channel, lane));
    return stored && watchedRecord.decode(stored);
  }

  async #drop(lanes: readonly WatchedLane[]): Promise<void> {
    const gone: StoreOperation[] = [];
    for (const lane of lanes) {
      const [name, key] = [toHex(lane.channel), watchedKey(lane.channel, lane.lane)];
      const held = this.#lanes.get(name);
      // Something newer may have been left while this was looked at.
      if (held?.get(lane.lane) !== lane) continue;
      held.delete(lane.lane);
      if (held.size === 0) this.#lanes.delete(name);
      this.#counted(lane, -1);
      this.#refused.delete(toHex(key));
      gone.push({ type: 'del', key });
    }
    await this.#parts.store.batch(gone);
  }

  async #claim({ lane, ends, left }: Endangered): Promise<void> {
    const { log } = this.#parts;
    const facts = { channel: toHex(lane.channel), lane: lane.lane };
    try {
      const kept = await this.#kept(lane);
      if (kept === undefined) return;
      const paid = await this.#parts.claim(kept.claim, { signal: this.#stopping.signal });
      this.#claimed = { claims: this.#claimed.claims + 1, paid: this.#claimed.paid + paid };
      const name = toHex(lane.channel);
      const fees = this.#fees.get(name) ?? new Map<number, PaidClaim>();
      this.#fees.set(name, fees.set(lane.lane, { ends, left }));
      log.info('claimed for a payee that did not', { ...facts, paid: String(paid) });
    } catch (error) {
      const { code } = asSaharaError(error);
      if (code === 'tx-refused') this.#refused.add(toHex(watchedKey(lane.channel, lane.lane)));
      log.warn('claim for a payee failed', { ...facts, code });
    }
  }
}

function laneOf({ payer, payee, sinceMs, claim }: WatchedRecord): WatchedLane {
  const { lane, ceiling } = voucherSchema.decode(claim.voucher.payload);
  const { total } = chargeSchema.decode(claim.charge.payload);
  return { channel: claim.channel, lane, payer, payee, sinceMs, ceiling, total };
}
