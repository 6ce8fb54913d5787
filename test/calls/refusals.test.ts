import { describe, expect, it } from 'vitest';
import type { CallStream } from '../../src/agent/ports.ts';
import { type CallOpening, callOpening, callRequest } from '../../src/protocol/call.ts';
import { envelope } from '../../src/protocol/envelope.ts';
import { type Voucher, voucher as voucherSchema } from '../../src/protocol/payment.ts';
import { signOne } from '../../src/protocol/signing.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { Channels, createRig, keys, NETWORK, openChannel, QUESTION, type Rig } from './rig.ts';
import { createStreamPair } from './stream-pair.ts';

/** The opening of one honest call, caught on its way and never delivered. */
async function honest(rig: Rig, changes: { readonly priceMax?: bigint } = {}): Promise<CallOpening> {
  let caught: Uint8Array | undefined;
  const catching = await createRig({
    card: rig.card,
    pair: {
      tap: (frame) => {
        caught ??= frame.body;
        return 'cut';
      },
    },
  });
  const call = catching.caller.ask({
    target: rig.target,
    question: QUESTION,
    priceMax: changes.priceMax ?? 1_000n,
  });
  await expect(call.result).rejects.toMatchObject({ code: 'peer-gone' });
  return callOpening.decode(caught as Uint8Array);
}

function resigned(
  opening: CallOpening,
  change: Partial<ReturnType<typeof envelope.decode>>,
  request: Uint8Array = opening.request,
  signer: (typeof keys)[keyof typeof keys] = keys.payer,
): CallOpening {
  const body = { ...envelope.decode(opening.envelope.payload), bodyHash: suite.sha256(request), ...change };
  const signed = signOne(suite, signer, NETWORK, { type: 'call', payload: envelope.encode(body) });
  return { ...opening, request, envelope: signed };
}

const fresh = (): Uint8Array => crypto.getRandomValues(new Uint8Array(16));

describe('refusals', () => {
  it('CALL-10 CALL-11: each fault has its code, and of two faults the first in the order is told', async () => {
    const rig = await createRig();
    const good = await honest(rig);
    const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 9 ? byte ^ 1 : byte));
    const request = callRequest.decode(good.request);
    const asking = (change: Partial<typeof request>): Uint8Array =>
      callRequest.encode({ ...request, ...change });
    const badVoucher = {
      ...(good.voucher as NonNullable<typeof good.voucher>),
      signature: new Uint8Array(64),
    };
    const expired = { issuedAtMs: 1_000, expiresAtMs: 2_000 };
    // In the order of CALL-10; every case also carries the fault of the one after it.
    const cases: readonly (readonly [string, string, Uint8Array])[] = [
      ['size', 'too-large', new Uint8Array(1_048_577)],
      ['shape', 'malformed', Uint8Array.of(0x83, 0x01)],
      [
        'version',
        'version-unsupported',
        callOpening.encode(resigned(good, { version: 9, network: 'other' })),
      ],
      [
        'network',
        'network-mismatch',
        callOpening.encode(
          resigned(good, { network: 'other', to: { kind: 'agent', name: keys.stranger.publicKey } }),
        ),
      ],
      [
        'recipient',
        'wrong-recipient',
        callOpening.encode(
          resigned(good, { to: { kind: 'agent', name: keys.stranger.publicKey }, ...expired }),
        ),
      ],
      [
        'expiry',
        'expired',
        callOpening.encode({
          ...resigned(good, expired),
          envelope: { ...resigned(good, expired).envelope, signature: flip(good.envelope.signature) },
        }),
      ],
      [
        'signature',
        'signature-invalid',
        callOpening.encode({ ...resigned(good, { id: fresh() }, asking({ skill: 'dance' }), keys.stranger) }),
      ],
      [
        'limits',
        'skill-unknown',
        callOpening.encode(resigned(good, { id: fresh() }, asking({ skill: 'dance', priceMax: 1n }))),
      ],
      [
        'price',
        'price-above-max',
        callOpening.encode({
          ...resigned(good, { id: fresh() }, asking({ priceMax: 1n })),
          voucher: badVoucher,
        }),
      ],
      [
        'voucher',
        'voucher-invalid',
        callOpening.encode({ ...resigned(good, { id: fresh() }), voucher: badVoucher }),
      ],
      [
        'payment',
        'payment-required',
        callOpening.encode({ ...resigned(good, { id: fresh() }), voucher: undefined }),
      ],
    ];
    for (const [what, code, body] of cases) {
      const { code: found, kinds } = await rig.raw(body);
      expect([what, found, kinds]).toEqual([what, code, []]);
    }
    expect(await rig.raw(callOpening.encode(good))).toMatchObject({ kinds: [3, 2, 2, 2, 4] });
  });

  it('CALL-12: a missing signature is refused before anything is compared', async () => {
    const rig = await createRig();
    const good = await honest(rig);
    const bare = { ...good, envelope: { ...good.envelope, signature: new Uint8Array(0) } };
    expect((await rig.raw(callOpening.encode(bare))).code).toBe('signature-missing');
  });

  it('CALL-13 CALL-14: the same call gives the same bytes to the same peer, to no other, and costs once', async () => {
    const rig = await createRig();
    const body = callOpening.encode(await honest(rig));
    const first = await rig.raw(body);
    const again = await rig.raw(body);
    expect(again.frames).toEqual(first.frames);
    expect((await rig.raw(body, 'peer-thief')).code).toBe('replayed');
    const lanes = [];
    for await (const lane of rig.payee.lanes.all()) lanes.push(lane.count);
    expect(lanes).toEqual([1]);
  });

  it('CALL-15: another question under the same id is a conflict', async () => {
    const rig = await createRig();
    const good = await honest(rig);
    await rig.raw(callOpening.encode(good));
    const request = callRequest.decode(good.request);
    const other = callRequest.encode({ ...request, question: 'Something else?' });
    expect((await rig.raw(callOpening.encode(resigned(good, {}, other)))).code).toBe('call-conflict');
  });

  it('CALL-21: a price above the most that may be spent is refused before anything is sent', async () => {
    let frames = 0;
    const rig = await createRig({
      pair: {
        tap: (frame) => {
          frames++;
          return frame;
        },
      },
    });
    const call = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 50n });
    await expect(call.result).rejects.toMatchObject({ code: 'price-above-max' });
    expect([frames, call.state]).toEqual([0, 'refused']);
  });

  it('PAY-6 PAY-7: a closing channel serves nothing, and nothing goes over the deposit', async () => {
    const closing = await createRig({ channels: new Channels({ ...openChannel(), state: 'closing' }) });
    const ask = (rig: Rig): Promise<unknown> =>
      rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n }).result;
    await expect(ask(closing)).rejects.toMatchObject({ code: 'channel-closing' });
    const poor = await createRig({ channels: new Channels(openChannel(400n)) });
    await ask(poor);
    await expect(ask(poor)).rejects.toMatchObject({ code: 'funds-insufficient' });
    // The host's own view decides, whatever the caller believes.
    const rig = await createRig();
    const body = callOpening.encode(await honest(rig));
    rig.channels.change(openChannel().id, { state: 'closing' });
    expect((await rig.raw(body)).code).toBe('channel-closing');
    rig.channels.change(openChannel().id, { state: 'open', deposit: 10n });
    expect((await rig.raw(body)).code).toBe('voucher-invalid');
  });

  it('CALL-30: free calls need no channel and end with the quota', async () => {
    const rig = await createRig({
      card: { free: { calls: 2, windowSeconds: 3_600 } },
      channels: new Channels(),
    });
    const ask = (): ReturnType<Rig['caller']['ask']>['result'] =>
      rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n }).result;
    const first = await ask();
    expect([first.amount, first.receipt.channel]).toEqual([0n, undefined]);
    await ask();
    await expect(ask()).rejects.toMatchObject({ code: 'quota-exhausted' });
  });
});

describe('the frames of a call', () => {
  it('CALL-5: what may not come ends the call', async () => {
    const rig = await createRig();
    for (const frames of [[5], [7], [1, 1], [1, 9]]) {
      const body = callOpening.encode(await honest(rig));
      const { caller, host } = createStreamPair();
      rig.host.serve(host);
      for (const kind of frames) caller.send({ kind, body: kind === 1 ? body : new Uint8Array(0) });
      await expect(readAll(caller)).rejects.toMatchObject({ code: 'malformed' });
    }
    const odd = await createRig({
      pair: { tap: (frame, from) => (from === 'host' ? { ...frame, kind: 11 } : frame) },
    });
    const call = odd.caller.ask({ target: odd.target, question: QUESTION, priceMax: 1_000n });
    await expect(call.result).rejects.toMatchObject({ code: 'answer-invalid' });
  });
});

async function readAll(stream: CallStream): Promise<number> {
  let frames = 0;
  for await (const _frame of stream.frames()) frames++;
  return frames;
}

describe('vouchers', () => {
  it('PAY-5: are checked in one order, and of two faults the first is told', async () => {
    const other = { ...openChannel(), id: new Uint8Array(32).fill(0xc1), payee: keys.stranger.publicKey };
    const rig = await createRig({ channels: new Channels(openChannel(5_000n), other) });
    const terms = voucherSchema.decode((await honest(rig)).voucher?.payload as Uint8Array);
    const past = { notAfterMs: 1 };
    const over = { ceiling: 10_000n };
    const attempt = async (change: Partial<Voucher>, signer = keys.payer): Promise<string | undefined> => {
      const payload = voucherSchema.encode({ ...terms, ...change });
      const voucher = signOne(suite, signer, NETWORK, { type: 'voucher', payload });
      const opening = resigned(await honest(rig), { id: fresh() });
      return (await rig.raw(callOpening.encode({ ...opening, voucher }))).code;
    };
    const unknown = new Uint8Array(32).fill(0xff);
    expect(await attempt({ network: 'other', channel: unknown })).toBe('voucher-invalid');
    expect(await attempt({ lane: 1, channel: unknown })).toBe('voucher-stale');
    expect(await attempt({ channel: unknown, ...past })).toBe('channel-unknown');
    expect(await attempt({ channel: other.id, ...past })).toBe('voucher-invalid');
    rig.channels.change(openChannel().id, { state: 'closing' });
    expect(await attempt(past)).toBe('channel-closing');
    rig.channels.change(openChannel().id, { state: 'open' });
    expect(await attempt({ ...past, ...over })).toBe('voucher-stale');
    expect(await attempt({ ...over, receiptCount: 9 })).toBe('voucher-invalid');
    expect(await attempt({ receiptCount: 9 }, keys.stranger)).toBe('voucher-stale');
    expect(await attempt({ ceiling: 1n }, keys.stranger)).toBe('voucher-invalid');
    expect(await attempt({ ceiling: 1n })).toBe('voucher-insufficient');
    expect(await attempt({ sequence: 9 })).toBeUndefined();
  });
});
