/**
 * Payers that do not keep the rules. They speak the protocol by hand, with keys and channels that are theirs: stale,
 * low and forged vouchers, one voucher for many calls, the same opening twice, the same id for another question, no
 * top-up, and a stream that is left at any moment. An honest payee must not be out of pocket.
 */
import { toHex } from '../../src/base/bytes.ts';
import type { CallStream } from '../../src/mesh/interface.ts';
import { rootContext } from '../../src/protocol/budget.ts';
import { CALL_FRAME, callOpening, callRequest } from '../../src/protocol/call.ts';
import { callVoucher } from '../../src/protocol/checkpoint.ts';
import { envelope } from '../../src/protocol/envelope.ts';
import { chargeOf, voucher as voucherSchema } from '../../src/protocol/payment.ts';
import { EMPTY_TREE, treeRoot } from '../../src/protocol/receipt-tree.ts';
import { type Signed, signOne } from '../../src/protocol/signing.ts';
import { inputUnits } from '../../src/protocol/units.ts';
import type { Random } from '../fuzz/random.ts';
import { questionOf } from './answerer.ts';
import { type Party, type SimAgent, short } from './party.ts';
import type { Running } from './running.ts';
import type { World } from './world.ts';

const TRICKS = [
  'none',
  'stale',
  'low',
  'forged',
  'over-deposit',
  'replay',
  'other-question',
  'flood',
  'no-top-up',
  'low-top-up',
  'vanish',
  'silent',
  'close',
] as const;
type Trick = (typeof TRICKS)[number];

const DEADLINE_MS = 15_000;
const FLOOD = 12;
/** How long a stream stands open on which nothing is said, milliseconds. */
const SILENT_MS = 20_000;
/** How often a host is looked at that may have lost its disk, milliseconds. */
const LURE_MS = 4_000;
/** Words that an opening's cover has to reach for in a metered call. */
const UNITS_MIN = 32;

interface Channel {
  readonly id: Uint8Array;
  /** Its payee, whose lane is asked of nobody. */
  readonly host: Party;
  readonly deposit: bigint;
  sequence: number;
  ceiling: bigint;
}

interface Opening {
  readonly callId: Uint8Array;
  readonly voucher: Signed;
  readonly cover: bigint;
  readonly tag: string;
}

/** One payer that plays tricks. */
export class RoguePayer {
  readonly #world: World;
  readonly #party: Party;
  readonly #random: Random;
  readonly #channels = new Map<string, Channel>();
  /** Runs of the party in which tricks are under way. */
  readonly #playing = new Set<{ readonly running: Running }>();
  #calls = 0;

  constructor(world: World, party: Party) {
    this.#world = world;
    this.#party = party;
    this.#random = world.random(6);
    world.truth.rogues.add(party);
  }

  /** Spreads its tricks over the story. */
  schedule(): void {
    const random = this.#random;
    const { plan, scheduler } = this.#world;
    const agents = this.#world.agents().filter((agent) => !this.#party.agents.includes(agent));
    for (let left = 2 + random.below(12); left > 0 && agents.length > 0; left--) {
      const trick = random.pick(TRICKS);
      const agent = random.pick(agents);
      scheduler.after(500 + random.below(plan.durationMs), () => this.#begin(agent, trick));
    }
    for (const agent of agents) this.#lure(agent, 0);
  }

  /** Calls a host that may have lost what it signed as if it had never called: before, and right after it is back. */
  #lure(agent: SimAgent, losses: number): void {
    const { plan, scheduler } = this.#world;
    const { crashes, running } = this.#world.hostOf(agent);
    const now = crashes.power + crashes.lost;
    const back = now > losses && running !== undefined;
    if (back || scheduler.nowMs < LURE_MS) this.#begin(agent, 'none');
    if (scheduler.nowMs < plan.durationMs) this.#later(agent, back ? now : losses);
  }

  #later(agent: SimAgent, losses: number): void {
    this.#world.scheduler.after(LURE_MS, () => this.#lure(agent, losses));
  }

  #begin(agent: SimAgent, trick: Trick): void {
    this.#play(agent, trick).catch((error: unknown) => {
      // What it is refused is its own affair; a defect is not.
      const text = String(error);
      this.#world.truth.demand(!text.includes('internal'), () => `${this.#party} ${trick}: ${text}`);
    });
  }

  /** Whether a trick is under way. */
  get busy(): boolean {
    for (const one of this.#playing) if (!one.running.life.alive) this.#playing.delete(one);
    return this.#playing.size > 0;
  }

  async #play(agent: SimAgent, trick: Trick): Promise<void> {
    const { running } = this.#party;
    if (!running) return;
    const playing = { running };
    this.#playing.add(playing);
    try {
      await this.#trick(running, agent, trick);
    } finally {
      this.#playing.delete(playing);
    }
  }

  async #trick(running: Running, agent: SimAgent, trick: Trick): Promise<void> {
    const { trace } = this.#world;
    const channel = await this.#channel(running, agent);
    if (!channel || !running.life.alive) return;
    trace.say(`trick ${trick} of ${this.#party} on ${agent.card.name}`);
    const cover = this.#cover(agent, trick);
    const callId = this.#random.bytes(16);
    const voucher = this.#voucher(channel, trick, cover);
    const opening = { callId, voucher, cover, tag: `r${this.#calls++}` };
    const bytes = this.#opening(running, agent, opening);
    await this.#call(running, agent, { bytes, opening, channel, trick });
    if (trick === 'replay') await this.#call(running, agent, { bytes, opening, channel, trick });
    if (trick === 'other-question') {
      const other = this.#opening(running, agent, { ...opening, tag: `${opening.tag}x` });
      await this.#call(running, agent, { bytes: other, opening, channel, trick });
    }
    if (trick === 'flood') {
      const flood = Array.from({ length: FLOOD }, () => {
        const one = { ...opening, callId: this.#random.bytes(16), tag: `r${this.#calls++}` };
        return this.#call(running, agent, {
          bytes: this.#opening(running, agent, one),
          opening: one,
          channel,
          trick,
        });
      });
      await Promise.all(flood);
    }
    if (trick === 'close' && this.#world.plan.closes) {
      this.#channels.delete(toHex(agent.card.operator));
      await running.wallet.send({ type: 'request-close', channel: channel.id }).catch(() => {});
    }
  }

  async #call(
    running: Running,
    agent: SimAgent,
    call: {
      readonly bytes: Uint8Array;
      readonly opening: Opening;
      readonly channel: Channel;
      readonly trick: Trick;
    },
  ): Promise<void> {
    const { bytes, trick } = call;
    let stream: CallStream;
    try {
      stream = await running.mesh.openCall(this.#world.hostOf(agent).peerId);
    } catch {
      return;
    }
    let left = trick === 'vanish' ? this.#random.below(5) : Number.POSITIVE_INFINITY;
    try {
      if (trick === 'silent') this.#world.scheduler.after(SILENT_MS, () => stream.cancel(), running.life);
      else stream.send({ kind: CALL_FRAME.opening, body: bytes });
      for await (const frame of stream.frames()) {
        if (left-- <= 0) break;
        if (frame.kind === CALL_FRAME.ending) break;
        if (frame.kind === CALL_FRAME.checkpoint && trick !== 'no-top-up') this.#topUp(stream, call);
      }
      if (trick !== 'vanish') stream.end();
    } catch (error) {
      this.#world.trace.say(`refused ${short(call.opening.callId)} ${String(error).slice(0, 90)}`);
    }
  }

  #topUp(
    stream: CallStream,
    {
      opening,
      channel,
      trick,
    }: { readonly opening: Opening; readonly channel: Channel; readonly trick: Trick },
  ): void {
    const cover = 2n * opening.cover;
    const voucher = trick === 'low-top-up' ? opening.voucher : this.#voucher(channel, 'none', cover);
    stream.send({ kind: CALL_FRAME.voucher, body: callVoucher.encode({ cover, voucher }) });
  }

  #cover(agent: SimAgent, trick: Trick): bigint {
    const { price, limits } = agent.card;
    const most = chargeOf(price, 100, Math.min(limits.outputUnits, 300));
    if (trick === 'low') return 1n + most / 50n;
    return this.#random.once(2) ? most : chargeOf(price, 100, UNITS_MIN);
  }

  #voucher(channel: Channel, trick: Trick, cover: bigint): Signed {
    const { network, keys } = this.#world;
    const root = treeRoot(keys.suite, EMPTY_TREE);
    const stale = trick === 'stale' && channel.sequence > 1;
    if (trick !== 'low' && !stale) channel.ceiling += cover;
    if (channel.ceiling > channel.deposit && trick !== 'over-deposit') channel.ceiling = channel.deposit;
    const sequence = stale ? channel.sequence - 1 : ++channel.sequence;
    const payload = voucherSchema.encode({
      network,
      channel: channel.id,
      lane: channel.host.running?.payee.lane ?? 0,
      ceiling: trick === 'over-deposit' ? channel.deposit + 1n : channel.ceiling,
      sequence,
      receiptCount: 0,
      receiptRoot: root.hash,
      receiptTotal: root.sum,
      notAfterMs: undefined,
    });
    const signed = signOne(keys.suite, this.#party.signer, network, { type: 'voucher', payload });
    return trick === 'forged' ? { ...signed, signature: this.#random.bytes(64) } : signed;
  }

  #opening(running: Running, agent: SimAgent, { callId, voucher, cover, tag }: Opening): Uint8Array {
    const { network, keys } = this.#world;
    const random = this.#random;
    const { card } = agent;
    const script = {
      tag,
      parts: 1 + random.below(20),
      words: 1 + random.below(30),
      sources: 1,
      pauseMs: random.below(200),
    };
    const question = questionOf(script);
    const least = chargeOf(card.price, inputUnits({ question, context: [] }), 0);
    const outputUnitsMax = Math.min(card.limits.outputUnits, 300);
    const request = callRequest.encode({
      cardHash: agent.cardHash,
      skill: undefined,
      question,
      context: [],
      priceMax: least + card.price.perOutputUnit * BigInt(outputUnitsMax),
      cover,
      outputUnitsMax,
      deadlineMs: DEADLINE_MS,
      seed: undefined,
    });
    const issuedAtMs = running.clock.nowMs();
    const payload = envelope.encode({
      version: 1,
      network,
      id: callId,
      from: this.#party.signer.publicKey,
      to: { kind: 'agent', name: card.agent },
      sequence: this.#calls,
      issuedAtMs,
      expiresAtMs: issuedAtMs + DEADLINE_MS,
      context: rootContext(callId, undefined),
      bodyType: 'call',
      bodyHash: keys.suite.sha256(request),
      extensions: new Map(),
    });
    const signed = signOne(keys.suite, this.#party.signer, network, { type: 'call', payload });
    return callOpening.encode({
      envelope: signed,
      request,
      voucher,
      offer: undefined,
      work: undefined,
      parents: [],
    });
  }

  async #channel(running: Running, agent: SimAgent): Promise<Channel | undefined> {
    const { operator } = agent.card;
    const known = this.#channels.get(toHex(operator));
    if (known) return known;
    const deposit = 1_000n + BigInt(this.#random.below(200_000));
    await running.wallet.send({ type: 'open-channel', payee: operator, deposit });
    const [found] = await running.wallet.channels.between(this.#party.signer.publicKey, operator);
    if (!found) return undefined;
    const host = this.#world.hostOf(agent);
    const channel = { id: found.id, host, deposit: found.deposit, sequence: 0, ceiling: 0n };
    this.#channels.set(toHex(operator), channel);
    return channel;
  }
}
