import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCallRecords } from '../../src/agent/call-records.ts';
import { type CallHandle, createCaller } from '../../src/agent/caller.ts';
import type { AnswerPart, CallStream } from '../../src/agent/ports.ts';
import { toHex, utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { asSaharaError, SaharaError } from '../../src/base/errors.ts';
import { systemDice } from '../../src/base/random.ts';
import { createMemoryStore, prefixed } from '../../src/base/store.ts';
import { createPaying } from '../../src/daemon/paying.ts';
import { CALL_FRAME, callOpening } from '../../src/protocol/call.ts';
import { envelope } from '../../src/protocol/envelope.ts';
import { type CallPayment, callPayment, onceFault, paymentReference } from '../../src/protocol/once.ts';
import { createTickSigner, createVerifier, signed, signOne } from '../../src/protocol/signing.ts';
import { type Action, transaction } from '../../src/protocol/transaction.ts';
import { bob, carol, suite } from '../ledger/support.ts';
import { createOnceRig, type OnceTown, PRICE, startOnceTown } from './once-rig.ts';
import { AGENT_ASSET, keys, quotingAnswerer } from './rig.ts';

let town: OnceTown;
beforeAll(async () => {
  town = await startOnceTown();
});
afterAll(() => town.stop());

const receivedBy = (asset: Uint8Array): bigint => town.ledger.asset(asset)?.received ?? 0n;
const paidByBob = (): number => town.ledger.account(bob.publicKey).nonce;

async function failure(call: CallHandle): Promise<SaharaError> {
  return call.result.then(
    () => expect.fail('it was answered'),
    (error: unknown) => asSaharaError(error),
  );
}

/** An answer that fails before its first word. */
async function* failing(): AsyncGenerator<AnswerPart> {
  yield await Promise.reject(new Error('the model is gone'));
}

const noneYet = async (): Promise<CallPayment | undefined> => undefined;

describe('a call that one transaction pays', () => {
  it('is answered for its price without a channel, and the asset has the money (CALL-141, CALL-143, PAY-75)', async () => {
    const rig = await createOnceRig(town);
    const before = receivedBy(town.asset);
    const call = rig.caller.ask(rig.request());
    const told: string[] = [];
    for await (const event of call.events()) told.push(event.type === 'payment' ? event.state : event.type);
    const { amount, receipt, evidence, text } = await call.result;
    expect(text).toContain('A payee claims');
    expect(told.slice(0, 2)).toEqual(['paying', 'paid']);
    expect([told.filter((type) => type === 'ending').length, told.at(-1)]).toEqual([1, 'ending']);
    expect(amount).toBe(PRICE);
    expect(receipt).toMatchObject({ channel: undefined, lane: 0, sequence: 0, amount: PRICE });
    expect(receipt.shares).toEqual([{ asset: town.asset, role: 'agent', ppm: 1_000_000, amount: PRICE }]);
    expect(evidence.opening.voucher).toBeUndefined();
    expect(evidence.payment).toBeDefined();
    expect(receivedBy(town.asset)).toBe(before + PRICE);
    // First without the payment, then with it.
    expect(rig.sent).toEqual([[CALL_FRAME.opening], [CALL_FRAME.payment, CALL_FRAME.opening]]);
    expect(rig.openCalls.left()).toEqual([]);
    expect(rig.openCalls.find(call.callId)).toBeUndefined();
  });

  it('is paid only when everything else is in order (CALL-142)', async () => {
    const rig = await createOnceRig(town);
    const before = paidByBob();
    const other = await failure(rig.caller.ask(rig.request({ skill: 'dance' })));
    expect(other.code).toBe('skill-unknown');
    const dear = await failure(rig.caller.ask(rig.request({ priceMax: PRICE - 1n })));
    expect(dear.code).toBe('price-above-max');
    const closed = await createOnceRig(town, { payee: () => undefined });
    expect((await failure(closed.caller.ask(closed.request()))).code).toBe('payment-invalid');
    expect(paidByBob()).toBe(before);
    expect(rig.openCalls.left()).toEqual([]);
  });

  it('is refused at both sides where one transaction cannot pay it (CALL-141, CALL-140)', async () => {
    const card = { price: { perCall: 5n, perInputUnit: 0n, perOutputUnit: 0n } };
    const plain = { card, offered: false, context: undefined };
    expect(onceFault(plain)).toBeUndefined();
    expect(onceFault({ ...plain, offered: true })).toContain('offer');
    expect(onceFault({ ...plain, card: { price: { ...card.price, perInputUnit: 1n } } })).toContain('unit');
    expect(onceFault({ ...plain, card: { price: { ...card.price, perOutputUnit: 1n } } })).toContain('unit');
    expect(onceFault({ ...plain, card: { price: { ...card.price, perCall: 0n } } })).toContain('nothing');
    const budget = { amount: 1n, depth: 1, deadlineMs: 1, skills: [] };
    const context = { root: keys.agent.publicKey.slice(0, 16), parent: undefined, depth: 0, budget };
    // Of two reasons the first in the order.
    expect(onceFault({ card: { price: { ...card.price, perCall: 0n } }, offered: true, context })).toContain(
      'budget',
    );
    const before = paidByBob();
    const units = await createOnceRig(town, {
      card: { price: { perCall: PRICE, perInputUnit: 0n, perOutputUnit: 1n } },
    });
    expect(await failure(units.caller.ask(units.request()))).toMatchObject({ code: 'payment-invalid' });
    expect(units.sent).toEqual([]);
    const inBudget = units.request({ budget: { ...budget, deadlineMs: Date.now() + 1_000 } });
    expect(await failure(units.caller.ask(inBudget))).toMatchObject({ code: 'payment-invalid' });
    expect(paidByBob()).toBe(before);
  });

  it('keeps what it takes to ask again before it pays, and never pays twice (CALL-147, PAY-77)', async () => {
    const before = receivedBy(town.asset);
    const callerStore = createMemoryStore();
    const hostStore = createMemoryStore();
    let keptBefore = -1;
    const dying = await createOnceRig(town, {
      ...{ callerStore, hostStore },
      payer: (real) => ({
        ...real,
        async pay(call, options) {
          let kept = 0;
          for await (const _ of prefixed(callerStore, utf8('o')).entries()) kept++;
          keptBefore = kept;
          await real.pay(call, options);
          throw new SaharaError('peer-gone', { reason: 'the process ends here' });
        },
      }),
    });
    const cut = dying.caller.ask(dying.request());
    expect((await failure(cut)).facts.outcome).toBe('unknown');
    expect(keptBefore).toBe(1);
    expect(receivedBy(town.asset)).toBe(before + PRICE);
    const later = await createOnceRig(town, { callerStore, hostStore });
    expect(later.openCalls.left().map(({ callId }) => toHex(callId))).toEqual([toHex(cut.callId)]);
    const again = await later.caller.resume(cut.callId).result;
    expect(again.amount).toBe(PRICE);
    expect(again.evidence.payment).toBeDefined();
    expect(receivedBy(town.asset)).toBe(before + PRICE);
    expect(later.openCalls.left()).toEqual([]);
  });

  it('does not pay when it goes on with a call that was never paid (CALL-147)', async () => {
    const callerStore = createMemoryStore();
    const dying = await createOnceRig(town, {
      callerStore,
      payer: (real) => ({
        ...real,
        pay: async () => {
          throw new SaharaError('peer-gone', { reason: 'the process ends here' });
        },
      }),
    });
    const cut = dying.caller.ask(dying.request());
    await failure(cut);
    const before = paidByBob();
    const later = await createOnceRig(town, { callerStore });
    const over = await failure(later.caller.resume(cut.callId));
    expect([over.code, over.facts.outcome]).toEqual(['call-unknown', 'uncharged']);
    expect(later.openCalls.left()).toEqual([]);
    expect(paidByBob()).toBe(before);
  });

  it('is answered again for the same payment when it failed before anything came (CALL-145)', async () => {
    const before = receivedBy(town.asset);
    let broken = true;
    const real = quotingAnswerer();
    const answerer: typeof real = {
      answer(job, options) {
        if (!broken) return real.answer(job, options);
        return {
          parts: failing(),
          shares: () => ({ rule: 'test/1', shares: [] }),
        };
      },
    };
    const rig = await createOnceRig(town, { answerer });
    const call = rig.caller.ask(rig.request());
    const failed = await failure(call);
    expect([failed.code, failed.facts.outcome]).toEqual(['backend-failed', 'paid']);
    expect(rig.openCalls.left()).toHaveLength(1);
    broken = false;
    const answered = await rig.caller.resume(call.callId).result;
    expect(answered.text).toContain('A payee claims');
    expect(receivedBy(town.asset)).toBe(before + PRICE);
  });

  it('does not use its payment up with an answer that cannot be kept (CALL-145)', async () => {
    const before = receivedBy(town.asset);
    const disks = { hostStore: createMemoryStore(), callerStore: createMemoryStore() };
    const rig = await createOnceRig(town, { ...disks, records: { waitingBytesMax: 10 } });
    const call = rig.caller.ask(rig.request());
    const failed = await failure(call);
    expect([failed.code, failed.facts.outcome]).toEqual(['overloaded', 'paid']);
    const later = await createOnceRig(town, disks);
    const { text } = await later.caller.resume(call.callId).result;
    expect(text).toContain('A payee claims');
    expect(receivedBy(town.asset)).toBe(before + PRICE);
  });

  it('is gone on with while its host is still at it (CALL-146)', async () => {
    let back = false;
    const rig = await createOnceRig(town, {
      pair: {
        tap(frame, from) {
          const lost = from === 'host' ? CALL_FRAME.delta : CALL_FRAME.resume;
          return !back && frame.kind === lost ? 'cut' : frame;
        },
      },
    });
    const before = receivedBy(town.asset);
    const call = rig.caller.ask(rig.request());
    expect((await failure(call)).facts.outcome).toBe('paid');
    back = true;
    const { text, evidence } = await rig.caller.resume(call.callId).result;
    expect(text).toContain('Nothing else is needed.');
    expect(evidence.payment).toBeDefined();
    expect(rig.sent.at(-2)).toEqual([CALL_FRAME.payment, CALL_FRAME.opening]);
    expect(rig.sent.at(-1)).toEqual([CALL_FRAME.resume]);
    expect(receivedBy(town.asset)).toBe(before + PRICE);
  });

  it('costs its price also when nothing was found (CALL-148, RCPT-71)', async () => {
    const nothing = {
      answer: () => ({
        parts: (async function* (): AsyncGenerator<AnswerPart> {
          yield { type: 'end', finish: 'nothing-found' };
        })(),
        shares: () => ({
          rule: 'test/1',
          shares: [{ asset: AGENT_ASSET, role: 'agent' as const, ppm: 1_000_000 }],
        }),
      }),
    };
    const rig = await createOnceRig(town, { answerer: nothing });
    const { receipt } = await rig.caller.ask(rig.request()).result;
    expect([receipt.finish, receipt.amount]).toEqual(['nothing-found', PRICE]);
  });

  it('says before it pays that there is too little money (PAY-78)', async () => {
    const rig = await createOnceRig(town, {
      card: { price: { perCall: 10n ** 15n, perInputUnit: 0n, perOutputUnit: 0n } },
    });
    const before = paidByBob();
    const call = rig.caller.ask(rig.request({ priceMax: 10n ** 16n }));
    expect(await failure(call)).toMatchObject({ code: 'funds-insufficient' });
    expect(rig.openCalls.left()).toEqual([]);
    expect(paidByBob()).toBe(before);
  });
});

describe('the id of a call that is paid', () => {
  it('is not shown by its payment, so nobody takes it at the host before (PAY-75)', async () => {
    const open = { stream: (): CallStream => expect.fail('a rig') };
    const rig = await createOnceRig(town, {
      card: { free: { calls: 5, windowSeconds: 3600 } },
      answerer: {
        answer: (job, options) => ({
          ...quotingAnswerer().answer(job, options),
          shares: () => ({
            rule: 'test/1',
            shares: [{ asset: town.asset, role: 'agent', ppm: 1_000_000 }],
          }),
        }),
      },
      payer: (real) => ({
        ...real,
        async pay(call, options) {
          const paid = await real.pay(call, options);
          // Who watches the ledger asks the same host for nothing, under the id that the payment names.
          const { action } = transaction.decode(paid.transaction.payload);
          const callId = action.type === 'pay' ? action.reference : expect.fail('a payment');
          const { network } = town.ledger;
          const watcher = createCaller({
            ...{ suite, verifier: createVerifier(suite), clock: systemClock, dice: systemDice, network },
            operator: createTickSigner({ suite, signer: carol, network }),
            transport: { peerId: 'peer-watcher', openCall: async () => open.stream() },
            records: await openCallRecords({ clock: systemClock, store: createMemoryStore() }),
          });
          const asked = watcher.ask(rig.request({ callId, payment: 'free' }));
          expect((await asked.result).text).toContain('A payee claims');
          return paid;
        },
      }),
    });
    open.stream = rig.open;
    expect((await rig.caller.ask(rig.request()).result).text).toContain('A payee claims');
  });
});

describe('a payment', () => {
  /** A payment as somebody made it, in a block. */
  async function made(change: Partial<Extract<Action, { type: 'pay' }>>, callId: Uint8Array) {
    const reference = paymentReference(suite, callId);
    const action: Action = {
      ...{ type: 'pay', payee: aliceKey(), asset: town.asset, amount: PRICE, reference, ...change },
    } as const;
    const { id } = await town.wallet.send(action);
    const proof = await town.ledger.proof(id);
    return proof ?? expect.fail('what took effect is in a block');
  }
  const aliceKey = (): Uint8Array => town.ledger.asset(town.asset)?.registrant ?? expect.fail('registered');
  const fresh = (): Uint8Array => crypto.getRandomValues(new Uint8Array(16));

  /** Asks with a payment that was made by hand. */
  async function present(
    callId: Uint8Array,
    paid: CallPayment,
    options: Parameters<typeof createOnceRig>[1] = {},
  ): Promise<SaharaError | undefined> {
    const rig = await createOnceRig(town, {
      ...options,
      payer: () => ({ pay: async () => paid, made: noneYet }),
    });
    return rig.caller.ask(rig.request({ callId })).result.then(
      () => undefined,
      (error: unknown) => asSaharaError(error),
    );
  }

  it('is refused for what it does not say, in this order (CALL-144)', async () => {
    const callId = fresh();
    const good = await made({}, callId);
    const reasonOf = async (
      paid: CallPayment,
      options: Parameters<typeof createOnceRig>[1] = {},
    ): Promise<unknown> => {
      const refused = await present(callId, paid, options);
      expect(refused?.code).toBe('payment-invalid');
      return refused?.facts.reason;
    };
    expect(await reasonOf(good, { payee: () => undefined })).toBe('this peer takes no single payments');
    const { index } = good.transactionPath;
    const moved = { ...good, transactionPath: { ...good.transactionPath, index: index + 1, count: 9 } };
    expect(await reasonOf(moved)).toBe('no block of this network has the payment');
    const forged = { ...good, header: { ...good.header, signature: new Uint8Array(64) } };
    expect(await reasonOf(forged)).toBe('no block of this network has the payment');
    const garbled = { ...good, header: { ...good.header, payload: Uint8Array.of(0x80) } };
    expect(await reasonOf(garbled)).toMatch(/no block of this network|cannot be read/);
    expect(await reasonOf(await made({ payee: carol.publicKey, amount: 1n }, callId))).toBe(
      'the payment is to another payee',
    );
    expect(await reasonOf(await made({ asset: undefined, amount: 1n }, callId))).toBe(
      'the payment is to another asset',
    );
    expect(await reasonOf(await made({ amount: PRICE - 1n }, fresh()))).toBe(
      'the payment is of another amount',
    );
    expect(await reasonOf(await made({ amount: PRICE + 1n }, callId))).toBe(
      'the payment is of another amount',
    );
    expect(await reasonOf(await made({}, fresh()))).toBe('the payment is for another call');
    expect(await reasonOf(good, { by: carol })).toBe('the payment is of another payer');
    const { id } = await town.wallet.send({
      ...{ type: 'transfer', to: aliceKey(), amount: PRICE, memo: undefined },
    });
    const transfer = (await town.ledger.proof(id)) ?? expect.fail('in a block');
    expect(await reasonOf(transfer)).toBe('the transaction is no payment');
    const nextDay = {
      nowMs: () => systemClock.nowMs() + 86_400_000 + 60_000,
      monotonicMs: () => systemClock.monotonicMs(),
      after: systemClock.after.bind(systemClock),
    };
    expect(await reasonOf(good, { clock: nextDay })).toBe('the payment is more than a day old');
    // After all of that it still buys its answer.
    expect(await present(callId, good)).toBeUndefined();
  });

  it('buys one answer: asked again it is told again, and another question gets nothing (CALL-145, CALL-146)', async () => {
    const hostStore = createMemoryStore();
    const callId = fresh();
    const paid = await made({}, callId);
    const first = await createOnceRig(town, {
      hostStore,
      payer: () => ({ pay: async () => paid, made: async () => paid }),
    });
    const call = first.caller.ask(first.request({ callId }));
    const { text, receipt } = await call.result;
    const ticket = call.ticket ?? expect.fail('a ticket');
    const again = await createOnceRig(town, {
      hostStore,
      payer: () => ({ pay: async () => paid, made: async () => paid }),
    });
    const repeated = await again.caller.resume(ticket).result;
    expect([repeated.text, repeated.receipt]).toEqual([text, receipt]);
    // Another question under the same id is another call, and its payment is used up.
    const other = again.caller.ask(again.request({ callId, question: 'Something else?' }));
    expect(await failure(other)).toMatchObject({ code: 'call-conflict' });
    // A host that has forgotten the answer has not forgotten the payment.
    const bare = createMemoryStore();
    const operations = [];
    for await (const [key, value] of prefixed(hostStore, utf8('u')).entries()) {
      operations.push({ type: 'put' as const, key, value });
    }
    await prefixed(bare, utf8('u')).batch(operations);
    const forgetful = await createOnceRig(town, {
      hostStore: bare,
      payer: () => ({ pay: async () => paid, made: async () => paid }),
    });
    expect(await failure(forgetful.caller.resume(ticket))).toMatchObject({ code: 'replayed' });
  });

  it('stands alone: no voucher beside it, and before no other call (CALL-140, CALL-5)', async () => {
    const callId = fresh();
    const paid = await made({}, callId);
    const rig = await createOnceRig(town, {
      payer: () => ({ pay: async () => paid, made: async () => paid }),
    });
    const call = rig.caller.ask(rig.request({ callId }));
    await call.result;
    const opening = callOpening.decode(call.ticket?.opening ?? expect.fail('a ticket'));
    const answerTo = async (...frames: readonly (readonly [kind: number, body: Uint8Array])[]) => {
      const stream = rig.open();
      for (const [kind, body] of frames) stream.send({ kind, body });
      try {
        for await (const _ of stream.frames());
        return 'answered';
      } catch (error) {
        return asSaharaError(error).code;
      }
    };
    const frame = [CALL_FRAME.payment, callPayment.encode(paid)] as const;
    const bytes = (value: typeof opening) => [CALL_FRAME.opening, callOpening.encode(value)] as const;
    expect(await answerTo(frame, bytes({ ...opening, voucher: opening.envelope }))).toBe('malformed');
    const said = envelope.decode(opening.envelope.payload);
    const plain = signOne(suite, bob, town.ledger.network, {
      type: 'call',
      payload: envelope.encode({ ...said, id: fresh(), extensions: new Map() }),
    });
    expect(await answerTo(frame, bytes({ ...opening, envelope: plain }))).toBe('malformed');
    expect(await answerTo(frame, frame, bytes(opening))).toBe('malformed');
    expect(await answerTo([CALL_FRAME.payment, Uint8Array.of(1)], bytes(fromAnew(said)))).toBe('malformed');

    function fromAnew(body: typeof said): typeof opening {
      const payload = envelope.encode({ ...body, id: fresh() });
      return { ...opening, envelope: signOne(suite, bob, town.ledger.network, { type: 'call', payload }) };
    }
  });

  it('is believed by its proof alone, without a ledger (PAY-76)', async () => {
    const callId = fresh();
    const paid = await made({}, callId);
    // What the host reads is bytes of a frame; nothing else tells it of the block.
    const copy = callPayment.decode(callPayment.encode(paid));
    expect(await present(callId, copy)).toBeUndefined();
    const { nonce } = transaction.decode(copy.transaction.payload);
    expect(nonce).toBeGreaterThanOrEqual(0);
    expect(signed.encode(copy.transaction)).toEqual(signed.encode(paid.transaction));
  });

  it('of a call is kept apart from other payments by its reference (PAY-77)', async () => {
    const paying = createPaying({
      ...{ ledger: town.ledger, wallet: town.wallet, suite },
      clock: systemClock,
      store: createMemoryStore(),
    });
    const order = { reference: fresh(), to: aliceKey(), amount: PRICE, memo: undefined, asset: town.asset };
    const first = await paying.prove(order);
    expect((await paying.prove(order)).header).toEqual(first.header);
    expect((await paying.made(order.reference))?.header).toEqual(first.header);
    expect(await paying.made(fresh())).toBeUndefined();
    await expect(paying.prove({ ...order, amount: PRICE + 1n })).rejects.toMatchObject({ code: 'usage' });
    const { asset: _, ...transfer } = order;
    await expect(paying.pay(transfer)).rejects.toMatchObject({ code: 'usage' });
  });
});
