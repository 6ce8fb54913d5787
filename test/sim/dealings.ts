/** What parties do on the ledger besides opening channels and claiming: assets, transfers, and the ends of channels. */
import type { Action } from '../../src/protocol/transaction.ts';
import type { Random } from '../fuzz/random.ts';
import type { Party, SimAgent } from './party.ts';
import type { World } from './world.ts';

const TRANSFER_MAX = 100_000;
/** Longest that a story with ends of channels lets anybody be away, so that no delay is outlasted. */
const AWAY_MS_MAX = 40_000;

/** Dealings of honest parties. */
export class Dealings {
  readonly #world: World;
  readonly #random: Random;
  readonly #keyRandom: Random;

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random(8);
    this.#keyRandom = world.random(9);
  }

  /** The assets that cards and sources name come first: their ids derive from their registrant's first numbers. */
  register(): void {
    const { plan, parties } = this.#world;
    if (!plan.registerAssets) return;
    for (const party of parties) {
      const [agent] = party.agents;
      if (agent) void this.#registerBoth(party, agent);
    }
  }

  /** In every second story payers give channels keys for their vouchers, replace them and take them away. */
  scheduleKeys(): void {
    const random = this.#keyRandom;
    const { scheduler, plan, parties } = this.#world;
    const times = random.once(2) ? 1 + random.below(6) : 0;
    for (let i = 0; i < times; i++) {
      const [party, revokes] = [random.pick(parties), random.once(4)];
      const atMs = 1_000 + random.below(plan.durationMs);
      scheduler.after(atMs, () => void this.#changeKey(party, revokes).catch(() => {}));
    }
  }

  /** Spreads transfers, collections and ends of channels over the story. */
  schedule(): void {
    const random = this.#random;
    const { plan, parties } = this.#world;
    this.#often(random.below(4), () => {
      const [from, to] = [random.pick(parties), random.pick(parties)];
      const amount = BigInt(1 + random.below(TRANSFER_MAX));
      return () => this.#send(from, { type: 'transfer', to: to.signer.publicKey, amount, memo: undefined });
    });
    this.#often(plan.registerAssets ? random.below(4) : 0, () => {
      const party = random.pick(parties);
      const { card } = random.pick(this.#world.agents());
      return () => this.#send(party, { type: 'collect', asset: card.asset });
    });
    if (!plan.closes || plan.faults.outageMs > AWAY_MS_MAX) return;
    this.#often(1 + random.below(3), () => {
      const party = random.pick(parties);
      const changesItsMind = random.once(4);
      return () => this.#close(party, changesItsMind);
    });
  }

  async #registerBoth(party: Party, agent: SimAgent): Promise<void> {
    const owner = party.signer.publicKey;
    const common = {
      type: 'register-asset',
      licence: 'CC0-1.0',
      terms: undefined,
      replaces: undefined,
      bounty: 0,
      commitment: { scheme: 'sahara-manifest-1', root: agent.card.manifestHash, sizeBytes: 1_000 },
    } as const;
    const knowledge = { owner: agent.knowledge.contributor, ppm: 700_000 };
    await this.#send(party, {
      ...common,
      kind: 'agent',
      name: agent.card.name,
      owners: [{ owner, ppm: 1_000_000 }],
      parents: [],
    });
    await this.#send(party, {
      ...common,
      kind: 'dataset',
      name: `${agent.card.name}-knowledge`,
      owners: [knowledge, { owner, ppm: 300_000 }],
      parents: [{ asset: agent.card.asset, relation: 'trained-on', ppm: 100_000 }],
    });
  }

  async #changeKey(party: Party, revokes: boolean): Promise<void> {
    const { running, signer } = party;
    const channel = running?.ledger
      .channelsOf(signer.publicKey)
      .find(({ payer, state }) => state === 'open' && payer.every((byte, i) => byte === signer.publicKey[i]));
    if (!running || !channel) return;
    const { present, pending } = running.voucherKeys.state(channel);
    const none = present === undefined && pending === undefined;
    const change = none ? 'set' : revokes ? 'revoke' : 'rotate';
    this.#world.trace.say(`voucher key ${party} ${change}`);
    await running.voucherKeys.change(channel, change);
    this.#world.trace.say(`voucher key ${party} ${change} done`);
  }

  async #close(party: Party, changesItsMind: boolean): Promise<void> {
    const { running, signer } = party;
    const channel = running?.ledger
      .channelsOf(signer.publicKey)
      .find(({ payer, state }) => state === 'open' && payer.every((byte, i) => byte === signer.publicKey[i]));
    if (!channel) return;
    this.#world.trace.say(`close ${party}`);
    await this.#send(party, { type: 'request-close', channel: channel.id });
    if (changesItsMind) await this.#send(party, { type: 'cancel-close', channel: channel.id });
  }

  async #send(party: Party, action: Action): Promise<void> {
    // Who is down or has too little sends nothing.
    await party.running?.wallet.send(action).catch(() => {});
  }

  #often(times: number, draw: () => () => Promise<void>): void {
    const { scheduler, plan } = this.#world;
    for (let i = 0; i < times; i++) {
      const act = draw();
      scheduler.after(1_000 + this.#random.below(plan.durationMs), () => void act().catch(() => {}));
    }
  }
}
