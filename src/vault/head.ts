import { SaharaError } from '../base/errors.ts';
import { later, list, record, type Schema, u32, uint } from '../protocol/schema.ts';
import type { SegmentInfo } from './search/segment.ts';
import { ANALYSIS_VERSION } from './text/words.ts';

/** Version of the vault's layout on disk. */
const LAYOUT_VERSION = 3;

/** Most segments that a head names; the merge policy keeps their number far lower. */
const SEGMENTS_MAX = 65_536;

/** The vault's one record about itself; every batch that changes anything replaces it. */
export interface Head {
  readonly layout: number;
  readonly analysis: number;
  /** Rises with every change of content; merging segments is none. */
  readonly generation: number;
  readonly nextChunk: number;
  readonly nextSegment: number;
  readonly documents: number;
  readonly chunks: number;
  /** Index tokens of all live chunks. */
  readonly lengthTotal: number;
  /** In order of chunk numbers. */
  readonly segments: readonly SegmentInfo[];
  /** Segments with words of forgotten documents, which are still to be written anew, or are gone but not from the disk. */
  readonly erasing?: readonly number[] | undefined;
  /** How far the index is written anew by other rules. */
  readonly renewal?: Renewal | undefined;
}

/** An index that is being written beside the one that is there. */
interface Renewal {
  /** The rules that it is written by. */
  readonly analysis: number;
  /** The chunk number up to which it is written, excluded. */
  readonly next: number;
  readonly lengthTotal: number;
  readonly segments: readonly SegmentInfo[];
}

const segmentList = list(
  record('segment', { number: u32, first: u32, last: u32, chunks: u32 }),
  SEGMENTS_MAX,
);

/** The stored form of a head. */
export const headRecord: Schema<Head> = record('vault-head', {
  layout: uint(255),
  analysis: uint(255),
  generation: uint(),
  nextChunk: u32,
  nextSegment: u32,
  documents: uint(),
  chunks: uint(),
  lengthTotal: uint(),
  segments: segmentList,
  erasing: later(list(u32, SEGMENTS_MAX)),
  renewal: later(
    record('vault-renewal', { analysis: uint(255), next: u32, lengthTotal: uint(), segments: segmentList }),
  ),
});

/** Numbers of segments as a head lists them; absent where there are none. */
export function listed(segments: ReadonlySet<number>): readonly number[] | undefined {
  return segments.size === 0 ? undefined : [...segments].sort((a, b) => a - b);
}

/** The head of a new vault. */
export const EMPTY_HEAD: Head = {
  layout: LAYOUT_VERSION,
  analysis: ANALYSIS_VERSION,
  generation: 0,
  nextChunk: 0,
  nextSegment: 0,
  documents: 0,
  chunks: 0,
  lengthTotal: 0,
  segments: [],
};

/** Refuses a head that this version cannot serve: `store-corrupt` with what to do. An index of older rules is written anew. */
export function checkHead(head: Head): Head {
  if (head.layout === LAYOUT_VERSION && head.analysis <= ANALYSIS_VERSION) return head;
  const reason = `the vault was written as layout ${head.layout}, analysis ${head.analysis}`;
  const advice = 'open it with the version that wrote it, or import its documents into a new vault';
  throw new SaharaError('store-corrupt', { reason, advice });
}
