/** What else may judge how near a passage is to a question: models, behind two ports. */

/** Makes vectors of texts. */
export interface Embedder {
  /** SHA-256 of what the vectors depend on (model, pooling, endpoint); vectors of two digests are never compared. */
  readonly digest: Uint8Array;
  /** One vector for each text, all of one length, in order. Errors are the model's own. */
  embed(
    texts: readonly string[],
    options: { readonly signal: AbortSignal },
  ): Promise<readonly Float32Array[]>;
}

/** Orders a few passages by how well they answer. */
export interface Reranker {
  /** One score for each passage, in order; higher is better. */
  rank(
    question: string,
    passages: readonly string[],
    options: { readonly signal: AbortSignal },
  ): Promise<readonly number[]>;
}
