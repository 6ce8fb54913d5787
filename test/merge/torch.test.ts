import { mkdir, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { concat, utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openCheckpoint } from '../../src/merge/checkpoint.ts';
import { runMerge } from '../../src/merge/run.ts';
import type { TensorEntry } from '../../src/merge/safetensors.ts';
import { readPickle } from '../../src/merge/torch/pickle.ts';
import { readTorch } from '../../src/merge/torch/torch-file.ts';
import { readTensor } from './gguf-models.ts';
import { plan, useModels } from './models.ts';
import { createRandom, encode, normals } from './support.ts';
import { pickle, type TorchTensor, torchFile, type ZipFile, zip } from './torch-writer.ts';

const models = useModels();
const random = createRandom(44);
const ONE: TorchTensor = { name: 'x.weight', type: 'FloatStorage', elements: 6, shape: [2, 3] };
const DATA = encode([1, 2, 3, 4, 5, 6], 'F32');

function read(bytes: Uint8Array): readonly TensorEntry[] {
  return readTorch({
    sizeBytes: bytes.length,
    read: (offset, length) => bytes.slice(offset, offset + length),
  });
}

function refusal(bytes: Uint8Array): string {
  try {
    read(bytes);
  } catch (error) {
    return String(error);
  }
  return 'was taken';
}

describe('MRG-40: files of PyTorch', () => {
  it('say where each tensor lies, also where several share a storage', () => {
    const tensors: TorchTensor[] = [
      { ...ONE, key: '0' },
      { name: 'tied.weight', type: 'FloatStorage', key: '0', elements: 6, start: 3, shape: [3] },
      { name: 'half', type: 'BFloat16Storage', key: '1', elements: 4, shape: [4, 1], strides: [1, 9] },
      { name: 'empty', type: 'LongStorage', key: '2', elements: 0, shape: [0, 5] },
    ];
    const bytes = torchFile(tensors, { 0: DATA, 1: new Uint8Array(8), 2: new Uint8Array() });
    const [x, tied, half, empty] = read(bytes);
    expect(x).toMatchObject({ name: 'x.weight', dtype: 'F32', shape: [2, 3], elements: 6, sizeBytes: 24 });
    expect(bytes.subarray(x?.offset, (x?.offset ?? 0) + 24)).toEqual(DATA);
    expect(tied?.offset).toBe((x?.offset ?? 0) + 12);
    expect(half).toMatchObject({ dtype: 'BF16', shape: [4, 1] });
    expect(empty).toMatchObject({ dtype: 'I64', sizeBytes: 0 });
  });

  it('merge like the same numbers in safetensors, in several files behind an index', async () => {
    const values = ['a', 'b'].map(() => normals(24, 0.1, random));
    const names = ['first.weight', 'second.weight'];
    for (const [i, model] of ['torch-a', 'torch-b'].entries()) {
      await mkdir(models.path(model), { recursive: true });
      for (const [k, name] of names.entries()) {
        const file = torchFile([{ name, type: 'HalfStorage', key: '0', elements: 12, shape: [3, 4] }], {
          0: encode(values[i]?.subarray(12 * k, 12 * k + 12) ?? [], 'F16'),
        });
        await writeFile(models.path(model, `pytorch_model-${k}.bin`), file);
      }
      const weight_map = Object.fromEntries(names.map((name, k) => [name, `pytorch_model-${k}.bin`]));
      await writeFile(models.path(model, 'pytorch_model.bin.index.json'), JSON.stringify({ weight_map }));
    }
    const each = '{model: torch-a, parameters: {weight: 1}}, {model: torch-b, parameters: {weight: 1}}';
    const planned = await plan(models.path(), `merge_method: linear\nmodels: [${each}]\ndtype: float32`);
    await runMerge(planned, { output: models.path('from-torch') }, { clock: systemClock });
    for (const [k, name] of names.entries()) {
      const made = await readTensor(models.path('from-torch'), name);
      made.forEach((value, i) => {
        const mean = ((values[0]?.[12 * k + i] ?? 0) + (values[1]?.[12 * k + i] ?? 0)) / 2;
        expect(value).toBeCloseTo(mean, 3);
      });
    }
    const weight_map = { 'first.weight': '../x.bin' };
    await writeFile(models.path('torch-a', 'pytorch_model.bin.index.json'), JSON.stringify({ weight_map }));
    await expect(openCheckpoint(models.path('torch-a'))).rejects.toMatchObject({ code: 'tensor-invalid' });
  });

  it('are refused when their pickle does anything but describe tensors', () => {
    const evil = (code: Uint8Array): string => refusal(zip([{ name: 'archive/data.pkl', bytes: code }]));
    const call = (text: string): Uint8Array => utf8(text);
    expect(evil(call('cos\nsystem\n(X\u0002\0\0\0lstR.'))).toContain('os.system');
    expect(evil(call('cbuiltins\neval\n.'))).toContain('builtins.eval');
    expect(evil(call('ctorch\nload\n.'))).toContain('torch.load');
    // INST, OBJ, NEWOBJ, a reference by text, extension codes: instructions that make things.
    for (const code of ['(ios\nsystem\n.', '(o.', '\u0081.', 'Pid\n.', '\u0082\u0001.']) {
      expect(evil(Uint8Array.from(code, (letter) => letter.charCodeAt(0)))).toMatch(
        /merge-refused|tensor-invalid/,
      );
    }
    expect(evil(pickle([ONE], call('ccollections\nOrderedDict\nb')))).toContain('changes an object');
    expect(evil(call('ctorch._utils\n_rebuild_tensor_v2\n)R.'))).toContain('without its storage');
    expect(evil(call('ccollections\nOrderedDict\n(K\u0001tR.'))).toContain('calls what is not known');
    expect(evil(call('X\u0001\0\0\0a.'))).toContain('not a dictionary');
    expect(evil(call('}X\u0001\0\0\0aK\u0001s.'))).toContain('more than tensors');
    expect(evil(call('}(K\u0001K\u0002K\u0001K\u0003u.'))).toContain('stands twice');
  });

  it('are refused when the pickle is damaged, wherever', () => {
    const whole = pickle([ONE]);
    for (let length = 0; length < whole.length; length++) {
      expect(() => readPickle(whole.subarray(0, length))).toThrow(/tensor-invalid|merge-refused/);
    }
    expect(() => readPickle(concat(whole, whole))).toThrow(/follows the end/);
    expect(() => readPickle(utf8('h\u0005.'))).toThrow(/recalls/);
    expect(() => readPickle(utf8('t.'))).toThrow(/not there/);
    expect(() => readPickle(utf8('(0.'))).toThrow();
    expect(readPickle(whole).get('x.weight')).toMatchObject({ kind: 'tensor', shape: [2, 3] });
  });

  it('are refused when a tensor is not where, or as large as, it says', () => {
    const file = (
      change: Partial<TorchTensor>,
      data: Readonly<Record<string, Uint8Array>> = { 'x.weight': DATA },
    ) => refusal(torchFile([{ ...ONE, ...change }], data));
    expect(file({})).toBe('was taken');
    expect(file({}, {})).toContain('missing');
    expect(file({ elements: 7 })).toContain('another size');
    expect(file({ start: 1 })).toContain('reaches beyond');
    expect(file({ shape: [2 ** 16, 2 ** 16, 2 ** 16] })).toMatch(/too many elements|not a count/);
    expect(file({ strides: [1, 2] })).toContain('one piece');
    expect(file({ strides: [3] })).toContain('one piece');
    expect(file({ type: 'ComplexFloatStorage' })).toContain('torch.ComplexFloatStorage');
    expect(file({ key: '../data.pkl' })).toContain('missing');
  });

  it('are refused when the archive can be read in two ways', () => {
    const pickled: ZipFile = { name: 'archive/data.pkl', bytes: pickle([{ ...ONE, key: '0' }]) };
    const data: ZipFile = { name: 'archive/data/0', bytes: DATA };
    const sound = zip([pickled, data]);
    expect(refusal(sound)).toBe('was taken');
    const wrong: [Uint8Array, RegExp][] = [
      [zip([pickled, pickled, data]), /stands twice/],
      [zip([pickled, { ...pickled, name: 'other/data.pkl' }, data]), /or several/],
      [zip([{ ...pickled, lies: { localName: 'archive/data.pk_' } }, data]), /called otherwise/],
      [zip([{ ...pickled, lies: { method: 8 } }, data]), /compressed/],
      [zip([{ ...pickled, lies: { flags: 1 } }, data]), /encrypted/],
      [zip([{ ...pickled, lies: { crc: 1 } }, data]), /checksum/],
      [zip([pickled, { ...data, lies: { sizeBytes: 2 ** 31 } }]), /outside/],
      [zip([pickled, { ...data, lies: { at: 2 ** 31 } }]), /outside/],
      [zip([pickled, { ...data, lies: { sizeBytes: 0xffff_ffff } }]), /no size/],
      [
        zip([
          pickled,
          { ...pickled, name: 'archive/data/0', lies: { localName: 'archive/data.pkl', at: 0 } },
        ]),
        /otherwise/,
      ],
      [concat(sound, new Uint8Array(1)), /not an archive/],
      [concat(utf8('x'), sound), /between the directory/],
      [zip([pickled, { name: 'archive/byteorder', bytes: utf8('big') }, data]), /little-endian/],
      [zip([data]), /no list/],
      [utf8('PK'), /not an archive/],
    ];
    for (const [bytes, reason] of wrong) expect(refusal(bytes)).toMatch(reason);
    expect(refusal(zip([pickled, data], {}))).toBe('was taken');
    expect(refusal(zip([pickled, data], { entries: 1 }))).toContain('two ends');
    for (let length = 0; length < sound.length; length += 7)
      expect(refusal(sound.subarray(0, length))).not.toBe('was taken');
  });
});
