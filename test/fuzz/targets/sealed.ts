/** What comes sealed: the messages inside, and whole streams at the door of a host. */
import { throughDoor } from '../../../src/agent/sealed-door.ts';
import { concat, equalBytes, u32be } from '../../../src/base/bytes.ts';
import { asSaharaError } from '../../../src/base/errors.ts';
import { callVia, packed, type SealedMessage, unpacked } from '../../../src/protocol/sealed-message.ts';
import { AGENT, doorParts, sealing } from '../../calls/sealed-rig.ts';
import { createStreamPair } from '../../calls/stream-pair.ts';
import { changedBytes } from '../bytes.ts';
import type { Random } from '../random.ts';
import { holds, mayRefuse, type Target, type TargetMaker } from '../target.ts';

const filled = (value: number, length: number): Uint8Array => new Uint8Array(length).fill(value);

const messages: readonly SealedMessage[] = [
  { type: 'frame', kind: 1, body: filled(1, 200) },
  { type: 'frame', kind: 2, body: filled(2, 400) },
  { type: 'frame', kind: 5, body: filled(0, 0) },
  { type: 'end' },
  { type: 'failure', body: filled(3, 30) },
  { type: 'cancel' },
];

function messageTarget(): Target {
  return {
    name: 'sealed-message',
    sizeBytesMax: 2_048,
    corpus: messages.map(packed),
    bend: (seed, random) => changedBytes(seed, random),
    take(input) {
      holds(equalBytes(packed(unpacked(input)), input), 'accepted bytes are not those of the message');
    },
  };
}

/** Frames one after the other: a kind, a length and the body. */
function streamOf(frames: readonly { readonly kind: number; readonly body: Uint8Array }[]): Uint8Array {
  return concat(...frames.flatMap(({ kind, body }) => [Uint8Array.of(kind), u32be(body.length), body]));
}

function framesOf(stream: Uint8Array): { kind: number; body: Uint8Array }[] {
  const frames: { kind: number; body: Uint8Array }[] = [];
  for (let at = 0; at + 5 <= stream.length && frames.length < 8; ) {
    const length = new DataView(stream.buffer, stream.byteOffset + at + 1, 4).getUint32(0);
    const end = Math.min(stream.length, at + 5 + length);
    frames.push({ kind: stream[at] ?? 0, body: stream.subarray(at + 5, end) });
    at = end;
  }
  return frames;
}

async function doorTarget(): Promise<Target> {
  const door = await doorParts();
  const session = await sealing.sealer.to(AGENT);
  const sealed = messages.map((message) => ({ kind: 13, body: session.write(message) }));
  const question = await sealing.sealer.to(AGENT);
  const asked = question.write({ type: 'frame', kind: 15, body: filled(7, 20) });
  const sound = [
    streamOf(sealed.slice(0, 4)),
    streamOf([...sealed.slice(0, 3), ...sealed.slice(4)]),
    streamOf([{ kind: 13, body: asked }]),
    streamOf([{ kind: 14, body: callVia.encode({ peerId: 'peer' }) }]),
    streamOf([{ kind: 1, body: filled(1, 100) }]),
  ];
  const target: Target = {
    name: 'sealed-door',
    sizeBytesMax: 8_192,
    corpus: sound,
    bend: (seed: Uint8Array, random: Random) => changedBytes(seed, random),
    async take(input) {
      const { caller, host } = createStreamPair();
      const inside = throughDoor(door, host);
      for (const frame of framesOf(input)) caller.send(frame);
      caller.end();
      try {
        for await (const { kind, body } of inside.frames()) {
          const mine = framesOf(input)[0]?.kind !== 13;
          const known = messages.some(
            (one) => one.type === 'frame' && one.kind === kind && equalBytes(one.body, body),
          );
          holds(mine || known, 'a message came out of the seal that never went in');
        }
      } catch (error) {
        const failure = asSaharaError(error);
        holds(failure.code !== 'internal', `a defect: ${failure.message}`);
        if (!mayRefuse(target, failure)) throw failure;
      }
    },
    also: ['unavailable', 'cancelled'],
  };
  return target;
}

/** What comes sealed. */
export const SEALED_TARGETS: readonly TargetMaker[] = [
  { name: 'sealed-message', create: messageTarget },
  { name: 'sealed-door', shortCount: 200, create: doorTarget },
];
