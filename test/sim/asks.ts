/** What honest payers do: open channels, ask agents, stop, read slowly, leave, ask the same again. */
import type { AskRequest, CallHandle, CallResult } from '../../src/agent/caller.ts';
import { toHex } from '../../src/base/bytes.ts';
import { asSaharaError } from '../../src/base/errors.ts';
import type { ChannelInfo } from '../../src/payment/ports.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { signed } from '../../src/protocol/signing.ts';
import type { Random } from '../fuzz/random.ts';
import { questionOf, type Script } from './answerer.ts';
import { type Party, type SimAgent, short } from './party.ts';
import type { Running } from './running.ts';
import type { World } from './world.ts';

/** A call that somebody began, and what became of it. */
export interface Asked {
  readonly id: string;
  readonly party: Party;
  readonly running: Running;
  /** Virtual time by which it must be over. */
  readonly dueAtMs: number;
  /** How it ended: a result or a code. */
  end: CallResult | string | undefined;
}

const DEADLINE_MS = 40_000;
/** Opening a channel, dialling, a stop's wait and the skew that a deadline allows: what a call may take besides. */
const MARGIN_MS = 200_000;
const SLOW_READS_MAX = 20;
const TAKE_UP_MS_MAX = 10_000;
/** A call that is taken up again is only waited for. */
const PLAIN = { deadlineMs: DEADLINE_MS, stopAfterMs: undefined, readPauseMs: 0, leaveAfter: undefined };

/** Draws what honest payers ask. */
export class Asker {
  readonly asked: Asked[] = [];
  /** Virtual time of the last question that is certain to come. */
  lastAtMs = 0;
  readonly #preparing = new Set<{ readonly running: Running }>();
  readonly #world: World;
  readonly #random: Random;
  readonly #opening = new Map<string, Promise<void>>();
  #tags = 0;

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random(4);
  }

  /** Spreads all questions over the story. */
  schedule(): void {
    const { plan, parties, scheduler } = this.#world;
    const random = this.#random;
    for (const party of parties) {
      party.onUp = (running) => this.#takeUp(party, running);
      if (this.#world.truth.rogues.has(party) && party.agents.length === 0) continue;
      const strangers = this.#world.agents().filter((agent) => !party.agents.includes(agent));
      // Most providers only answer.
      if (strangers.length === 0 || (party.agents.length > 0 && parties.length > 2 && !random.once(4)))
        continue;
      for (let left = plan.asksPerPayer; left > 0; ) {
        const burst = Math.min(left, 1 + random.below(plan.burstMax));
        left -= burst;
        const agent = random.pick(strangers);
        const atMs = 500 + random.below(plan.durationMs);
        const together = random.once(2);
        for (let i = 0; i < burst; i++) {
          const ask = this.#draw(agent);
          const inMs = atMs + (together ? 0 : random.below(2_000));
          this.lastAtMs = Math.max(this.lastAtMs, scheduler.nowMs + inMs);
          scheduler.after(inMs, () => void this.#ask(party, agent, ask));
        }
      }
    }
  }

  #draw(agent: SimAgent): Drawn {
    const random = this.#random;
    const { plan } = this.#world;
    const script: Script = {
      tag: `t${this.#tags++}`,
      parts: 1 + random.below(plan.partsMax),
      words: 1 + random.below(random.once(10) ? 400 : 12),
      sources: random.below(3),
      pauseMs: plan.pauseMsMax === 0 ? 0 : random.below(plan.pauseMsMax),
      ...(random.once(12) && { failAt: random.below(plan.partsMax) }),
      ...(random.once(20) && { empty: true }),
    };
    const { outputUnits } = agent.card.limits;
    return {
      script,
      priceMax: random.once(10) ? BigInt(random.below(2_000)) : 100_000n,
      outputUnitsMax: random.once(3) ? 1 + random.below(outputUnits) : outputUnits,
      deadlineMs: random.once(6) ? 200 + random.below(4_000) : DEADLINE_MS,
      payment: random.once(8) ? 'free' : random.once(3) ? 'auto' : 'paid',
      stopAfterMs: random.once(5) ? random.below(3_000) : undefined,
      readPauseMs: random.once(6) ? 1 + random.below(400) : 0,
      leaveAfter: random.once(12) ? random.below(6) : undefined,
      byDirectory: random.once(2),
      again: random.below(16) < plan.again ? random.below(8_000) : undefined,
    };
  }

  async #ask(party: Party, agent: SimAgent, drawn: Drawn, callId?: Uint8Array): Promise<void> {
    const { running } = party;
    if (!running) return;
    const preparing = { running };
    this.#preparing.add(preparing);
    try {
      await this.#begin(running, { party, agent, drawn, callId });
    } finally {
      this.#preparing.delete(preparing);
    }
  }

  /** Whether a question is still to come, or on its way out. */
  get busy(): boolean {
    for (const one of this.#preparing) if (!one.running.life.alive) this.#preparing.delete(one);
    return this.#world.scheduler.nowMs <= this.lastAtMs || this.#preparing.size > 0;
  }

  async #begin(
    running: Running,
    {
      party,
      agent,
      drawn,
      callId,
    }: { party: Party; agent: SimAgent; drawn: Drawn; callId: Uint8Array | undefined },
  ): Promise<void> {
    const target = await this.#target(running, agent, drawn.byDirectory);
    if (!target || !running.life.alive) return;
    const request: AskRequest = {
      target,
      question: questionOf(drawn.script),
      priceMax: drawn.priceMax,
      outputUnitsMax: drawn.outputUnitsMax,
      deadlineMs: drawn.deadlineMs,
      payment: drawn.payment,
      callId: callId ?? this.#random.bytes(16),
    };
    if (drawn.payment !== 'free') await this.#channel(party, running, agent);
    if (!running.life.alive) return;
    void this.#follow(running, { party, agent, drawn }, request);
  }

  async #follow(
    running: Running,
    { party, agent, drawn }: { party: Party; agent: SimAgent; drawn: Drawn },
    request: AskRequest,
  ): Promise<void> {
    const { scheduler, trace } = this.#world;
    const callId = request.callId as Uint8Array;
    const handle = running.caller.ask(request);
    trace.say(`ask ${short(callId)} ${party} -> ${agent.card.name} ${drawn.payment} ${request.question}`);
    const end = await this.#watch({ party, running, callId }, handle, drawn);
    if (end === 'funds-insufficient') void this.#fill(party, running, agent);
    const { again } = drawn;
    if (again === undefined) return;
    this.lastAtMs = Math.max(this.lastAtMs, scheduler.nowMs + again);
    const once = { ...drawn, again: undefined };
    scheduler.after(again, () => void this.#ask(party, agent, once, callId));
  }

  /** Goes on with calls that were under way when the party went down; some are left alone. */
  #takeUp(party: Party, running: Running): void {
    const { scheduler, trace } = this.#world;
    for (const { callId } of running.openCalls.left()) {
      if (this.#random.below(4) === 0) continue;
      const inMs = this.#random.below(TAKE_UP_MS_MAX);
      this.lastAtMs = Math.max(this.lastAtMs, scheduler.nowMs + inMs);
      const takeUp = (): void => {
        trace.say(`take up ${short(callId)} ${party}`);
        void this.#watch({ party, running, callId }, running.caller.resume(callId), PLAIN);
      };
      scheduler.after(inMs, takeUp, running.life);
    }
  }

  /** Follows a call to its end; answers the code that it failed with. */
  async #watch(
    { party, running, callId }: { party: Party; running: Running; callId: Uint8Array },
    handle: CallHandle,
    drawn: Pick<Drawn, 'deadlineMs' | 'stopAfterMs' | 'readPauseMs' | 'leaveAfter'>,
  ): Promise<string | undefined> {
    const { scheduler, trace, truth } = this.#world;
    const { deadlineMs, stopAfterMs, readPauseMs } = drawn;
    const asked: Asked = {
      id: toHex(callId),
      party,
      running,
      dueAtMs: scheduler.nowMs + deadlineMs + MARGIN_MS + SLOW_READS_MAX * readPauseMs,
      end: undefined,
    };
    this.asked.push(asked);
    if (stopAfterMs !== undefined) scheduler.after(stopAfterMs, () => handle.stop(), running.life);
    void this.#read(handle, drawn, running);
    const end = await handle.result.catch((error: unknown) => asSaharaError(error));
    if ('receipt' in end) {
      asked.end = end;
      trace.say(`end ${short(callId)} ${end.finish} ${end.amount}`);
      return undefined;
    }
    const { code, facts, message } = end;
    asked.end = facts.outcome === undefined ? code : `${code}, ${String(facts.outcome)}`;
    trace.say(`end ${short(callId)} ${asked.end}`);
    truth.demand(code !== 'internal', () => `call ${asked.id}: a defect: ${message}`);
    return code;
  }

  async #target(
    running: Running,
    agent: SimAgent,
    byDirectory: boolean,
  ): Promise<AskRequest['target'] | undefined> {
    const { peerId } = this.#world.hostOf(agent);
    if (!byDirectory) return { peerId, card: agent.signedCard };
    try {
      const listing = running.directory.find(didOf(agent.card.agent));
      const { bytes } = await running.directory.card(listing);
      return { peerId, card: signed.decode(bytes) };
    } catch {
      return undefined;
    }
  }

  async #read(
    handle: CallHandle,
    drawn: Pick<Drawn, 'readPauseMs' | 'leaveAfter'>,
    running: Running,
  ): Promise<void> {
    if (drawn.readPauseMs === 0 && drawn.leaveAfter === undefined) return;
    let slow = SLOW_READS_MAX;
    let left = drawn.leaveAfter ?? Number.POSITIVE_INFINITY;
    try {
      for await (const _ of handle.events()) {
        if (slow-- > 0) await this.#world.scheduler.pause(drawn.readPauseMs, running.life);
        if (left-- <= 0) break;
      }
      if (left < 0) handle.stop();
    } catch {
      // The result says it too.
    }
  }

  /** Sees to an open channel, as `asking.ts` does when the first call finds none. */
  async #channel(party: Party, running: Running, agent: SimAgent): Promise<void> {
    const { operator } = agent.card;
    const name = `${running.life.name} ${toHex(operator)}`;
    const open = await this.#channels(party, running, operator);
    const disputed = new Set(
      running.payer.balances().flatMap((row) => (row.disputed ? toHex(row.channel) : [])),
    );
    if (open.some((channel) => channel.state === 'open' && !disputed.has(toHex(channel.id)))) return;
    const known = this.#opening.get(name);
    if (known) return known;
    const deposit = 1_000n + BigInt(this.#random.below(Number(this.#world.plan.depositMax)));
    const opening = running.wallet
      .send({ type: 'open-channel', payee: operator, deposit })
      .then(
        () => this.#world.trace.say(`channel ${party} -> ${short(operator)} ${deposit}`),
        (error: unknown) => this.#world.trace.say(`no channel ${party}: ${asSaharaError(error).code}`),
      )
      .finally(() => this.#opening.delete(name));
    this.#opening.set(name, opening);
    return opening;
  }

  /** None, while the ledger cannot be asked. */
  async #channels(party: Party, running: Running, operator: Uint8Array): Promise<readonly ChannelInfo[]> {
    try {
      return await running.wallet.channels.between(party.signer.publicKey, operator);
    } catch {
      return [];
    }
  }

  /** Puts more into a channel that is used up. */
  async #fill(party: Party, running: Running, agent: SimAgent): Promise<void> {
    const open = await this.#channels(party, running, agent.card.operator);
    const channel = open.find(({ state }) => state === 'open');
    if (!channel || !running.life.alive || channel.deposit > 20n * this.#world.plan.depositMax) return;
    await running.wallet
      .send({ type: 'top-up', channel: channel.id, amount: this.#world.plan.depositMax })
      .catch(() => {});
  }
}

interface Drawn {
  readonly script: Script;
  readonly priceMax: bigint;
  readonly outputUnitsMax: number;
  readonly deadlineMs: number;
  readonly payment: 'free' | 'auto' | 'paid';
  readonly stopAfterMs: number | undefined;
  readonly readPauseMs: number;
  readonly leaveAfter: number | undefined;
  readonly byDirectory: boolean;
  /** Asked once more under the same id, so long after its end, virtual milliseconds. */
  readonly again: number | undefined;
}
