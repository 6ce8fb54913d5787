/** Two who keep the rules, in a world in which others do not. */
import type { Hash } from '../../src/protocol/ids.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Action } from '../../src/protocol/transaction.ts';
import { chargeOf, countedFor, type LanePlace, laneClaim, voucherOf } from './lane.ts';
import { PEOPLE, type World } from './whole-world.ts';

/** A channel of two who keep the rules: hana signs ahead of what hugo serves, hugo claims before it is too late. */
export class HonestLine {
  readonly world: World;
  readonly channel: Hash;
  signed = 0n;
  paid = 0n;
  readonly served: bigint[] = [];

  constructor(world: World, channel: Hash) {
    this.world = world;
    this.channel = channel;
  }

  get #place(): LanePlace {
    const [payer, payee] = PEOPLE as readonly [Signer, Signer];
    return { network: this.world.bench.network, channel: this.channel, lane: 1, payer, payee, agent: payee };
  }

  get total(): bigint {
    return this.served.reduce((sum, one) => sum + one, 0n);
  }

  /** Sees what was paid, in the block that paid it: what has ended is soon forgotten. */
  look(): void {
    const { queries } = this.world.bench;
    const known = queries.channel(this.channel) ?? queries.endedChannel(this.channel);
    this.paid = known?.lanes.find(({ lane }) => lane === 1)?.paid ?? this.paid;
  }

  /** One more call, while the channel is open and holds it. */
  serve(amount: bigint): void {
    const known = this.world.bench.queries.channel(this.channel);
    if (known?.state !== 'open' || this.total + amount > known.deposit) return;
    this.served.push(amount);
    this.signed = this.total + 5n <= known.deposit ? this.total + 5n : known.deposit;
  }

  /** The claim of all that was served. */
  claim(): Action {
    const place = this.#place;
    return {
      type: 'claim',
      ...laneClaim(place, chargeOf(place, countedFor(place, this.served)), voucherOf(place, this.signed)),
    };
  }
}
