/**
 * The agents of one peer: their keys, their signed cards and what answers for them. A card carries the operator's
 * certificate for the agent's key, so whoever reads it knows whom it pays. A changed agent gets a new card; its last
 * few cards stay good, because callers hold them for a while.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { invariant, SaharaError } from '../base/errors.ts';
import { type Card, card as cardSchema, type ModelInfo } from '../protocol/card.ts';
import {
  type Certificate,
  type CertificateSubject,
  certificate,
  certificateChain,
  standingSerial,
} from '../protocol/certificate.ts';
import { didOf, type Hash, type PublicKey } from '../protocol/ids.ts';
import { CARD_BYTES_MAX } from '../protocol/limits.ts';
import {
  createTickSigner,
  type Signed,
  signed as signedSchema,
  type TickSigner,
} from '../protocol/signing.ts';
import type { Signer, Suite } from '../protocol/suite.ts';
import type { HostedAgent, HostedAgents } from './admission.ts';
import { CARDS_SERVED_MAX } from './call-limits.ts';
import { type Manifest, manifestHash } from './manifest.ts';
import { checkPolicy, type Licensed } from './policy.ts';
import type { Answerer } from './ports.ts';

/** Parts of hosting. */
export interface HostingParts {
  readonly suite: Suite;
  readonly clock: Clock;
  readonly network: string;
  /** The operator's key: signs the certificates of agents. */
  readonly operator: TickSigner;
  /** Who may use which asset. Default: nobody, so that agents for licensed callers answer no one. */
  readonly licensed?: Licensed | undefined;
}

/** Options of hosting. */
export interface HostingOptions {
  /** Life of an agent's certificate, milliseconds; it is renewed with each card. Default 30 days. */
  readonly certificateMs: number;
}

/** Values for every option. */
export const HOSTING_DEFAULTS: HostingOptions = { certificateMs: 2_592_000_000 };

/** What an agent is made of. */
export interface AgentParts {
  readonly manifest: Manifest;
  /** The agent's own key. */
  readonly signer: Signer;
  /** The agent's asset on the ledger. */
  readonly asset: Hash;
  readonly model: ModelInfo;
  readonly answerer: Answerer;
}

/** An agent that is served. */
export interface PublishedAgent extends HostedAgent {
  readonly manifest: Manifest;
  readonly signedCard: Signed;
  /** The signed card in its wire form, for adverts and for who pulls it. */
  readonly cardBytes: Uint8Array;
}

/** The agents of this peer. */
export interface Hosting extends HostedAgents {
  /** Serves an agent, or a new version of one. Throws `manifest-invalid` when its card would be too large. */
  publish(agent: AgentParts): Promise<PublishedAgent>;
  /** Serves an agent no longer; calls under way end as they would. False when it was not served. */
  withdraw(agent: PublicKey): boolean;
  /** The agent with this key. */
  find(agent: PublicKey): PublishedAgent | undefined;
  /** The agent of that name. */
  named(name: string): PublishedAgent | undefined;
  list(): readonly PublishedAgent[];
  /** A served card in its wire form, by its hash. */
  cardBytes(hash: Hash): Uint8Array | undefined;
}

/** The capability that an operator gives an agent's key. */
export function serveCapability(agent: PublicKey): string {
  return `serve:agent/${didOf(agent)}`;
}

/** Hosting without agents. */
export function createHosting(parts: HostingParts, options: Partial<HostingOptions> = {}): Hosting {
  const { certificateMs } = { ...HOSTING_DEFAULTS, ...options };
  // Newest card first.
  const agents = new Map<string, readonly PublishedAgent[]>();
  const newest = (agent: PublicKey): PublishedAgent | undefined => agents.get(toHex(agent))?.[0];
  const all = (): readonly PublishedAgent[] => [...agents.values()].flat();
  return {
    async publish(agent) {
      const key = agent.signer.publicKey;
      const other = [...agents.values()].find(([served]) => served?.card.name === agent.manifest.name)?.[0];
      if (other && !equalBytes(other.card.agent, key)) {
        throw new SaharaError('agent-exists', { name: agent.manifest.name });
      }
      const published = await publishedAgent(parts, agent, certificateMs);
      const earlier = agents.get(toHex(key)) ?? [];
      agents.set(toHex(key), [published, ...earlier].slice(0, CARDS_SERVED_MAX));
      return published;
    },
    withdraw: (agent) => agents.delete(toHex(agent)),
    find: newest,
    underCard: (agent, cardHash) =>
      agents.get(toHex(agent))?.find((served) => equalBytes(served.cardHash, cardHash)),
    named: (name) => all().find((served) => served.card.name === name),
    list: () => [...agents.values()].flatMap(([served]) => served ?? []),
    cardBytes: (hash) => all().find((served) => equalBytes(served.cardHash, hash))?.cardBytes,
  };
}

async function publishedAgent(
  parts: HostingParts,
  agent: AgentParts,
  certificateMs: number,
): Promise<PublishedAgent> {
  const { suite, network } = parts;
  const signer = createTickSigner({ suite, signer: agent.signer, network });
  const card = cardOf(parts, agent, await certificateOf(parts, signer.publicKey, certificateMs));
  const signedCard = await signer.sign('card', cardSchema.encode(card));
  const cardBytes = signedSchema.encode(signedCard);
  if (cardBytes.length > CARD_BYTES_MAX) {
    const facts = { field: 'card', sizeBytes: cardBytes.length, limitBytes: CARD_BYTES_MAX };
    throw new SaharaError('manifest-invalid', facts);
  }
  return {
    card,
    cardHash: suite.sha256(cardBytes),
    signer,
    answerer: agent.answerer,
    manifest: agent.manifest,
    signedCard,
    cardBytes,
    policy: (caller, { question }) => refusalOf(agent.manifest, { caller, question }, parts.licensed),
  };
}

function refusalOf(
  manifest: Manifest,
  call: { readonly caller: PublicKey; readonly question: string },
  licensed: Licensed | undefined,
): SaharaError | undefined {
  try {
    checkPolicy(manifest, call, licensed);
    return undefined;
  } catch (error) {
    if (error instanceof SaharaError) return error;
    throw error;
  }
}

async function certificateOf(
  parts: HostingParts,
  agent: PublicKey,
  certificateMs: number,
): Promise<Uint8Array> {
  const { suite, network, clock, operator } = parts;
  const nowMs = clock.nowMs();
  const subject: CertificateSubject = { kind: 'key', id: agent };
  const statement: Certificate = {
    version: 1,
    network,
    issuer: operator.publicKey,
    subject,
    roles: ['agent'],
    capabilities: [serveCapability(agent)],
    notBeforeMs: nowMs,
    notAfterMs: nowMs + certificateMs,
    serial: standingSerial(suite, network, operator.publicKey, subject),
  };
  return certificateChain.encode([await operator.sign('certificate', certificate.encode(statement))]);
}

function cardOf(parts: HostingParts, agent: AgentParts, operatorCertificate: Uint8Array): Card {
  const { manifest } = agent;
  const { limits } = manifest;
  invariant(agent.asset.length === 32, 'an asset id has 32 bytes');
  return {
    version: 1,
    network: parts.network,
    agent: agent.signer.publicKey,
    operator: parts.operator.publicKey,
    name: manifest.name,
    description: manifest.description,
    languages: manifest.languages,
    skills: manifest.skills,
    price: manifest.price,
    free: manifest.free,
    limits: {
      questionBytes: limits.questionBytes,
      outputUnits: limits.outputUnits,
      deadlineMs: limits.deadlineSeconds * 1000,
      concurrency: limits.concurrency,
    },
    licence: manifest.licence,
    manifestHash: manifestHash(manifest),
    model: agent.model,
    asset: agent.asset,
    issuedAtMs: parts.clock.nowMs(),
    operatorCertificate,
  };
}
