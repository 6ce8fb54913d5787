/** Reads every block that the sequencer makes, and compares what it did with what may be. */

import { concat, toHex, u64be, utf8 } from '../../src/base/bytes.ts';
import { supplyOf } from '../../src/ledger/genesis.ts';
import { heldIn } from '../../src/ledger/records.ts';
import { tookEffect } from '../../src/ledger/result-codes.ts';
import type { ClaimBody } from '../../src/protocol/actions-channel.ts';
import { block as blockSchema } from '../../src/protocol/block.ts';
import { charge, voucher } from '../../src/protocol/payment.ts';
import { channelId, transaction, transactionId } from '../../src/protocol/transaction.ts';
import type { Party } from './party.ts';
import type { World } from './world.ts';

/** A channel as its blocks made it. */
export interface ChannelTruth {
  readonly id: string;
  readonly key: Uint8Array;
  readonly payer: Party;
  readonly payee: Party;
  /** Grains paid out to the payee and its assets. */
  claimed: bigint;
  ended: boolean;
}

const STATE_PREFIX = concat(utf8('ledger/'), Uint8Array.of(0x10));
const BLOCK_PREFIX = concat(utf8('ledger/'), Uint8Array.of(0x20));

/** What the ledger did. */
export class Blocks {
  readonly channels: Map<string, ChannelTruth> = new Map();
  readonly #world: World;
  #height = 0;
  #watched: object | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  /** Blocks read. */
  get height(): number {
    return this.#height;
  }

  /** Follows the sequencer's run of now, once. */
  follow(): void {
    const { running } = this.#world.sequencer;
    if (!running || this.#watched === running) return;
    this.#watched = running;
    running.ledger.onBlock(() => this.look());
    this.look();
  }

  /** Reads what is new, from the disk itself: what is asked of a party may never be answered. */
  look(): void {
    const { sequencer } = this.#world;
    // Only a run that is up says what a block's transactions gave.
    if (!sequencer.running) return;
    const { height } = sequencer.running.ledger.head();
    if (height <= this.#height) return;
    while (this.#height < height) {
      const key = concat(BLOCK_PREFIX, u64be(BigInt(++this.#height)));
      for (const [, wire] of sequencer.disk.peek(key)) {
        for (const { payload } of blockSchema.decode(wire).transactions) this.#transaction(payload);
      }
    }
    this.#check();
  }

  /** All money that the sequencer's disk holds, grains. */
  supply(): bigint {
    let sum = 0n;
    for (const [key, value] of this.#world.sequencer.disk.peek(STATE_PREFIX)) {
      sum += heldIn(key.subarray(STATE_PREFIX.length), value);
    }
    return sum;
  }

  #check(): void {
    const { truth, genesis, plan, sequencer } = this.#world;
    if (plan.parties < 11) {
      const supply = this.supply();
      truth.demand(
        supply === supplyOf(genesis),
        () => `all money is ${supply} grains, there were ${supplyOf(genesis)}`,
      );
    }
    for (const channel of this.channels.values()) {
      channel.ended ||= sequencer.running?.ledger.channel(channel.key) === undefined;
      const { id, payer, payee, claimed } = channel;
      const most = truth.stakes.mostOf(id);
      truth.demand(
        truth.rogues.has(payer) || claimed <= most,
        () =>
          `${payer} has paid ${claimed} grains to ${payee} on ${id.slice(0, 6)}, at stake were never more than ${most}`,
      );
    }
  }

  #transaction(payload: Uint8Array): void {
    const { keys, network, sequencer, trace } = this.#world;
    const { suite } = keys;
    const { sender, nonce, action } = transaction.decode(payload);
    const inclusion = sequencer.running?.ledger.lookup(transactionId(suite, network, payload));
    const ok = inclusion !== undefined && tookEffect(inclusion.result.code);
    trace.say(`block ${this.#height}: ${action.type} ${inclusion?.result.code} ${inclusion?.result.moved}`);
    if (action.type === 'challenge') {
      const accused = this.channels.get(toHex(action.channel));
      const { truth } = this.#world;
      truth.demand(
        accused === undefined || truth.rogues.has(accused.payee),
        () => `${accused?.payee} is challenged, and kept the rules: ${action.evidence.type}`,
      );
    }
    if (!ok) return;
    if (action.type === 'open-channel') {
      const key = channelId(suite, network, sender, action.payee, nonce).slice();
      const id = toHex(key);
      const [payer, payee] = [this.#party(sender), this.#party(action.payee)];
      if (payer && payee) this.channels.set(id, { id, key, payer, payee, claimed: 0n, ended: false });
    } else if (action.type === 'claim-batch') {
      for (const claim of action.claims) this.#batched(claim);
    } else if (action.type === 'claim' || action.type === 'close-by-payee') {
      const channel = this.channels.get(toHex(action.channel));
      if (!channel) return;
      const live = sequencer.running?.ledger.channel(channel.key)?.claimed;
      channel.claimed = live ?? channel.claimed + inclusion.result.moved;
      if (action.type === 'close-by-payee') channel.ended = true;
    }
  }

  /** What a batch moved is told in all; each channel says what it paid, and one that ended with the block what it was claimed by. */
  #batched({ channel: key, voucher: promise, charge: statement }: ClaimBody): void {
    const channel = this.channels.get(toHex(key));
    if (!channel) return;
    const { ceiling } = voucher.decode(promise.payload);
    const { total } = charge.decode(statement.payload);
    const proven = total < ceiling ? total : ceiling;
    const live = this.#world.sequencer.running?.ledger.channel(channel.key)?.claimed;
    channel.claimed = live ?? (proven > channel.claimed ? proven : channel.claimed);
  }

  #party(key: Uint8Array): Party | undefined {
    return this.#world.parties.find(({ signer }) => toHex(signer.publicKey) === toHex(key));
  }
}
