/** What proves something by itself: evidence bundles, certificates, cards and adverts, genesis. */

import { fromHex, toHex } from '../../../src/base/bytes.ts';
import { SaharaError } from '../../../src/base/errors.ts';
import { genesisFault } from '../../../src/ledger/genesis.ts';
import { createDirectoryState } from '../../../src/mesh/directory-state.ts';
import { audit, readAudit } from '../../../src/protocol/audit.ts';
import { genesis, networkOf } from '../../../src/protocol/block.ts';
import { bundle, readBundle } from '../../../src/protocol/bundle.ts';
import { advert } from '../../../src/protocol/card.ts';
import { certificateChain, verifyChain } from '../../../src/protocol/certificate.ts';
import { certifiedHeader, openCertified } from '../../../src/protocol/certified-header.ts';
import { envelope, openEnvelope } from '../../../src/protocol/envelope.ts';
import { AUDIT_BYTES_MAX, BUNDLE_BYTES_MAX } from '../../../src/protocol/limits.ts';
import { signed } from '../../../src/protocol/signing.ts';
import type { Suite } from '../../../src/protocol/suite.ts';
import { portableSuite } from '../../../src/protocol/suite-portable.ts';
import { verifyAudit } from '../../../src/protocol/verify-audit.ts';
import { verifyBundle } from '../../../src/protocol/verify-bundle.ts';
import * as sample from '../../protocol/sample.ts';
import { sampleBytes } from '../../protocol/samples.ts';
import { vectorBytes, vectorFile } from '../corpus.ts';
import { type Random, randomOf } from '../random.ts';
import { changedRecord } from '../records.ts';
import { checkWeight, decodeStrictly, holds, type TargetMaker } from '../target.ts';

interface Case {
  readonly network: string;
  readonly sequencer: string;
  readonly header: string;
}

const bytesOf = (hex: string): Uint8Array => fromHex(hex) ?? new Uint8Array(0);

/** Bends a bundle; half of the time what it holds is signed again, so that later checks are reached too. */
function bendBundle(seed: Uint8Array, random: Random, corpus: readonly Uint8Array[]): Uint8Array {
  const bent = changedRecord(seed, random, corpus);
  if (random.once(2)) return bent;
  try {
    return signedAgain(bent);
  } catch {
    return bent;
  }
}

function signedAgain(file: Uint8Array): Uint8Array {
  const said = readBundle(file);
  const { opening, ending, settlement } = said;
  const asked = envelope.decode(opening.envelope.payload);
  const bodyHash = sample.suite.sha256(opening.request);
  const { sign } = sample;
  return bundle.encode({
    ...said,
    card: sign(sample.agent, 'card', said.card.payload),
    opening: {
      ...opening,
      envelope: sign(sample.payer, 'call', envelope.encode({ ...asked, bodyHash })),
      voucher: opening.voucher && sign(sample.payer, 'voucher', opening.voucher.payload),
    },
    ending: {
      receipt: sign(sample.agent, 'receipt', ending.receipt.payload),
      charge: ending.charge && sign(sample.operator, 'charge', ending.charge.payload),
    },
    settlement: settlement && {
      ...settlement,
      header: sign(sample.sequencer, 'block-header', settlement.header.payload),
      transaction: sign(sample.operator, 'transaction', settlement.transaction.payload),
    },
  });
}

function takeBundle(input: Uint8Array): void {
  const verdict = verifyBundle(sample.suite, input);
  holds(verdict.ok === (verdict.summary !== undefined), 'a verdict without its summary');
  checkWeight(verdict, input.length);
  if (!verdict.ok && !randomOf(input).once(32)) throw new SaharaError('bundle-invalid');
  // The browser's verifier says the same of the same bytes.
  const portable = verifyBundle(portableSuite, input);
  const same = JSON.stringify(portable.steps) === JSON.stringify(verdict.steps);
  holds(same, `two verifiers disagree: ${JSON.stringify([verdict.steps.at(-1), portable.steps.at(-1)])}`);
}

/** Bends an audit file; half of the time its headers are signed again, so that later checks are reached too. */
function bendAudit(seed: Uint8Array, random: Random, corpus: readonly Uint8Array[]): Uint8Array {
  const bent = changedRecord(seed, random, corpus);
  if (random.once(2)) return bent;
  try {
    const said = readAudit(bent);
    const header = sample.sign(sample.sequencer, 'block-header', said.header.payload);
    return audit.encode({ ...said, header });
  } catch {
    return bent;
  }
}

function takeAudit(input: Uint8Array): void {
  const verdict = verifyAudit(sample.suite, input);
  holds(verdict.ok === (verdict.summary !== undefined), 'a verdict without its summary');
  checkWeight(verdict, input.length);
  if (!verdict.ok && !randomOf(input).once(32)) throw new SaharaError('bundle-invalid');
  const portable = verifyAudit(portableSuite, input);
  const same = JSON.stringify(portable.steps) === JSON.stringify(verdict.steps);
  holds(same, `two verifiers disagree: ${JSON.stringify([verdict.steps.at(-1), portable.steps.at(-1)])}`);
}

const addressed = { to: { kind: 'agent', name: sample.agent.publicKey }, bodyType: 'call' } as const;

// Sound messages are judged with the bodies that they name.
const bodies: ReadonlyMap<string, Uint8Array> = new Map(
  [sample.tell(sample.sampleStory()).opening.request, ...vectorBytes('envelope', ['body'])].map((body) => [
    toHex(sample.suite.sha256(body)),
    body,
  ]),
);

function takeEnvelope(input: Uint8Array): void {
  const message = decodeStrictly(signed, input);
  const body = bodies.get(toHex(envelope.decode(message.payload).bodyHash)) ?? new Uint8Array(0);
  const expected = { ...addressed, network: sample.network, nowMs: sample.NOW_MS };
  openEnvelope(sample.suite, message, body, expected);
}

function takeChain(input: Uint8Array): void {
  verifyChain(sample.suite, decodeStrictly(certificateChain, input), {
    network: sample.network,
    root: sample.operator.publicKey,
    subject: { kind: 'key', id: sample.agent.publicKey },
    nowMs: sample.NOW_MS,
  });
}

function takeAdvert(input: Uint8Array): void {
  const said = decodeStrictly(advert, input);
  const now = { wallMs: sample.NOW_MS, monotonicMs: 1_000 };
  const state = createDirectoryState({ network: sample.network });
  const verdict = state.judge(said, said.peerId, now);
  if (verdict !== 'accept') throw new SaharaError('malformed');
  state.put(said, now);
  state.find(said.name, now);
  checkWeight(state.agents(now), input.length);
}

function takeGenesis(input: Uint8Array): void {
  const said = decodeStrictly(genesis, input);
  const fault = genesisFault(said);
  networkOf(sample.suite, input);
  if (fault !== undefined) throw new SaharaError('config-invalid', { reason: fault });
}

const decided = (vectorFile('consensus') as { readonly valid: readonly Case[] }).valid.filter(({ network }) =>
  network.startsWith('made'),
);
const known = new Set(decided.map(({ header }) => toHex(certifiedHeader.decode(bytesOf(header)).payload)));
const root = { network: decided[0]?.network ?? '', sequencer: bytesOf(decided[0]?.sequencer ?? '') };

/** Votes may be left out, as long as enough are there; another header is certified by nobody. */
function takeCertified(input: Uint8Array): void {
  const message = decodeStrictly(certifiedHeader, input);
  const judge = (suite: Suite): string => {
    try {
      return JSON.stringify(openCertified(suite, root, message).decided?.height);
    } catch (error) {
      if (error instanceof SaharaError) return error.message;
      throw error;
    }
  };
  const said = judge(sample.suite);
  if (randomOf(input).once(8)) holds(judge(portableSuite) === said, 'two verifiers disagree');
  openCertified(sample.suite, root, message);
  holds(known.has(toHex(message.payload)), 'a header that no validator decided on');
}

const told = sample.tell(sample.sampleStory());
const adverts = sampleBytes()
  .filter(({ name }) => name === 'advert')
  .map(({ encoded }) => advert.decode(encoded))
  .map((said) => ({ ...said, addresses: said.addresses.map((address) => `${address}/p2p/${said.peerId}`) }));

interface Plain {
  readonly name: string;
  readonly corpus: readonly Uint8Array[];
  readonly take: (input: Uint8Array) => void;
}

const PLAIN: readonly Plain[] = [
  {
    name: 'envelope',
    corpus: [signed.encode(told.opening.envelope), ...vectorBytes('envelope', ['message'])],
    take: takeEnvelope,
  },
  {
    name: 'certificates',
    corpus: [sample.sampleCard.operatorCertificate, ...vectorBytes('certificate', ['chain'])],
    take: takeChain,
  },
  { name: 'advert', corpus: adverts.map((said) => advert.encode(said)), take: takeAdvert },
  { name: 'genesis', corpus: [sample.genesisBytes], take: takeGenesis },
  { name: 'decided', corpus: vectorBytes('consensus', ['header']), take: takeCertified },
];

/** Evidence. */
export const EVIDENCE_TARGETS: readonly TargetMaker[] = [
  {
    name: 'bundle',
    create: () => ({
      name: 'bundle',
      sizeBytesMax: BUNDLE_BYTES_MAX + 1,
      corpus: [sample.fileOf(sample.sampleStory()), ...vectorBytes('bundle', ['hex'])],
      bend: bendBundle,
      take: takeBundle,
    }),
  },
  {
    name: 'audit',
    create: () => ({
      name: 'audit',
      sizeBytesMax: AUDIT_BYTES_MAX + 1,
      corpus: vectorBytes('audit', ['hex']),
      bend: bendAudit,
      take: takeAudit,
    }),
  },
  ...PLAIN.map(({ name, corpus, take }) => ({
    name,
    create: () => ({
      name,
      sizeBytesMax: 262_144,
      corpus,
      bend: (seed: Uint8Array, random: Random) => changedRecord(seed, random, corpus),
      take,
    }),
  })),
];
