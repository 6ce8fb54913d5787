import { toHex, u64be } from '../../src/base/bytes.ts';
import { type Envelope, envelope } from '../../src/protocol/envelope.ts';
import { WORK_BYTES, type WorkSubject, workBits } from '../../src/protocol/work.ts';
import { agent, filled, NOW_MS, network, payer, suite } from '../../test/protocol/sample.ts';
import type { Vectors } from './file.ts';

interface WorkCase {
  readonly name: string;
  readonly network: string;
  readonly agent: string;
  /** The envelope's canonical bytes. */
  readonly envelope: string;
  readonly work: string;
  /** What is asked for. */
  readonly bits: number;
}

const BITS = 12;

const asked: Envelope = {
  version: 1,
  network,
  id: filled(9, 16),
  from: payer.publicKey,
  to: { kind: 'agent', name: agent.publicKey },
  sequence: 7,
  issuedAtMs: NOW_MS,
  expiresAtMs: NOW_MS + 60_000,
  context: undefined,
  bodyType: 'call',
  bodyHash: filled(0x42),
  extensions: new Map(),
};

/** The first number that is worth `bits` or, without one, less than that. */
function search(subject: WorkSubject, fits: (bits: number) => boolean): Uint8Array {
  for (let tried = 0n; ; tried++) {
    const work = u64be(tried);
    if (fits(workBits(suite, subject, work))) return work;
  }
}

/** Proofs of work for one envelope, and what is none. */
export function workVectors(): Vectors<WorkCase, WorkCase> {
  const subject = { network, agent: agent.publicKey, envelope: envelope.encode(asked) };
  const work = search(subject, (bits) => bits === BITS);
  const more = search(subject, (bits) => bits > BITS);
  const less = search(subject, (bits) => bits === BITS - 1);
  const entry = (
    name: string,
    given: Uint8Array,
    bits = BITS,
    change: Partial<WorkSubject> = {},
  ): WorkCase => {
    const of = { ...subject, ...change };
    return {
      name,
      network: of.network,
      agent: toHex(of.agent),
      envelope: toHex(of.envelope),
      work: toHex(given),
      bits,
    };
  };
  return {
    about:
      'Proofs of work (CALL-125): SHA-256 over the domain `work` of the network, the agent, SHA-256 of the envelope and the work begins with at least `bits` zero bits, or must not count.',
    given: { bytes: WORK_BYTES },
    valid: [
      entry('just enough', work),
      entry('more than enough', more),
      entry('nothing asked for, nothing given', new Uint8Array(0), 0),
    ],
    invalid: [
      entry('a bit too few', less),
      entry('enough for less than is asked for', work, BITS + 1),
      entry('for another envelope', work, BITS, {
        envelope: envelope.encode({ ...asked, sequence: asked.sequence + 1 }),
      }),
      entry('for another agent', work, BITS, { agent: filled(9) }),
      entry('for another network', work, BITS, { network: `${network.slice(0, -1)}x` }),
      entry('a byte too short', work.subarray(1)),
      entry('a byte too long', Uint8Array.of(...work, 0)),
      entry('none', new Uint8Array(0)),
    ],
  };
}
