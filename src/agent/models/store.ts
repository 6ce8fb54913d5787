/**
 * The models of a home. Files are named by their content, and a name is given to one only when the whole of it has been
 * looked through: what a kill leaves behind is a part to go on with or a file without a name, which the next start
 * removes.
 */
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { equalBytes, toHex } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import { nearestNames } from '../../base/nearest.ts';
import type { Store } from '../../base/store.ts';
import { copyModel, syncFolder } from './copy.ts';
import { demandSpace, download, type ModelEvent } from './download.ts';
import { plainUrl } from './http.ts';
import { findOnHub } from './hub.ts';
import { DOWNLOAD_IDLE_MS, MODEL_BYTES_MAX, MODELS_MAX, PARTS_MAX } from './limits.ts';
import {
  checkedModelName,
  type ModelCheck,
  type ModelEntry,
  modelNameOf,
  type PartEntry,
  type StoredModel,
} from './model.ts';
import { parseReference } from './reference.ts';
import { ModelRegistry, partName } from './registry.ts';

/** Parts of a store of models. */
export interface ModelStoreParts {
  readonly clock: Clock;
  /** Names and what is known of them. */
  readonly store: Store;
  /** Looks through a file before it gets a name. */
  readonly check: ModelCheck;
}

/** How a store of models works. */
export interface ModelStoreOptions {
  /** Where the files are. */
  readonly folder: string;
  /** Base address of the hub that `hub:` means. */
  readonly hub: string;
  /** What the hub knows this home by. Default none. */
  readonly hubToken?: string | undefined;
  /** Longest wait for an answer's head or its next bytes, milliseconds. Default 30,000. */
  readonly idleMs?: number;
  /** Free bytes under a folder. Default: what the file system says. */
  readonly freeBytes?: (folder: string) => Promise<number>;
}

/** How somebody waits for a model. */
export interface ComingOptions {
  /** Default: what the file's name suggests. */
  readonly name?: string | undefined;
  readonly signal: AbortSignal;
  readonly tell: (event: ModelEvent) => void;
}

/** A model with its file. */
export interface OpenModel extends StoredModel {
  readonly path: string;
}

/** A download that has not ended. */
export interface UnfinishedModel {
  readonly name: string;
  readonly source: string;
  readonly bytes: number;
  readonly totalBytes: number | undefined;
}

/** The models of one home. */
export interface ModelStore {
  /** In the order of their names. */
  list(): Promise<readonly StoredModel[]>;
  unfinished(): Promise<readonly UnfinishedModel[]>;
  /** Takes a copy of a file. Errors: `file-missing`, `model-invalid`, `model-exists`, `home-full`, `disk-full`, `usage`, `cancelled`. */
  add(path: string, options: ComingOptions): Promise<StoredModel>;
  /** Downloads one; the same again goes on where it stopped. Errors: those of `add`, `download-failed`. */
  pull(
    reference: string,
    options: ComingOptions & { readonly sha256?: Uint8Array | undefined },
  ): Promise<StoredModel>;
  /** The model of a name, or of the first characters of a digest, and its file as it was looked through. Errors: `model-unknown`, `model-invalid`. */
  open(name: string, options: { readonly signal: AbortSignal }): Promise<OpenModel>;
  /** Forgets a model, or a download that has not ended. Its file goes with its last name. Errors: `model-unknown`. */
  remove(name: string): Promise<void>;
}

/** Opens the store under `options.folder` and removes what a kill has left there. */
export async function openModelStore(
  parts: ModelStoreParts,
  options: ModelStoreOptions,
): Promise<ModelStore> {
  const store = new HomeModels(parts, options);
  await store.tidy();
  return store;
}

class HomeModels implements ModelStore {
  readonly #parts: ModelStoreParts;
  readonly #options: ModelStoreOptions;
  readonly #registry: ModelRegistry;
  /** Names that are being added. */
  readonly #coming = new Set<string>();

  constructor(parts: ModelStoreParts, options: ModelStoreOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#registry = new ModelRegistry(parts.store);
  }

  async tidy(): Promise<void> {
    const { folder } = this.#options;
    await mkdir(this.#partsFolder, { recursive: true, mode: 0o700 });
    const known = new Set((await this.#registry.models()).map(({ digest }) => fileName(digest)));
    const parts = new Set((await this.#registry.parts()).map(({ url }) => partName(url)));
    for (const file of await readdir(folder)) {
      if (file.endsWith('.gguf') && !known.has(file)) await rm(join(folder, file), { force: true });
    }
    for (const file of await readdir(this.#partsFolder)) {
      if (!parts.has(file)) await rm(join(this.#partsFolder, file), { recursive: true, force: true });
    }
  }

  async list(): Promise<readonly StoredModel[]> {
    return this.#registry.models();
  }

  async unfinished(): Promise<readonly UnfinishedModel[]> {
    const rows: UnfinishedModel[] = [];
    for (const { name, url, totalBytes } of await this.#registry.parts()) {
      const found = await stat(join(this.#partsFolder, partName(url))).catch(() => undefined);
      rows.push({ name, source: plainUrl(url), bytes: found?.size ?? 0, totalBytes });
    }
    return rows;
  }

  async add(path: string, { name: asked, signal, tell }: ComingOptions): Promise<StoredModel> {
    const name = checkedModelName(asked ?? modelNameOf(path));
    return this.#alone(name, async () => {
      const found = await stat(path).catch((error: unknown) => {
        throw new SaharaError('file-missing', { path }, { cause: error });
      });
      if (!found.isFile()) throw new SaharaError('model-invalid', { path, reason: 'It is not a file' });
      if (found.size > MODEL_BYTES_MAX) {
        const reason = `It has ${found.size} bytes, at most ${MODEL_BYTES_MAX} are taken`;
        throw new SaharaError('model-invalid', { path, reason });
      }
      await this.#demandRoom(name);
      await demandSpace(found.size, this.#options);
      const part = join(this.#partsFolder, `copy-${name}`);
      try {
        await copyModel(path, part, { signal, tell, totalBytes: found.size });
        return await this.#register(part, { name, source: resolve(path), signal, tell, expected: undefined });
      } finally {
        await rm(part, { force: true });
      }
    });
  }

  async pull(
    text: string,
    {
      name: asked,
      sha256: wanted,
      signal,
      tell,
    }: ComingOptions & { readonly sha256?: Uint8Array | undefined },
  ): Promise<StoredModel> {
    const reference = parseReference(text);
    const name = checkedModelName(asked ?? modelNameOf(reference.file));
    const { clock } = this.#parts;
    const { hub, hubToken, idleMs = DOWNLOAD_IDLE_MS, freeBytes } = this.#options;
    return this.#alone(name, async () => {
      await this.#demandRoom(name);
      const http = { clock, idleMs };
      const onHub = reference.kind === 'hub' ? { endpoint: hub, token: hubToken, signal } : undefined;
      const found =
        reference.kind === 'hub' && onHub !== undefined ? await findOnHub(http, reference, onHub) : undefined;
      const url = found?.url ?? (reference.kind === 'url' ? reference.url : '');
      const expected = this.#agreed(name, wanted, found?.sha256);
      const known = (await this.#registry.models()).find((model) => model.name === name);
      if (known !== undefined && expected !== undefined) {
        if (equalBytes(known.digest, expected)) return known;
        throw new SaharaError('model-exists', { name });
      }
      const entry = await this.#partOf({ name, url, expected });
      const path = join(this.#partsFolder, partName(url));
      await download(
        http,
        {
          ...{ entry, path, token: onHub?.token, sizeBytes: found?.sizeBytes },
          keep: (next) => this.#registry.putPart(next),
        },
        { signal, tell, freeBytes },
      ).catch(async (error: unknown) => {
        if (error instanceof SaharaError && error.code === 'model-invalid') await this.#dropPart(url);
        throw error;
      });
      const source = reference.kind === 'hub' ? text : plainUrl(url);
      const model = await this.#register(path, { name, source, signal, tell, expected }).catch(
        async (error: unknown) => {
          if (error instanceof SaharaError && error.code === 'model-invalid') await this.#dropPart(url);
          throw error;
        },
      );
      await this.#dropPart(url);
      return model;
    });
  }

  async open(name: string, { signal }: { readonly signal: AbortSignal }): Promise<OpenModel> {
    const entry = await this.#find(name);
    const path = join(this.#options.folder, fileName(entry.digest));
    const found = await stat(path).catch((error: unknown) => {
      const reason = 'Its file is gone';
      throw new SaharaError('model-invalid', { name: entry.name, reason }, { cause: error });
    });
    if (found.size !== entry.sizeBytes || Math.floor(found.mtimeMs) !== entry.changedAtMs) {
      const again = await this.#parts.check(path, { signal });
      if (!equalBytes(again.digest, entry.digest)) {
        throw new SaharaError('model-invalid', {
          name: entry.name,
          reason: 'Its file has changed on the disk',
        });
      }
      await this.#registry.put({ ...entry, changedAtMs: Math.floor(found.mtimeMs) });
    }
    return { ...entry, path };
  }

  async remove(name: string): Promise<void> {
    const unfinished = (await this.#registry.parts()).find((part) => part.name === name);
    const entry = await this.#find(name).catch((error: unknown) => {
      if (unfinished === undefined) throw error;
      return undefined;
    });
    if (unfinished !== undefined && !this.#coming.has(name)) await this.#dropPart(unfinished.url);
    if (entry === undefined) return;
    await this.#registry.forget(entry.name);
    const others = (await this.#registry.models()).some(({ digest }) => equalBytes(digest, entry.digest));
    if (!others) await rm(join(this.#options.folder, fileName(entry.digest)), { force: true });
  }

  get #partsFolder(): string {
    return join(this.#options.folder, 'parts');
  }

  /** One at a time under a name. */
  async #alone<T>(name: string, work: () => Promise<T>): Promise<T> {
    if (this.#coming.has(name)) {
      throw new SaharaError('usage', { reason: `${name} is being added already; see \`sahara model list\`` });
    }
    this.#coming.add(name);
    try {
      return await work();
    } finally {
      this.#coming.delete(name);
    }
  }

  async #demandRoom(name: string): Promise<void> {
    const entries = await this.#registry.models();
    const known = entries.some((entry) => entry.name === name);
    if (!known && entries.length >= MODELS_MAX) {
      throw new SaharaError('home-full', { what: 'models', limit: MODELS_MAX });
    }
  }

  /** The checksum that somebody asked for and the one of the hub must be one. */
  #agreed(
    name: string,
    asked: Uint8Array | undefined,
    listed: Uint8Array | undefined,
  ): Uint8Array | undefined {
    if (asked !== undefined && listed !== undefined && !equalBytes(asked, listed)) {
      const reason = `Its SHA-256 at the hub is ${toHex(listed)}, and ${toHex(asked)} was asked for`;
      throw new SaharaError('model-invalid', { name, reason });
    }
    return asked ?? listed;
  }

  /** What is known of a download: what is there of it goes on if it is of the same content. */
  async #partOf(of: {
    readonly name: string;
    readonly url: string;
    readonly expected: Uint8Array | undefined;
  }): Promise<PartEntry> {
    const { name, url, expected } = of;
    const parts = await this.#registry.parts();
    const before = parts.find((part) => part.url === url);
    if (before === undefined && parts.length >= PARTS_MAX) {
      throw new SaharaError('home-full', { what: 'unfinished downloads', limit: PARTS_MAX });
    }
    const other =
      before?.sha256 !== undefined && expected !== undefined && !equalBytes(before.sha256, expected);
    if (other) await this.#dropPart(url);
    const kept = before !== undefined && !other ? before : { validator: undefined, totalBytes: undefined };
    const entry: PartEntry = { ...kept, name, url, sha256: expected };
    await this.#registry.putPart(entry);
    return entry;
  }

  async #register(
    part: string,
    of: {
      readonly name: string;
      readonly source: string;
      readonly expected: Uint8Array | undefined;
      readonly signal: AbortSignal;
      readonly tell: ComingOptions['tell'];
    },
  ): Promise<StoredModel> {
    const { name, expected, signal, tell } = of;
    const { size } = await stat(part);
    tell({ type: 'progress', stage: 'check', bytes: 0, totalBytes: size });
    const checked = await this.#parts.check(part, { signal }).catch((error: unknown) => {
      throw error instanceof SaharaError && error.code === 'model-invalid' ? named(error, name) : error;
    });
    tell({ type: 'progress', stage: 'check', bytes: size, totalBytes: size });
    if (expected !== undefined && !equalBytes(expected, checked.digest)) {
      const reason = `Its SHA-256 is ${toHex(checked.digest)} and should be ${toHex(expected)}`;
      throw new SaharaError('model-invalid', { name, reason });
    }
    const before = (await this.#registry.models()).find((entry) => entry.name === name);
    if (before !== undefined) {
      if (equalBytes(before.digest, checked.digest)) return before;
      throw new SaharaError('model-exists', { name });
    }
    signal.throwIfAborted();
    const path = join(this.#options.folder, fileName(checked.digest));
    await rename(part, path);
    await syncFolder(this.#options.folder);
    const { mtimeMs } = await stat(path);
    const entry: ModelEntry = {
      ...checked,
      name,
      source: of.source.slice(0, 1024),
      addedAtMs: this.#parts.clock.nowMs(),
      changedAtMs: Math.floor(mtimeMs),
    };
    await this.#registry.put(entry);
    return entry;
  }

  async #find(name: string): Promise<ModelEntry> {
    const entries = await this.#registry.models();
    const exact = entries.find((entry) => entry.name === name);
    if (exact !== undefined) return exact;
    const digests = /^[0-9a-f]{8,64}$/.test(name)
      ? entries.filter(({ digest }) => toHex(digest).startsWith(name))
      : [];
    const [first] = digests;
    if (first !== undefined && digests.every(({ digest }) => equalBytes(digest, first.digest))) return first;
    const nearest = nearestNames(
      name,
      entries.map((entry) => entry.name),
    );
    throw new SaharaError('model-unknown', { model: name, nearest });
  }

  async #dropPart(url: string): Promise<void> {
    await rm(join(this.#partsFolder, partName(url)), { force: true });
    await this.#registry.forgetPart(url);
  }
}

function fileName(digest: Uint8Array): string {
  return `${toHex(digest)}.gguf`;
}

function named(error: SaharaError, name: string): SaharaError {
  const { path: _path, ...facts } = error.facts;
  return new SaharaError(error.code, { ...facts, name }, { cause: error });
}
