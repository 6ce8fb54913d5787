import { toHex } from '../../src/base/bytes.ts';
import { type Envelope, envelope } from '../../src/protocol/envelope.ts';
import { CLOCK_SKEW_MS } from '../../src/protocol/limits.ts';
import { signed } from '../../src/protocol/signing.ts';
import { agent, filled, NOW_MS, network, payer, sign, suite } from '../../test/protocol/sample.ts';
import type { Vectors } from './file.ts';

interface Step {
  /** What happens: a message comes, or the receiver starts again with what it has on disk. */
  readonly do: 'receive' | 'restart';
  readonly atMs: number;
  readonly message?: string;
  /** `ok`, or the code of the refusal. */
  readonly verdict?: string;
}

interface Sequence {
  readonly name: string;
  readonly steps: readonly Step[];
}

const body = filled(0x42, 20);
const LIFE_MS = 60_000;

function message(change: Partial<Envelope> = {}): string {
  const asked: Envelope = {
    version: 1,
    network,
    id: filled(9, 16),
    from: payer.publicKey,
    to: { kind: 'agent', name: agent.publicKey },
    sequence: 7,
    issuedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + LIFE_MS,
    context: undefined,
    bodyType: 'call',
    bodyHash: suite.sha256(body),
    extensions: new Map(),
    ...change,
  };
  return toHex(signed.encode(sign(payer, 'call', envelope.encode(asked))));
}

const receive = (text: string, afterMs: number, verdict: string): Step => ({
  do: 'receive',
  atMs: NOW_MS + afterMs,
  message: text,
  verdict,
});

const restart = (afterMs: number): Step => ({ do: 'restart', atMs: NOW_MS + afterMs });

/** What one receiver says to messages that come one after the other. */
export function replayVectors(): Vectors<Sequence, Sequence> {
  const first = message();
  const later = { issuedAtMs: NOW_MS + 1_000, expiresAtMs: NOW_MS + 1_000 + LIFE_MS };
  const end = LIFE_MS + CLOCK_SKEW_MS;
  return {
    about:
      'Messages that come to one receiver one after the other (ENV-9). Each step stands at a time by its clock; a restart keeps what is on disk. `verdict` is ok or the code of the refusal. A sequence is valid when every message of it is taken.',
    given: { network, agent: toHex(agent.publicKey), body: toHex(body) },
    valid: [
      {
        name: 'two messages',
        steps: [receive(first, 0, 'ok'), receive(message({ id: filled(8, 16) }), 1, 'ok')],
      },
      {
        name: 'two messages with a restart between them',
        steps: [receive(first, 0, 'ok'), restart(1), receive(message({ id: filled(8, 16) }), 2, 'ok')],
      },
    ],
    invalid: [
      { name: 'replayed at once', steps: [receive(first, 0, 'ok'), receive(first, 1, 'replayed')] },
      {
        name: 'replayed after a restart',
        steps: [receive(first, 0, 'ok'), restart(1), receive(first, 2, 'replayed')],
      },
      {
        name: 'replayed after two restarts, in the last moment of its life',
        steps: [receive(first, 0, 'ok'), restart(1), restart(2), receive(first, end, 'replayed')],
      },
      {
        name: 'replayed after its life: expired comes before replayed',
        steps: [receive(first, 0, 'ok'), receive(first, end + 1, 'expired')],
      },
      {
        name: 'the same id in another message',
        steps: [receive(first, 0, 'ok'), receive(message({ ...later, sequence: 8 }), 2_000, 'replayed')],
      },
      {
        name: 'first refused as too early, then taken, then replayed',
        steps: [
          receive(first, -CLOCK_SKEW_MS - 1, 'not-yet-valid'),
          receive(first, 0, 'ok'),
          receive(first, 1, 'replayed'),
        ],
      },
    ],
  };
}
