/**
 * Pickles, as far as a dictionary of tensors needs them. A pickle is a program that can name and call anything; this
 * reads the dozen instructions that PyTorch writes for tensors, knows the five functions that they call, computes what
 * those would give as plain data, and refuses every other instruction and every other name. Nothing is ever run.
 */
import { fromUtf8 } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { NAME_BYTES_MAX, PICKLE_WORK_MAX } from '../limits.ts';

/** A storage: a file `data/KEY` of the archive, elements of one type. */
export interface PickledStorage {
  readonly kind: 'storage';
  readonly key: string;
  readonly dtype: string;
  readonly elements: number;
}

/** A tensor: a view of a storage. */
export interface PickledTensor {
  readonly kind: 'tensor';
  readonly storage: PickledStorage;
  /** First element within the storage. */
  readonly start: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

interface Dictionary {
  readonly kind: 'dict';
  readonly entries: Map<string | number, Value>;
}

interface Sequence {
  readonly kind: 'list' | 'tuple';
  readonly items: Value[];
}

interface Global {
  readonly kind: 'global';
  readonly name: string;
}

type Value =
  | number
  | string
  | boolean
  | undefined
  | Dictionary
  | Sequence
  | Global
  | PickledStorage
  | PickledTensor;

const STORAGES: Readonly<Record<string, string>> = {
  'torch.FloatStorage': 'F32',
  'torch.HalfStorage': 'F16',
  'torch.BFloat16Storage': 'BF16',
  'torch.DoubleStorage': 'F64',
  'torch.LongStorage': 'I64',
  'torch.IntStorage': 'I32',
  'torch.ShortStorage': 'I16',
  'torch.CharStorage': 'I8',
  'torch.ByteStorage': 'U8',
  'torch.BoolStorage': 'BOOL',
};
const ORDERED = 'collections.OrderedDict';
const TENSOR = 'torch._utils._rebuild_tensor_v2';
const PARAMETER = 'torch._utils._rebuild_parameter';
const NAMES: ReadonlySet<string> = new Set([...Object.keys(STORAGES), ORDERED, TENSOR, PARAMETER]);
const PROTOCOL_MAX = 5;
/** What a value with a memory of its own counts beside its instruction. */
const OBJECT_WORK = 9;

/** The tensors of a pickled dictionary, by name. Fails with `tensor-invalid`, with `merge-refused` for anything else. */
export function readPickle(bytes: Uint8Array): ReadonlyMap<string, PickledTensor> {
  const top = new Machine(bytes).run();
  if (!isKind(top, 'dict')) throw refused('is not a dictionary of tensors');
  const tensors = new Map<string, PickledTensor>();
  for (const [name, value] of top.entries) {
    if (typeof name !== 'string' || !isKind(value, 'tensor'))
      throw refused('holds more than tensors', String(name));
    tensors.set(name, value);
  }
  return tensors;
}

class Machine {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #stack: Value[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, Value>();
  #at = 0;
  #work = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): Value {
    for (;;) {
      const code = this.#byte();
      if (code === STOP) break;
      this.#spend(1);
      const act = INSTRUCTIONS[code];
      if (!act) throw refused('an instruction that no tensor needs', `0x${code.toString(16)}`);
      act(this);
    }
    if (this.#at !== this.#bytes.length) throw invalid('something follows the end');
    const value = this.pop();
    if (this.#stack.length > 0) throw invalid('it leaves more than one value');
    return value;
  }

  push(value: Value): void {
    if (typeof value === 'object') this.#spend(OBJECT_WORK);
    this.#stack.push(value);
  }

  pop(): Value {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw invalid('it takes what is not there');
    return this.#stack.pop();
  }

  top(): Value {
    const value = this.pop();
    this.#stack.push(value);
    return value;
  }

  mark(): void {
    this.#marks.push(this.#stack.length);
  }

  /** What was pushed since the last mark. */
  sinceMark(): Value[] {
    const start = this.#marks.pop();
    if (start === undefined) throw invalid('it takes what is not there');
    return this.#stack.splice(start);
  }

  remember(place: number): void {
    this.#memo.set(place, this.top());
  }

  recall(place: number): void {
    if (!this.#memo.has(place)) throw invalid('it recalls what it did not keep');
    this.#stack.push(this.#memo.get(place));
  }

  nextPlace(): number {
    return this.#memo.size;
  }

  /** A byte can ask for a thousand times its own memory. */
  #spend(work: number): void {
    this.#work += work;
    if (this.#work > PICKLE_WORK_MAX) throw invalid('it makes more than any tensors need');
  }

  #byte(): number {
    return this.#view.getUint8(this.#take(1));
  }

  /** A little-endian unsigned number of `size` bytes. */
  count(size: 1 | 2 | 4 | 8): number {
    const at = this.#take(size);
    if (size === 1) return this.#view.getUint8(at);
    if (size === 2) return this.#view.getUint16(at, true);
    if (size === 4) return this.#view.getUint32(at, true);
    return exact(this.#view.getBigUint64(at, true));
  }

  signed(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  float(): number {
    return this.#view.getFloat64(this.#take(8), false);
  }

  /** A signed number of as many bytes as the first says, at most eight. */
  long(): number {
    const size = this.#byte();
    if (size > 8) throw invalid('a number is too large');
    let value = 0n;
    for (let i = 0; i < size; i++) value |= BigInt(this.#byte()) << BigInt(8 * i);
    return exact(BigInt.asIntN(Math.max(8 * size, 1), value));
  }

  text(length: number): string {
    if (length > NAME_BYTES_MAX) throw invalid('a text is too long');
    const start = this.#take(length);
    const value = fromUtf8(this.#bytes.subarray(start, start + length));
    if (value === undefined) throw invalid('text is not UTF-8');
    return value;
  }

  line(): string {
    const end = this.#bytes.indexOf(10, this.#at);
    if (end < 0) throw invalid('it ends within an instruction');
    const value = this.text(end - this.#at);
    this.#at = end + 1;
    return value;
  }

  #take(length: number): number {
    const start = this.#at;
    if (start + length > this.#bytes.length) throw invalid('it ends within an instruction');
    this.#at = start + length;
    return start;
  }
}

type Act = (machine: Machine) => void;

const STOP = 0x2e;

const INSTRUCTIONS: Readonly<Record<number, Act>> = {
  // Protocol, frame: nothing to do.
  128: (m) => {
    if (m.count(1) > PROTOCOL_MAX) throw invalid('unknown version');
  },
  149: (m) => void m.count(8),
  // Empty dictionary, list and tuple; a mark.
  125: (m) => m.push({ kind: 'dict', entries: new Map() }),
  93: (m) => m.push({ kind: 'list', items: [] }),
  41: (m) => m.push({ kind: 'tuple', items: [] }),
  40: (m) => m.mark(),
  // None, true, false; numbers of one, two and four bytes, longer ones, floating-point ones.
  78: (m) => m.push(undefined),
  136: (m) => m.push(true),
  137: (m) => m.push(false),
  75: (m) => m.push(m.count(1)),
  77: (m) => m.push(m.count(2)),
  74: (m) => m.push(m.signed()),
  138: (m) => m.push(m.long()),
  71: (m) => m.push(m.float()),
  // Texts.
  88: (m) => m.push(m.text(m.count(4))),
  140: (m) => m.push(m.text(m.count(1))),
  // Tuples of one, two, three, and of all since the mark.
  133: (m) => m.push(tuple(m, 1)),
  134: (m) => m.push(tuple(m, 2)),
  135: (m) => m.push(tuple(m, 3)),
  116: (m) => m.push({ kind: 'tuple', items: m.sinceMark() }),
  // Memory: keep and recall.
  113: (m) => m.remember(m.count(1)),
  114: (m) => m.remember(m.count(4)),
  148: (m) => m.remember(m.nextPlace()),
  104: (m) => m.recall(m.count(1)),
  106: (m) => m.recall(m.count(4)),
  // Items into dictionaries and lists.
  115: (m) => {
    const [value, key] = [m.pop(), m.pop()];
    setItems(m.top(), [key, value]);
  },
  117: (m) => {
    const items = m.sinceMark();
    setItems(m.top(), items);
  },
  97: (m) => {
    const item = m.pop();
    append(m.top(), [item]);
  },
  101: (m) => {
    const items = m.sinceMark();
    append(m.top(), items);
  },
  // Names, calls, and what a name outside the pickle stands for.
  99: (m) => m.push(global(`${m.line()}.${m.line()}`)),
  147: (m) => {
    const [name, module] = [m.pop(), m.pop()];
    m.push(global(`${String(module)}.${String(name)}`));
  },
  82: (m) => {
    const [given, called] = [m.pop(), m.pop()];
    m.push(call(called, given));
  },
  81: (m) => m.push(storage(m.pop())),
  // Attributes of an ordered dictionary, which say nothing of its tensors.
  98: (m) => {
    const state = m.pop();
    if (!isKind(state, 'dict') || !isKind(m.top(), 'dict')) throw refused('it changes an object');
  },
};

function tuple(m: Machine, size: number): Value {
  const items = Array.from({ length: size }, () => m.pop()).reverse();
  return { kind: 'tuple', items };
}

function setItems(target: Value, items: readonly Value[]): void {
  if (!isKind(target, 'dict') || items.length % 2 !== 0) throw invalid('items that go nowhere');
  for (let i = 0; i < items.length; i += 2) {
    const key = items[i];
    if (typeof key !== 'string' && typeof key !== 'number') throw refused('a key is neither text nor number');
    if (target.entries.has(key)) throw invalid('a name stands twice', String(key));
    target.entries.set(key, items[i + 1]);
  }
}

function append(target: Value, items: readonly Value[]): void {
  if (!isKind(target, 'list')) throw invalid('items that go nowhere');
  for (const item of items) target.items.push(item);
}

function global(name: string): Global {
  if (!NAMES.has(name)) throw refused('it names what no tensor needs', name);
  return { kind: 'global', name };
}

function call(called: Value, given: Value): Value {
  if (!isKind(called, 'global') || !isKind(given, 'tuple')) throw refused('it calls what is not known');
  const { items } = given;
  if (called.name === ORDERED && items.length === 0) return { kind: 'dict', entries: new Map() };
  if (called.name === PARAMETER && isKind(items[0], 'tensor')) return items[0];
  if (called.name === TENSOR) return tensor(items);
  throw refused('it calls what is not known', called.name);
}

function tensor([from, start, shape, strides]: readonly Value[]): PickledTensor {
  if (!isKind(from, 'storage') || !isCount(start)) throw invalid('a tensor without its storage');
  return { kind: 'tensor', storage: from, start, shape: counts(shape), strides: counts(strides) };
}

function storage(reference: Value): PickledStorage {
  const [kind, type, key, , elements] = isKind(reference, 'tuple') ? reference.items : [];
  const dtype = isKind(type, 'global') ? STORAGES[type.name] : undefined;
  if (kind !== 'storage' || dtype === undefined || typeof key !== 'string' || !isCount(elements)) {
    throw refused('a storage that is not known');
  }
  return { kind: 'storage', key, dtype, elements };
}

function counts(value: Value): readonly number[] {
  if (!isKind(value, 'tuple')) throw invalid('a tensor without a shape');
  const { items } = value;
  const whole = items.filter(isCount);
  if (whole.length !== items.length) throw invalid('a dimension is not a count');
  return whole;
}

function isKind<K extends 'dict' | 'list' | 'tuple' | 'global' | 'storage' | 'tensor'>(
  value: Value,
  kind: K,
): value is Extract<Value, { readonly kind: K | 'list' | 'tuple' }> & { readonly kind: K } {
  return typeof value === 'object' && value.kind === kind;
}

function isCount(value: Value): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function exact(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw invalid('a number is too large');
  return number;
}

function invalid(reason: string, name?: string): SaharaError {
  return new SaharaError('tensor-invalid', { reason, ...(name === undefined ? {} : { name }) });
}

function refused(reason: string, name?: string): SaharaError {
  return new SaharaError('merge-refused', { reason, ...(name === undefined ? {} : { name }) });
}
