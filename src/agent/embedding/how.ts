/** How passages were found for an answer, where it was not by words among all that a vault holds (KNOW-178). */
import { bool, bytes, optional, record, type Schema, text, u32 } from '../../protocol/schema.ts';

/** A model that helped to find passages. */
export interface SearchModel {
  /** Its name where it is, at most 128 bytes. */
  readonly name: string;
  /** What its results depend on, 32 bytes. */
  readonly digest: Uint8Array;
}

/** How passages were found. */
export interface SearchHow {
  /** Only part of a vault was there for who asked. */
  readonly restricted: boolean;
  /** What made vectors, if they were used. */
  readonly embedder: SearchModel | undefined;
  /** What had the last word, if it had. */
  readonly reranker: SearchModel | undefined;
  /** Part of the ranking by vectors, millionths; 0 without. */
  readonly weight: number;
  /** Every passage had its vector. */
  readonly whole: boolean;
}

const searchModel = record('search-model', { name: text(128), digest: bytes(32) });

/** Its form in the statement of an answer. */
export const searchHow: Schema<SearchHow> = record('search-how', {
  restricted: bool,
  embedder: optional(searchModel),
  reranker: optional(searchModel),
  weight: u32,
  whole: bool,
});
