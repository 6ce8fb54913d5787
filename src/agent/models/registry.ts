/** What a home has written down of its models: names, and downloads that have not ended. */
import { toHex, utf8 } from '../../base/bytes.ts';
import { prefixed, type Store } from '../../base/store.ts';
import { sha256 } from '../../vault/hash.ts';
import { type ModelEntry, modelEntry, type PartEntry, partEntry } from './model.ts';

/** Names of models and what is known of downloads. Every change is on disk when it resolves. */
export class ModelRegistry {
  readonly #names: Store;
  readonly #parts: Store;

  constructor(store: Store) {
    this.#names = prefixed(store, utf8('name/'));
    this.#parts = prefixed(store, utf8('part/'));
  }

  /** In the order of their names. */
  async models(): Promise<readonly ModelEntry[]> {
    const found: ModelEntry[] = [];
    for await (const [, value] of this.#names.entries()) found.push(modelEntry.decode(value));
    return found;
  }

  async put(entry: ModelEntry): Promise<void> {
    const value = modelEntry.encode(entry);
    await this.#names.batch([{ type: 'put', key: utf8(entry.name), value }], { sync: true });
  }

  async forget(name: string): Promise<void> {
    await this.#names.batch([{ type: 'del', key: utf8(name) }], { sync: true });
  }

  async parts(): Promise<readonly PartEntry[]> {
    const found: PartEntry[] = [];
    for await (const [, value] of this.#parts.entries()) found.push(partEntry.decode(value));
    return found;
  }

  async putPart(entry: PartEntry): Promise<void> {
    const value = partEntry.encode(entry);
    await this.#parts.batch([{ type: 'put', key: utf8(partName(entry.url)), value }], { sync: true });
  }

  async forgetPart(url: string): Promise<void> {
    await this.#parts.batch([{ type: 'del', key: utf8(partName(url)) }], { sync: true });
  }
}

/** The name of the file in which a download is gathered. */
export function partName(url: string): string {
  return toHex(sha256(utf8(url)).subarray(0, 16));
}
