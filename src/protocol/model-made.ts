/** What a model on a host's own machine is made of, so that who has the same files can repeat what it said. */
import { concat, utf8 } from '../base/bytes.ts';
import type { Hash } from './ids.ts';
import { bool, bytes, int, list, record, type Schema, text } from './schema.ts';
import type { Suite } from './suite.ts';

/** An adapter on a model, and how much of it. */
export interface AdapterMade {
  /** SHA-256 of its file. */
  readonly digest: Hash;
  /** Millionths, from -8,000,000 to 8,000,000. */
  readonly scale: number;
}

/** What a model is made of, and where it computes. */
export interface ModelMade {
  /** SHA-256 of the model's file. */
  readonly base: Hash;
  /** In the order in which they were put on. */
  readonly adapters: readonly AdapterMade[];
  /** Its determinism class: where the same stands here, the same manifest, question and seed give the same answer. */
  readonly runtime: string;
  /** Whether its words carry a mark of the agent; a marked answer is repeated only by who has the key. */
  readonly marked: boolean;
}

/** Greatest scale of an adapter, either way, millionths. */
const SCALE_MAX = 8_000_000;

/** The wire form of what a model is made of. */
export const modelMade: Schema<ModelMade> = record('model-made', {
  base: bytes(32),
  adapters: list(record('adapter-made', { digest: bytes(32), scale: int(-SCALE_MAX, SCALE_MAX) }), 8),
  runtime: text(256),
  marked: bool,
});

const DOMAIN = utf8('sahara/1/model-made');

/** The digest of a model that is made like that. */
export function modelMadeDigest(suite: Pick<Suite, 'sha256'>, made: ModelMade): Hash {
  return suite.sha256(concat(Uint8Array.of(DOMAIN.length), DOMAIN, modelMade.encode(made)));
}
