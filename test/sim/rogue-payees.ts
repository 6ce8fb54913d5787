/**
 * Payees that do not keep the rules. Their hosts and books are the real ones, with something in between: receipts that
 * charge too much or for another answer, two receipts for one place, endings that are kept back, answers that never
 * end, and claims of all that a voucher allows. An honest payer must not pay more than it put at stake.
 */
import type { PayeeLease, PayeePort } from '../../src/agent/ports.ts';
import { compareBytes, equalBytes } from '../../src/base/bytes.ts';
import type { CallStream } from '../../src/mesh/interface.ts';
import type { PayeeBook } from '../../src/payment/payee-book.ts';
import { CALL_FRAME, callEnding } from '../../src/protocol/call.ts';
import { checkpoint } from '../../src/protocol/checkpoint.ts';
import {
  attributionRoot,
  charge as chargeSchema,
  receipt as receiptSchema,
} from '../../src/protocol/payment.ts';
import { type Signed, signed, signOne } from '../../src/protocol/signing.ts';
import type { Random } from '../fuzz/random.ts';
import { bound, wrapped } from './mutations.ts';
import type { Party } from './party.ts';
import { watchStream } from './watched.ts';
import type { World } from './world.ts';

const CLAIM_EVERY_MS = 7_000;

/** One payee that plays tricks. */
export class RoguePayee {
  readonly #world: World;
  readonly #party: Party;
  readonly #random: Random;
  /** Out of eight calls, so many are tampered with. */
  readonly #tampered: number;

  constructor(world: World, party: Party) {
    this.#world = world;
    this.#party = party;
    this.#random = world.random(7);
    this.#tampered = 1 + this.#random.below(8);
    world.truth.rogues.add(party);
    party.temper.payee = (book) => this.#book(book);
    party.temper.hostStream = (stream) => this.#stream(stream);
  }

  /** Claims all that vouchers allow, again and again. */
  schedule(): void {
    const { scheduler, plan } = this.#world;
    for (let atMs = CLAIM_EVERY_MS; atMs < plan.durationMs; atMs += CLAIM_EVERY_MS) {
      if (this.#random.once(2)) scheduler.after(atMs, () => void this.#overclaim().catch(() => {}));
    }
  }

  /** Its tricks last no longer than others' calls. */
  get busy(): boolean {
    return false;
  }

  get #plays(): boolean {
    return this.#random.below(8) < this.#tampered;
  }

  /** Charges the whole cover, or names another answer. */
  #book(book: PayeeBook): PayeePort {
    return wrapped(book, async ({ amountMax }, lease): Promise<PayeeLease> => {
      const how = this.#plays ? this.#random.pick(['all', 'answer', 'twice'] as const) : 'fair';
      return {
        ...bound(lease),
        commit: async (draft, agent) => {
          const [first, ...rest] = draft.shares;
          if (how === 'all' && first && amountMax > draft.amount) {
            const shares = [{ ...first, amount: first.amount + amountMax - draft.amount }, ...rest];
            return lease.commit({ ...draft, amount: amountMax, shares }, agent);
          }
          if (how === 'answer')
            return lease.commit({ ...draft, responseHash: this.#random.bytes(32) }, agent);
          const ending = await lease.commit(draft, agent);
          if (how !== 'twice') return ending;
          const receipt = receiptSchema.decode(ending.receipt.payload);
          const other = receiptSchema.encode({ ...receipt, finishedAtMs: receipt.finishedAtMs + 1 });
          return { ...ending, receipt: await agent.sign('receipt', other) };
        },
      };
    });
  }

  /** Keeps endings back, garbles what it delivers, states checkpoints that are too high. */
  #stream(stream: CallStream): CallStream {
    if (!this.#plays) return stream;
    const how = this.#random.pick(['withhold', 'garble', 'dear', 'forge'] as const);
    return watchStream(stream, {
      received: () => {},
      sending: (frame) => {
        if (how === 'withhold' && frame.kind === CALL_FRAME.ending) return undefined;
        if (how === 'garble' && frame.kind === CALL_FRAME.delta && this.#random.once(3)) {
          const body = frame.body.slice();
          body[body.length - 1] = this.#random.below(256);
          return { kind: frame.kind, body };
        }
        if (how === 'dear' && frame.kind === CALL_FRAME.checkpoint) return this.#dearer(frame.body);
        if (how === 'forge' && frame.kind === CALL_FRAME.ending) {
          const ending = callEnding.decode(frame.body);
          const receipt = { ...ending.receipt, signature: this.#random.bytes(64) };
          return { kind: frame.kind, body: callEnding.encode({ ...ending, receipt }) };
        }
        return frame;
      },
    });
  }

  #dearer(body: Uint8Array): { readonly kind: number; readonly body: Uint8Array } {
    const said = checkpoint.decode(signed.decode(body).payload);
    const payload = checkpoint.encode({ ...said, amount: 2n * said.amount });
    const agent = this.#party.agents[0];
    const dear: Signed = agent
      ? signOne(this.#world.keys.suite, agent.signer, this.#world.network, { type: 'checkpoint', payload })
      : signed.decode(body);
    return { kind: CALL_FRAME.checkpoint, body: signed.encode(dear) };
  }

  async #overclaim(): Promise<void> {
    const { running, signer } = this.#party;
    if (!running) return;
    const { keys, network, trace } = this.#world;
    for await (const lane of running.payee.lanes.all()) {
      const { voucher } = lane;
      const [agent] = this.#party.agents;
      if (!voucher || !agent || voucher.terms.ceiling <= lane.charged) continue;
      const { asset } = agent.card;
      const total = voucher.terms.ceiling;
      const more = total - lane.charged;
      const known = lane.state.amounts;
      const raised = known.some((entry) => equalBytes(entry.asset, asset))
        ? known.map((entry) =>
            equalBytes(entry.asset, asset) ? { asset, amount: entry.amount + more } : entry,
          )
        : [...known, { asset, amount: more }].sort((a, b) => compareBytes(a.asset, b.asset));
      const payload = chargeSchema.encode({
        network,
        channel: lane.channel,
        lane: lane.lane,
        total,
        sequence: lane.count + 1,
        receiptRoot: this.#random.bytes(32),
        attributionRoot: attributionRoot(keys.suite, raised),
      });
      const charge = signOne(keys.suite, signer, network, { type: 'charge', payload });
      trace.say(`overclaim ${this.#party} ${total} of ${lane.charged}`);
      const { channel } = lane;
      await running.wallet
        .send({ type: 'claim', channel, voucher: voucher.signed, charge, attribution: raised })
        .catch(() => {});
    }
  }
}
