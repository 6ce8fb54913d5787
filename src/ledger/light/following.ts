/**
 * The working half of a light ledger: headers are followed, own records proved again after blocks came, and transactions
 * told to peers until a header proves them.
 */
import { equalBytes, toHex } from '../../base/bytes.ts';
import { every } from '../../base/clock.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { prefixed } from '../../base/store.ts';
import type { Genesis } from '../../protocol/block.ts';
import type { Hash } from '../../protocol/ids.ts';
import type { Signed } from '../../protocol/signing.ts';
import { channelId, type Transaction } from '../../protocol/transaction.ts';
import { refusal } from '../engines/core.ts';
import type { BlockEvent, Inclusion, LedgerHead, LedgerReads } from '../ledger.ts';
import { LIGHT_CHANNELS_MAX } from '../limits.ts';
import { nameOf } from '../names.ts';
import type { BlockNews, Verdict } from '../network.ts';
import { prepareTransaction } from '../prepare.ts';
import { readsFrom } from '../queries.ts';
import { RESULT_CODES, tookEffect } from '../result-codes.ts';
import { admit } from './admission.ts';
import { createLightClient, type LightClient } from './client.ts';
import { Lately } from './lately.ts';
import type { LightLedgerOptions, LightLedgerParts, LightReport } from './ledger.ts';
import { OwnNumbers } from './numbers.ts';
import { patienceOf, reportOf } from './report.ts';
import { Sent } from './sent.ts';
import {
  channelsIn,
  type Followed,
  type FollowedRecords,
  gathering,
  genesisReader,
  same,
  sameRecords,
  View,
} from './view.ts';

/** Looks at own channels that fit into the delay of a closing one, so that one that fails is not the last. */
const LOOKS_PER_DELAY = 8;
/** Longest time between looks at own records while blocks come, in blocks. */
const WATCH_BLOCKS_MAX = 16;
/** Records up to which own ones are proved again at every block. */
const CHEAP_RECORDS = 64;
/** Tag bytes come first in a state key, then the id. */
const ID_AT = 1;
const ID_BYTES = 32;

/** Own records kept fresh, and own transactions until they are proved. */
export class Following {
  readonly client: LightClient;
  readonly view: View;
  readonly sent: Sent;
  readonly #parts: LightLedgerParts;
  readonly #genesis: Genesis;
  readonly #settings: LightLedgerOptions;
  readonly #stopping = new AbortController();
  readonly #listeners = new Set<(event: BlockEvent) => void>();
  /** Own channels, also one that a transaction under way will open. */
  readonly #channels = new Map<string, Hash>();
  readonly #leaving: (() => void)[] = [];
  readonly #lately: Lately;
  readonly #numbers = new OwnNumbers();
  #leaveNews: () => void = () => {};
  #round: Promise<void> | undefined;
  #proving: Promise<void> = Promise.resolve();
  #again = false;
  #named = false;
  #provedAtMs: number | undefined;
  #fault: string | undefined;

  static async open(
    parts: LightLedgerParts,
    genesis: Genesis,
    settings: LightLedgerOptions,
  ): Promise<Following> {
    const sent = await Sent.open(prefixed(parts.store, Uint8Array.of(3)));
    return new Following(parts, { genesis, settings, sent });
  }

  private constructor(
    parts: LightLedgerParts,
    kept: { readonly genesis: Genesis; readonly settings: LightLedgerOptions; readonly sent: Sent },
  ) {
    const { suite, store, clock, mesh, network, named } = parts;
    const { genesis, settings, sent } = kept;
    this.#parts = parts;
    this.#genesis = genesis;
    this.#settings = settings;
    this.sent = sent;
    this.#lately = new Lately(clock);
    this.client = createLightClient(
      { suite, genesis, ask: mesh, store: prefixed(store, Uint8Array.of(1)), trust: { clock, named } },
      { requestTimeoutMs: settings.requestTimeoutMs },
    );
    const start = new Map<string, Followed>();
    this.#readOwn(readsFrom(gathering(genesisReader(genesis), start)));
    this.view = new View(prefixed(store, Uint8Array.of(2)), { head: this.client.start, records: start });
    for (const id of channelsIn(this.view.records)) this.#channels.set(nameOf(id), id);
    this.hearNews();
    this.#leaving.push(
      network.onPeer(() => this.#look()),
      every(clock, settings.pollIntervalMs, () => this.#look()),
      every(clock, settings.republishIntervalMs, () => this.#tellAgain()),
    );
    this.#look();
  }

  channels(): readonly Hash[] {
    return [...this.#channels.values()];
  }

  halted(): { readonly halted?: string } {
    const { halted } = this.client.head();
    return halted === undefined ? {} : { halted };
  }

  onBlock(listener: (event: BlockEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  read<T>(about: (reads: LedgerReads) => T, signal: AbortSignal | undefined): T | Promise<T> {
    try {
      return about(readsFrom((table, id) => this.#lately.read(this.view.read, table, id)));
    } catch (error) {
      if (!(error instanceof SaharaError) || error.code !== 'state-unproven') throw error;
    }
    const waiting = { signal: this.#either(signal) };
    const gathered = new Map<string, Followed>();
    const asked = this.client.read((read) => about(readsFrom(gathering(read, gathered))), waiting);
    return asked.then(({ value }) => {
      this.#lately.keep(gathered);
      return value;
    });
  }

  async current(signal: AbortSignal | undefined): Promise<LedgerHead> {
    await this.client.follow({ signal: this.#either(signal) });
    if (this.client.head().height > this.view.head.height || this.#provedAtMs === undefined)
      await this.#prove(signal);
    return { ...this.view.head, ...this.halted() };
  }

  async submit(message: Signed, signal: AbortSignal | undefined): Promise<Inclusion> {
    const { suite, network } = this.#parts;
    this.#demandRunning();
    const prepared = prepareTransaction(suite, this.client.network, message);
    const { content, id } = prepared;
    if (content.fault !== undefined) throw refusal('tx-invalid', RESULT_CODES[content.fault].code);
    const known = this.sent.lookup(id);
    if (known !== undefined) return effective(known);
    const { sender, nonce } = content.transaction;
    // In the followed set before anybody can see the transaction.
    this.#expect(content.transaction);
    if (equalBytes(sender, this.#parts.owner)) this.#numbers.use(nonce);
    const { promise, begun } = this.sent.wait(prepared, { sender, nonce }, this.#either(signal));
    // Its number may have gone to another home with the same key.
    promise.catch(() => this.#nameAgain());
    if (begun) {
      const parts = { suite, client: this.client, genesis: this.#genesis };
      const judged = admit(parts, prepared, { signal: this.#either(signal) });
      const outcome = await judged.catch((error: unknown) => {
        this.sent.refuse(id, asSaharaError(error));
        return 'refused';
      });
      if (outcome === 'used') this.#look();
      if (outcome === 'new') network.publishTransaction(prepared.wire);
    }
    return effective(await promise);
  }

  report(): LightReport {
    const { clock, suite } = this.#parts;
    const proved = { height: this.view.head.height, atMs: this.#provedAtMs, fault: this.#fault };
    const patienceMs = patienceOf(this.#genesis, this.#settings);
    const parts = { client: this.client, suite, nowMs: clock.monotonicMs() };
    return reportOf(parts, { proved, patienceMs, channels: this.#channels.size });
  }

  hearNews(): void {
    this.#leaveNews = this.#parts.network.onBlock((news) => this.#hear(news));
  }

  /** Hears no more news of blocks, for somebody else listens now. */
  leaveNews(): void {
    this.#leaveNews();
    // Left again, it would take the topic from who listens now.
    this.#leaveNews = () => {};
  }

  async stop(): Promise<void> {
    this.leaveNews();
    for (const leave of this.#leaving.splice(0)) leave();
    this.#again = false;
    this.#stopping.abort(stopped());
    this.sent.rejectAll(stopped());
    await this.#round;
  }

  /** Follows the channel that a transaction opens, from before it is seen. */
  #expect({ sender, nonce, action }: Transaction): void {
    if (action.type !== 'open-channel') return;
    const { owner, suite } = this.#parts;
    if (!equalBytes(sender, owner) && !equalBytes(action.payee, owner)) return;
    this.#follow(channelId(suite, this.client.network, sender, action.payee, nonce));
  }

  #follow(id: Hash): void {
    if (this.#channels.size < LIGHT_CHANNELS_MAX) this.#channels.set(nameOf(id), id);
  }

  async #hear({ header }: BlockNews): Promise<Verdict> {
    try {
      const news = await this.client.hear(header);
      if (news === 'known') return 'ignore';
      this.#look();
      return 'accept';
    } catch (error) {
      const { code } = asSaharaError(error);
      if (code === 'state-unproven') this.#look(); // Who is asked shows the way past changed voters.
      return code === 'malformed' || code === 'block-invalid' ? 'reject' : 'ignore';
    }
  }

  #tellAgain(): void {
    for (const { prepared } of this.sent.pending()) this.#parts.network.publishTransaction(prepared.wire);
  }

  /** Has headers followed and own records proved, one round at a time. */
  #look(): void {
    this.#again = true;
    this.#round ??= this.#work().finally(() => {
      this.#round = undefined;
    });
  }

  async #work(): Promise<void> {
    while (this.#again && !this.#stopping.signal.aborted) {
      this.#again = false;
      try {
        const { height } = await this.client.follow({ signal: this.#stopping.signal });
        await this.#name();
        if (this.#wanted(height)) await this.#prove(undefined);
        else if (height === this.view.head.height) this.#upToDate();
        await this.#ask();
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        const { code, facts, message } = asSaharaError(error);
        this.#fault = typeof facts.reason === 'string' ? facts.reason : message;
        this.#parts.log.debug('own records not proved', { code, ...facts });
      }
    }
  }

  /** Asks peers which channels are this key's: a lost store does not know, nor of those that another home opened. */
  async #name(): Promise<void> {
    if (this.#named) return;
    for (const id of await this.client.listed('channels', this.#parts.owner, {
      signal: this.#stopping.signal,
    }))
      this.#follow(id);
    this.#named = true;
    if (this.#channels.size > 0) await this.#prove(undefined);
  }

  #wanted(height: number): boolean {
    const { head, records } = this.view;
    if (this.#provedAtMs === undefined) return true;
    if (height === head.height) return false;
    if (this.sent.pending().length > 0 || records.size <= CHEAP_RECORDS) return true;
    const { closeDelayBlocks } = this.#genesis.parameters;
    const most = Math.min(WATCH_BLOCKS_MAX, Math.floor(closeDelayBlocks / LOOKS_PER_DELAY));
    return height - head.height >= Math.max(1, most);
  }

  #nameAgain(): void {
    this.#named = false;
    this.#look();
  }

  #nextNumber(): number {
    return readsFrom(this.view.read).account(this.#parts.owner).nonce;
  }

  #readOwn(reads: LedgerReads): void {
    const { owner } = this.#parts;
    const keys = [owner, ...this.sent.pending().map(({ sender }) => sender)];
    for (const key of keys) {
      reads.account(key);
      reads.identity(key);
    }
    for (const id of this.#channels.values()) {
      const channel = reads.channel(id);
      if (channel === undefined) continue;
      // Who stands on the other side may change its key.
      reads.identity(channel.payer);
      reads.identity(channel.payee);
    }
  }

  /** Has every own record proved at one block, and tells what changed. One at a time: what changed is told once. */
  #prove(signal: AbortSignal | undefined): Promise<void> {
    const run = this.#proving.then(() => this.#proveNow(signal));
    this.#proving = run.catch(() => {});
    return run;
  }

  async #proveNow(signal: AbortSignal | undefined): Promise<void> {
    const found = new Map<string, Followed>();
    const { head } = await this.client.read(
      (read) => {
        found.clear();
        this.#readOwn(readsFrom(gathering(read, found)));
      },
      {
        signal: this.#either(signal),
        likely: Array.from(this.view.records.values(), ({ key }) => key),
      },
    );
    // Somebody else proved a later block meanwhile.
    if (head.height < this.view.head.height) return;
    const before = this.view.records;
    const moved = head.height > this.view.head.height || !sameRecords(before, found);
    const from = this.#nextNumber();
    if (moved) await this.view.adopt(head, found);
    if (this.#numbers.passed(from, this.#nextNumber())) this.#nameAgain();
    this.#upToDate();
    if (!moved) return;
    const event = this.#event(head, before, found);
    this.#forgetEnded(before, found);
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch (error) {
        this.#parts.log.error('block listener failed', { error: String(error) });
      }
    }
  }

  /** Looks for the proofs of transactions whose number was used. */
  async #ask(): Promise<void> {
    for (const { prepared, sender, nonce } of this.sent.pending()) {
      const waiting = { signal: this.#stopping.signal };
      const { nonce: next } = await this.read((reads) => reads.account(sender), this.#stopping.signal);
      if (nonce >= next) continue;
      const proved = await this.client.inclusion(prepared.id, waiting);
      if (proved === undefined) continue;
      // What is told as done shows in the reads.
      if (this.view.head.height < proved.inclusion.height) await this.#prove(undefined);
      await this.sent.keep(proved);
    }
  }

  #event(head: LedgerHead, before: FollowedRecords, now: FollowedRecords): BlockEvent {
    const { height, headerHash, stateRoot, timeMs } = head;
    const changed = new Map<string, Uint8Array>();
    for (const [name, { key, value }] of now) {
      const old = before.get(name);
      if (old !== undefined && same(old.value, value)) continue;
      if (old === undefined && value === undefined) continue;
      const id = key.slice(ID_AT, ID_AT + ID_BYTES);
      changed.set(nameOf(id), id);
    }
    const channels = this.channels().filter((id) => changed.has(nameOf(id)));
    const identities = [...changed.values()].filter((id) => !this.#channels.has(nameOf(id)));
    return { height, headerHash, stateRoot, timeMs, inclusions: [], channels, assets: [], identities };
  }

  /** A channel that was there and is proved to be gone comes never back. */
  #forgetEnded(before: FollowedRecords, now: FollowedRecords): void {
    const open = new Set(channelsIn(now).map(nameOf));
    for (const id of channelsIn(before)) if (!open.has(nameOf(id))) this.#channels.delete(nameOf(id));
  }

  #upToDate(): void {
    this.#provedAtMs = this.#parts.clock.monotonicMs();
    this.#fault = undefined;
  }

  #either(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#stopping.signal]) : this.#stopping.signal;
  }

  #demandRunning(): void {
    const { halted } = this.halted();
    if (halted !== undefined) throw new SaharaError('ledger-halted', { reason: halted });
    if (this.#stopping.signal.aborted) throw stopped();
  }
}

function effective(inclusion: Inclusion): Inclusion {
  const { id, height, index, result } = inclusion;
  if (tookEffect(result.code)) return inclusion;
  throw refusal('tx-refused', result.code, { height, index, id: toHex(id) });
}

function stopped(): SaharaError {
  return new SaharaError('cancelled', { reason: 'the ledger has stopped' });
}
