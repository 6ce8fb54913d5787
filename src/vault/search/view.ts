/**
 * What one asker sees of a corpus: how long each visible chunk is, how many there are and how long all are together.
 * A search under a view counts, weighs and corrects by what is visible and by nothing else, so that what is hidden can
 * change neither what is found nor any number that is told of it.
 */
import type { DocumentRecord } from '../document.ts';
import type { CorpusStats } from './score.ts';
import type { Corpus } from './search.ts';

/** Whether the passages of a document may be seen. */
export type Visibility = (document: DocumentRecord) => boolean | Promise<boolean>;

/** What may be seen of several corpora: the same of all, or something of each in their order; `undefined` is all. */
export type Visible = Visibility | readonly (Visibility | undefined)[] | undefined;

/** A corpus as one asker sees it. */
export interface CorpusView {
  readonly stats: CorpusStats;
  /** Length plus one of each visible chunk by its number, zero where none is. */
  readonly lengths: Uint16Array;
  /** Nothing is hidden: counts of the dictionary hold. */
  readonly whole: boolean;
}

interface KeptView {
  readonly generation: number;
  readonly view: CorpusView;
}

/** Attempts to see a corpus that does not change meanwhile. */
const ATTEMPTS = 4;
const kept = new WeakMap<Visibility, WeakMap<Corpus, KeptView>>();

/** The views of several corpora. */
export function viewsOf(corpora: readonly Corpus[], visible: Visible): Promise<readonly CorpusView[]> {
  return Promise.all(
    corpora.map((corpus, i) => viewOf(corpus, typeof visible === 'function' ? visible : visible?.[i])),
  );
}

/** The view that `visible` gives; made once for as long as the same function asks and the corpus stays as it is. */
export async function viewOf(corpus: Corpus, visible: Visibility | undefined): Promise<CorpusView> {
  if (visible === undefined) return { stats: corpus.stats(), lengths: corpus.index.lengths, whole: true };
  const views = kept.get(visible) ?? new WeakMap<Corpus, KeptView>();
  kept.set(visible, views);
  for (let attempt = 1; ; attempt++) {
    const { generation } = corpus.stats();
    const known = views.get(corpus);
    if (known?.generation === generation) return known.view;
    const view = await makeView(corpus, visible);
    if (corpus.stats().generation !== generation && attempt < ATTEMPTS) continue;
    views.set(corpus, { generation, view });
    return view;
  }
}

async function makeView(corpus: Corpus, visible: Visibility): Promise<CorpusView> {
  const all = corpus.index.lengths;
  const lengths = new Uint16Array(all.length);
  let chunks = 0;
  let lengthTotal = 0;
  for await (const document of corpus.documents()) {
    if (!(await visible(document))) continue;
    for (let at = document.firstChunk; at < document.firstChunk + document.chunks; at++) {
      const length = all[at] ?? 0;
      if (length === 0) continue;
      lengths[at] = length;
      lengthTotal += length - 1;
      chunks++;
    }
  }
  return { stats: { chunks, lengthTotal }, lengths, whole: false };
}

/** How many chunks of a list of postings a view shows. */
export function countVisible(view: CorpusView, chunks: Uint32Array): number {
  let count = 0;
  for (let i = 0; i < chunks.length; i++) if ((view.lengths[chunks[i] ?? 0] ?? 0) > 0) count++;
  return count;
}
