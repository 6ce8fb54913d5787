/** What a ledger needs of a network: to hear and tell of transactions and blocks, and to ask for blocks it missed. */
import { type CertifiedHeader, certifiedHeader } from '../protocol/certified-header.ts';
import { bytesUpTo, record, type Schema, union } from '../protocol/schema.ts';
import type { LightAnswers } from './light/answers.ts';
import { GOSSIP_BODY_BYTES_MAX } from './limits.ts';
import type { SnapshotMaking } from './snapshot-transfer.ts';

/** What a neighbour's message deserves: pass on, drop without blame, or drop with blame. */
export type Verdict = 'accept' | 'ignore' | 'reject';

/** News of a block: its certified header, and the whole block when it was small enough to travel along. */
export interface BlockNews {
  readonly header: CertifiedHeader;
  readonly block: Uint8Array | undefined;
}

/** A ledger's network. Publishing never fails: what is lost is caught up by asking. */
export interface LedgerNetwork {
  /** Hands a signed transaction, in its wire form, towards the sequencer. */
  publishTransaction(transaction: Uint8Array): void;
  /** Tells that a block, in its wire form, was written. */
  publishBlock(block: Uint8Array): void;
  /** Tells of a block by its header alone, where that is small enough to be gossiped with what certifies it. */
  announce?(header: CertifiedHeader): void;
  /**
   * Consecutive blocks from a height upwards, from some peer that has them; none when nobody answers with any.
   * What comes is not verified. Asking again asks another peer first.
   */
  fetchBlocks(fromHeight: number, options: { readonly signal: AbortSignal }): Promise<readonly Uint8Array[]>;
  /** Takes transactions that peers publish. Returns how to stop it. */
  onTransaction(take: (transaction: Uint8Array) => Promise<Verdict>): () => void;
  /** Takes news of blocks. */
  onBlock(take: (news: BlockNews) => Promise<Verdict>): () => void;
  /** Tells when there is somebody new to ask. */
  onPeer(tell: () => void): () => void;
  /** Answers light clients. */
  serveLight(answers: LightAnswers): () => void;
  /** Serves snapshots of the state, where there is room to keep one. */
  serveSnapshots?(making: SnapshotMaking): () => void;
  /** Answers peers that ask for blocks. */
  serveBlocks(answer: (fromHeight: number) => Promise<readonly Uint8Array[]>): () => void;
}

/** News of a block on the wire. Numbers that are not here are reserved. */
export type BlockMessage =
  | { readonly type: 'block'; readonly block: Uint8Array }
  | { readonly type: 'announcement'; readonly header: CertifiedHeader };

/** The wire form of news: a small block whole, a larger one as its header. */
export const blockMessage: Schema<BlockMessage> = union('block-message', {
  block: [1, record('block-whole', { block: bytesUpTo(GOSSIP_BODY_BYTES_MAX) })],
  announcement: [2, record('block-announcement', { header: certifiedHeader })],
});
