/**
 * Who may have passages of which documents in answers. A label stands on a document's name, on a folder of names, or on
 * the whole vault; the nearest one counts, and a document under several names is shown only to those whom each of its
 * names shows it to. Without a label everybody may. KNOW-174 to KNOW-176 are normative.
 */
import { equalBytes, utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { bool, bytes, list, optional, record, type Schema, text, uint } from '../protocol/schema.ts';
import type { Books } from './books.ts';
import { sha256 } from './hash.ts';
import { LABEL_READERS_MAX, LABELS_MAX, NAME_BYTES_MAX } from './limits.ts';

/** The place of a label that stands on the whole vault. */
export const WHOLE_VAULT = '/';

/** Who reads what is under it. Whoever one of these says may, may; with none of them nobody. */
export interface Label {
  /** A document's name; a folder of names, which ends with a slash; or `/`, the whole vault. */
  readonly place: string;
  /** Whoever holds a grant of the vault for answers, of what it opens and as long as it counts. */
  readonly granted: boolean;
  /** DIDs' keys, 32 bytes each. */
  readonly readers: readonly Uint8Array[];
  /** Assets, 32 bytes each: whoever holds a licence to one. */
  readonly licences: readonly Uint8Array[];
  /** When all of that ends; absent: never. */
  readonly untilMs: number | undefined;
}

const labelRecord: Schema<Label> = record('vault-label', {
  place: text(NAME_BYTES_MAX),
  granted: bool,
  readers: list(bytes(32), LABEL_READERS_MAX),
  licences: list(bytes(32), LABEL_READERS_MAX),
  untilMs: optional(uint()),
});

/** The labels of one vault. Changes are made one after the other. */
export class LabelBook {
  readonly #books: Books;
  readonly #labels: Map<string, Label>;
  #version = 0;

  private constructor(books: Books, labels: Map<string, Label>) {
    this.#books = books;
    this.#labels = labels;
  }

  /** Reads them. Throws `store-corrupt`. */
  static async open(books: Books): Promise<LabelBook> {
    const labels = new Map<string, Label>();
    for await (const [, value] of books.entries('l')) {
      const label = labelRecord.decode(value);
      labels.set(label.place, label);
    }
    return new LabelBook(books, labels);
  }

  /** Rises with every change. */
  get version(): number {
    return this.#version;
  }

  /** All, in order of their places. */
  list(): readonly Label[] {
    return [...this.#labels.values()].sort((a, b) => (a.place < b.place ? -1 : 1));
  }

  /** Puts a label in place of what stood there; on disk when it resolves. Throws `usage`, `home-full`. */
  async put(label: Label): Promise<void> {
    const { place } = label;
    if (place === '' || utf8(place).length > NAME_BYTES_MAX) {
      throw new SaharaError('usage', { reason: `A label stands on a name of 1 to ${NAME_BYTES_MAX} bytes` });
    }
    if (label.readers.length > LABEL_READERS_MAX || label.licences.length > LABEL_READERS_MAX) {
      throw new SaharaError('home-full', { what: 'readers of a label', limit: LABEL_READERS_MAX });
    }
    if (!this.#labels.has(place) && this.#labels.size >= LABELS_MAX) {
      throw new SaharaError('home-full', { what: 'labels of a vault', limit: LABELS_MAX });
    }
    await this.#write(place, labelRecord.encode(label));
    this.#labels.set(place, label);
    this.#version++;
  }

  /** Takes the label of a place away; false when there is none. */
  async drop(place: string): Promise<boolean> {
    if (!this.#labels.has(place)) return false;
    await this.#write(place, undefined);
    this.#labels.delete(place);
    this.#version++;
    return true;
  }

  /** The label that counts for a name. */
  of(name: string): Label | undefined {
    for (const place of placesOf(name)) {
      const label = this.#labels.get(place);
      if (label !== undefined) return label;
    }
    return undefined;
  }

  #write(place: string, value: Uint8Array | undefined): Promise<void> {
    // Names of books' records stand in keys as they are.
    return this.#books.write([{ book: 'l', name: sha256(utf8(place)), value }], { sync: true });
  }
}

/** Where a label for a name may stand, the nearest first. */
function* placesOf(name: string): Generator<string> {
  yield name;
  for (let at = name.lastIndexOf('/'); at > 0; at = name.lastIndexOf('/', at - 1))
    yield name.slice(0, at + 1);
  yield WHOLE_VAULT;
}

/** Who asks, as far as labels go. */
export interface LabelReader {
  readonly key: Uint8Array;
  readonly nowMs: number;
  /** The newest epoch that a grant for answers, which counts now, opens to them; `undefined` without one. */
  readonly grantedEpoch: number | undefined;
  /** Whether they hold a licence to an asset. */
  licensed(asset: Uint8Array): boolean;
}

/** What a label lets somebody have: all, nothing, or what came up to an epoch. */
export type LabelRight = 'all' | 'none' | { readonly epoch: number };

/** What `label` lets `reader` have. */
export function rightOf(label: Label, reader: LabelReader): LabelRight {
  if (label.untilMs !== undefined && label.untilMs <= reader.nowMs) return 'none';
  if (label.readers.some((key) => equalBytes(key, reader.key))) return 'all';
  if (label.licences.some((asset) => reader.licensed(asset))) return 'all';
  return label.granted && reader.grantedEpoch !== undefined ? { epoch: reader.grantedEpoch } : 'none';
}
