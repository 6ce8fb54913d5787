/**
 * A tensor as its method sees it: passes over tiles of f32 lanes, as many as it likes, in a memory of fixed size.
 * When all inputs fit, they are read once; otherwise every pass reads them again, chunk by chunk.
 */
import { createHash, type Hash } from 'node:crypto';
import { invariant, SaharaError } from '../base/errors.ts';
import { codecBytes, codecOf, decodeLane, WEIGHT_CODECS, type WeightCodec } from './dtypes.ts';
import { createFiller, type FillLane, fillScratchBytes, type JoinedRows } from './joined-rows.ts';
import type { KernelInstance, Kernels } from './kernels.ts';
import { CHUNK_ELEMENTS, TILE_ELEMENTS } from './limits.ts';
import type { Method } from './method.ts';
import { type ApplyScales, readScales } from './scaled.ts';
import { isJoined, rowLength, type TensorIo, type TensorSource, type TensorTask } from './task.ts';

/** A piece of the tensor: `n` elements from `index` on, in whole rows when the method asked for them. */
export interface Tile {
  readonly n: number;
  readonly index: number;
}

/** A chunk: what is read and written at once. */
export interface Chunk {
  readonly start: number;
  readonly n: number;
}

const SUM_BYTES = 64;
const HISTOGRAM_BYTES = 256 * 1024;
const ALIGN = 64;

/** How a task uses a worker's memory. Addresses in bytes. */
export interface MemoryLayout {
  readonly tile: number;
  readonly chunk: number;
  readonly laneBytes: number;
  readonly numbers: number;
  readonly sums: number;
  readonly histograms: number;
  readonly scratch: number;
  /** Room for rows of a joined vocabulary. */
  readonly joining: number;
  readonly lanes: number;
  readonly raw: number;
  /** Bytes that the task needs at least. */
  readonly neededBytes: number;
}

/** Divides a memory of `sizeBytes`, free from `free` on, for `task`; `neededBytes` above `sizeBytes` means it cannot. */
export function layOutMemory(
  method: Method,
  task: TensorTask,
  free: number,
  sizeBytes: number,
): MemoryLayout {
  const row = rowLength(task);
  const whole = method.rows?.(task.settings) === true;
  const tile = whole ? Math.max(1, Math.floor(TILE_ELEMENTS / row)) * row : TILE_ELEMENTS;
  const models = task.models.length;
  const contributions = models + (task.donors?.length ?? 0);
  // The contributions, the base, the sum, and two to work with.
  const laneCount = contributions + 4;
  const laneBytes = align(4 * tile + ALIGN);
  const numbers = free;
  const sums = align(numbers + 4 * models);
  const histograms = align(sums + SUM_BYTES * (contributions + 2) * (contributions + 3));
  const scratch = align(histograms + HISTOGRAM_BYTES * (method.histograms?.(models) ?? 0));
  const joining = align(scratch + (method.scratchBytes?.(task) ?? 0));
  const lanes = align(joining + (isJoined(task) ? fillScratchBytes(tile) : 0));
  const raw = align(lanes + laneCount * laneBytes);
  const perElement = elementBytes(task);
  const slack = ALIGN * (models + 3);
  const room = Math.floor((sizeBytes - raw - slack) / perElement);
  const roundUp = Math.ceil(task.elements / tile) * tile;
  const preferred = Math.max(tile, Math.floor(CHUNK_ELEMENTS / tile) * tile);
  const fits = room >= roundUp ? roundUp : Math.min(preferred, Math.floor(room / tile) * tile);
  const chunk = Math.max(tile, fits);
  const neededBytes = raw + slack + tile * perElement;
  return { tile, chunk, laneBytes, numbers, sums, histograms, scratch, joining, lanes, raw, neededBytes };
}

function elementBytes(task: TensorTask): number {
  const inputs = task.base ? [...task.models, task.base] : task.models;
  const bytesOf = ({ dtype }: { readonly dtype: string }): number => codecBytes(codecOf(dtype), 1);
  return inputs.reduce((sum, source) => sum + bytesOf(source), bytesOf(task.target));
}

function align(address: number): number {
  return Math.ceil(address / ALIGN) * ALIGN;
}

interface Input {
  readonly source: TensorSource;
  readonly codec: WeightCodec;
  readonly raw: number;
  readonly hash: Hash;
  readonly applyScales: ApplyScales | undefined;
  /** Reads a tile that is joined from several vocabularies; such a tensor has no raw bytes. */
  readonly fill: FillLane | undefined;
}

/** Passes over one task's tensor. Made for one task and dropped with it. */
export class TensorContext {
  readonly task: TensorTask;
  readonly kernels: Kernels;
  readonly memory: Uint8Array;
  readonly view: DataView;
  readonly layout: MemoryLayout;
  /** Address where the output's raw bytes of a chunk are gathered. */
  readonly output: number;
  readonly #io: TensorIo;
  readonly #inputs: readonly Input[];
  #nextSum = 0;
  #loaded = -1;
  #hashed = 0;
  #checked = 0;

  constructor(instance: KernelInstance, parts: { method: Method; task: TensorTask; io: TensorIo }) {
    const { method, task, io } = parts;
    this.task = task;
    this.kernels = instance.kernels;
    this.memory = instance.bytes;
    this.view = new DataView(instance.bytes.buffer);
    this.layout = layOutMemory(method, task, instance.free, instance.sizeBytes);
    if (this.layout.neededBytes > instance.sizeBytes) {
      const { neededBytes } = this.layout;
      const facts = { reason: 'memory too small', tensor: task.name, neededBytes };
      throw new SaharaError('merge-refused', { ...facts, memoryBytes: instance.sizeBytes });
    }
    this.#io = io;
    const sources = task.base ? [...task.models, task.base] : task.models;
    let raw = this.layout.raw;
    this.#inputs = sources.map((source) => {
      const codec = codecOf(source.dtype);
      const applyScales = source.scale && readScales(source.scale, { kernels: this.kernels, io });
      const fill = source.rows && this.#filler(source, source.rows);
      const input = { source, codec, raw, hash: createHash('sha256'), applyScales, fill };
      raw = align(raw + codecBytes(codec, this.layout.chunk));
      return input;
    });
    this.output = raw;
  }

  #filler(source: TensorSource, rows: JoinedRows): FillLane {
    const { joining: scratch, tile } = this.layout;
    const { elements } = this.task;
    return createFiller(source, rows, { context: this, io: this.#io, scratch, tile, elements });
  }

  /** Models without the base. */
  get models(): number {
    return this.task.models.length;
  }

  /** Address of the `position`-th model's lane: its deltas, or its weights when there is no base. */
  lane(position: number): number {
    return this.layout.lanes + position * this.layout.laneBytes;
  }

  /** Address of the base's lane; only with a base. */
  get baseLane(): number {
    return this.lane(this.models);
  }

  /** Address of the lane that gathers the sum of the contributions. */
  get sumLane(): number {
    return this.lane(this.models + 1);
  }

  /** Address of the lane of the `which`-th contribution: the models' own, then those of donors of rows. */
  contribution(which: number): number {
    return which < this.models ? this.lane(which) : this.lane(which + 4);
  }

  /** Address of one of two lanes to work with. */
  workLane(which: 0 | 1): number {
    return this.lane(this.models + 2 + which);
  }

  /** Address of the `which`-th histogram of 65,536 32-bit bins. */
  histogram(which: number): number {
    return this.layout.histograms + which * HISTOGRAM_BYTES;
  }

  /** A new f64 sum, zero; its address goes to the reducing kernels. */
  sum(): number {
    const address = this.layout.sums + SUM_BYTES * this.#nextSum++;
    invariant(address + SUM_BYTES <= this.layout.histograms, 'sums stay in their area');
    this.clear(address);
    return address;
  }

  /** Sets a sum back to zero. */
  clear(address: number): void {
    this.memory.fill(0, address, address + SUM_BYTES);
  }

  /** Address of `values` as f32, for kernels that read them from memory; at most one per model and only once. */
  numbers(values: readonly number[]): number {
    invariant(values.length <= this.models, 'no more numbers than models');
    values.forEach((value, i) => {
      this.view.setFloat32(this.layout.numbers + 4 * i, value, true);
    });
    return this.layout.numbers;
  }

  /** The value of a sum: its eight parts added in a fixed tree. */
  total(address: number): number {
    const at = (part: number): number => this.view.getFloat64(address + 8 * part, true);
    return at(0) + at(1) + (at(2) + at(3)) + (at(4) + at(5) + (at(6) + at(7)));
  }

  /** Calls `visit` for every tile in order, its lanes filled with deltas, and `after` for every finished chunk. */
  pass(visit: (tile: Tile, chunk: Chunk) => void, after?: (chunk: Chunk) => void): void {
    const { elements } = this.task;
    for (let start = 0; start < elements; start += this.layout.chunk) {
      const chunk = { start, n: Math.min(this.layout.chunk, elements - start) };
      this.#load(chunk);
      for (let offset = 0; offset < chunk.n; offset += this.layout.tile) {
        const tile = { n: Math.min(this.layout.tile, chunk.n - offset), index: start + offset };
        this.#decode(tile, offset);
        visit(tile, chunk);
      }
      after?.(chunk);
    }
  }

  /** The stored bytes of the `position`-th model in the chunk that was loaded last. */
  rawChunk(position: number, { n }: Chunk): Uint8Array {
    const input = this.#inputs[position];
    invariant(input !== undefined, 'the model exists');
    return this.memory.subarray(input.raw, input.raw + codecBytes(input.codec, n));
  }

  /** SHA-256 of every input, the base's last, in hex; once, after a pass. */
  inputHashes(): readonly string[] {
    return this.#inputs.map((input) => input.hash.digest('hex'));
  }

  #load({ start, n }: Chunk): void {
    if (this.#loaded === start && this.layout.chunk >= this.task.elements) return;
    for (const { source, codec, raw, hash, fill } of this.#inputs) {
      if (fill) continue;
      const bytes = this.memory.subarray(raw, raw + codecBytes(codec, n));
      this.#io.read(source, codecBytes(codec, start), bytes);
      if (start === this.#hashed) hash.update(bytes);
    }
    if (start === this.#hashed) this.#hashed = start + n;
    this.#loaded = start;
  }

  #decode(tile: Tile, offset: number): void {
    const { n, index } = tile;
    const first = index === this.#checked;
    const deltas = this.task.base !== undefined;
    // The base before what is taken from it.
    for (let position = this.#inputs.length - 1; position >= 0; position--) {
      const input = this.#inputs[position];
      if (!input) continue;
      const { codec, applyScales, fill } = input;
      const [src, dst] = [input.raw + codecBytes(codec, offset), this.lane(position)];
      const delta = deltas && position < this.models;
      const plain = !fill && input.source.dtype === 'BF16';
      const sound = !first || (plain && this.kernels.finiteBf16(src, n) !== 0);
      if (delta && plain && sound) {
        this.kernels.decodeBf16Delta(src, dst, n, this.baseLane);
        continue;
      }
      if (fill) fill(dst, n, index);
      else decodeLane(codec, this, { src, dst, n });
      applyScales?.(dst, n, index);
      if (first && fill) input.hash.update(this.memory.subarray(dst, dst + 4 * n));
      if (!sound) this.#check(input.source, dst, tile);
      if (delta) this.kernels.subtract(dst, dst, this.baseLane, n);
    }
    if (first) this.#checked = index + n;
  }

  #check({ path }: TensorSource, lane: number, { n, index }: Tile): void {
    const bad = this.kernels.firstBeyond(lane, n, WEIGHT_CODECS.F32.largestBits);
    if (bad >= 0) throw nonFinite(this.task.name, path, index + bad);
  }
}

function nonFinite(tensor: string, path: string, index: number): SaharaError {
  return new SaharaError('tensor-invalid', { reason: 'NaN or infinity', tensor, path, index });
}
