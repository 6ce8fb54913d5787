/** What an agent says about itself: the full card, pulled by its hash, and the short advert that is gossiped. */
import type { Hash, PublicKey } from './ids.ts';
import { NETWORK_NAME_BYTES_MAX } from './limits.ts';
import { type ModelMade, modelMade } from './model-made.ts';
import {
  bytes,
  bytesUpTo,
  grains,
  later,
  list,
  oneOf,
  optional,
  record,
  type Schema,
  text,
  u32,
  uint,
} from './schema.ts';

/** What a call costs, in grains. */
export interface PriceSchedule {
  readonly perCall: bigint;
  /** For each unit of the question and its context. */
  readonly perInputUnit: bigint;
  /** For each unit of the answer. */
  readonly perOutputUnit: bigint;
}

/** The wire form of a price schedule. */
export const priceSchedule: Schema<PriceSchedule> = record('price-schedule', {
  perCall: grains,
  perInputUnit: grains,
  perOutputUnit: grains,
});

/** One thing an agent does. */
export interface Skill {
  readonly name: string;
  readonly description: string;
  readonly examples: readonly string[];
}

/** How far a repeated call gives the same answer: to the byte; inside a determinism class with a seed; not at all. */
export type Determinism = 'exact' | 'seeded' | 'none';

/** What stands behind the answers. */
export interface ModelInfo {
  readonly name: string;
  readonly digest: Hash;
  readonly determinism: Determinism;
  /** Of a model on the host's own machine: what it is made of. The digest is over this. */
  readonly made?: ModelMade | undefined;
}

/** The full description of an agent, signed by the agent's key under the type `card`. */
export interface Card {
  readonly version: number;
  readonly network: string;
  readonly agent: PublicKey;
  /** Whom a caller pays. */
  readonly operator: PublicKey;
  readonly name: string;
  readonly description: string;
  readonly languages: readonly string[];
  readonly skills: readonly Skill[];
  readonly price: PriceSchedule;
  /** Calls that are free for each caller in each window. */
  readonly free: { readonly calls: number; readonly windowSeconds: number };
  readonly limits: {
    readonly questionBytes: number;
    readonly outputUnits: number;
    readonly deadlineMs: number;
    readonly concurrency: number;
  };
  readonly licence: string;
  readonly manifestHash: Hash;
  readonly model: ModelInfo;
  /** The agent's asset on the ledger, which earns the operator's part and every remainder. */
  readonly asset: Hash;
  readonly issuedAtMs: number;
  /** The operator's certificate for the agent's key: a chain in its wire form. */
  readonly operatorCertificate: Uint8Array;
}

/** The wire form of a card. */
export const card: Schema<Card> = record('card', {
  version: uint(255),
  network: text(NETWORK_NAME_BYTES_MAX),
  agent: bytes(32),
  operator: bytes(32),
  name: text(64),
  description: text(1024),
  languages: list(text(16), 32),
  skills: list(record('skill', { name: text(64), description: text(512), examples: list(text(512), 8) }), 16),
  price: priceSchedule,
  free: record('free-quota', { calls: u32, windowSeconds: u32 }),
  limits: record('agent-limits', { questionBytes: u32, outputUnits: u32, deadlineMs: u32, concurrency: u32 }),
  licence: text(128),
  manifestHash: bytes(32),
  model: record('model', {
    name: text(128),
    digest: bytes(32),
    determinism: oneOf('exact', 'seeded', 'none'),
    made: later(modelMade),
  }),
  asset: bytes(32),
  issuedAtMs: uint(),
  operatorCertificate: bytesUpTo(8192),
});

/** A heartbeat of a live agent, signed by the agent's key under the type `advert`. */
export interface Advert {
  readonly version: number;
  readonly network: string;
  readonly agent: PublicKey;
  readonly operator: PublicKey;
  readonly name: string;
  readonly skills: readonly string[];
  /** SHA-256 of the signed card in its wire form. */
  readonly cardHash: Hash;
  /** Price of a call without its units, grains. */
  readonly perCall: bigint;
  /** Calls waiting or running. */
  readonly queue: number;
  /** Median time to the end of recent answers, milliseconds; absent before the first. */
  readonly latencyMs: number | undefined;
  readonly modelDigest: Hash;
  /** The libp2p peer that hosts it, and where it can be dialled. */
  readonly peerId: string;
  readonly addresses: readonly string[];
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/** The wire form of an advert. */
export const advert: Schema<Advert> = record('advert', {
  version: uint(255),
  network: text(NETWORK_NAME_BYTES_MAX),
  agent: bytes(32),
  operator: bytes(32),
  name: text(64),
  skills: list(text(64), 8),
  cardHash: bytes(32),
  perCall: grains,
  queue: u32,
  latencyMs: optional(u32),
  modelDigest: bytes(32),
  peerId: text(64),
  addresses: list(text(160), 4),
  issuedAtMs: uint(),
  expiresAtMs: uint(),
});
