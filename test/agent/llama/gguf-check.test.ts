import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkAdapterFits } from '../../../src/agent/llama/adapter-check.ts';
import { type CheckedHeader, checkGguf, checkHeader } from '../../../src/agent/llama/gguf-check.ts';
import { parseHeader } from '../../../src/agent/llama/gguf-file.ts';
import { toHex } from '../../../src/base/bytes.ts';
import { SaharaError } from '../../../src/base/errors.ts';
import type { GgufValue } from '../../../src/merge/gguf.ts';
import { f32, flag, floats, ggufBytes, ints, text, texts, u32, type WrittenGguf } from './gguf-writer.ts';
import { noiseModel, saying, scriptedAdapter, scriptedModel } from './models.ts';

const SCRIPT = scriptedModel(saying('the', ' sky'));
const SIZE = SCRIPT.ids.size;

/** A sound file, changed. */
function changed(change: (file: WrittenGguf) => void, base: WrittenGguf = noiseModel()): Uint8Array {
  const file = { metadata: new Map(base.metadata), tensors: [...base.tensors] };
  change(file);
  return ggufBytes(file);
}

function withKeys(keys: Readonly<Record<string, GgufValue | undefined>>): Uint8Array {
  return changed(({ metadata }) => {
    for (const [key, value] of Object.entries(keys)) {
      if (value === undefined) metadata.delete(key);
      else metadata.set(key, value);
    }
  });
}

function check(bytes: Uint8Array): CheckedHeader {
  return checkHeader(parseHeader(bytes, bytes.length));
}

function refusal(bytes: Uint8Array): string {
  try {
    check(bytes);
  } catch (error) {
    if (error instanceof SaharaError && error.code === 'model-invalid') return String(error.facts.reason);
    throw error;
  }
  return 'sound';
}

const VOCABULARY = noiseModel().metadata.get('tokenizer.ggml.tokens')?.length ?? 0;
const huge = {
  type: 10,
  value: 2n ** 40n,
  length: undefined,
  bytes: new Uint8Array(new BigUint64Array([2n ** 40n]).buffer),
};

describe('a hyper-parameter', () => {
  // The first four abort the whole process when llama.cpp reads them, the next two load.
  const bad: readonly (readonly [string, Readonly<Record<string, GgufValue | undefined>>])[] = [
    ['no heads', { 'llama.attention.head_count': undefined }],
    ['zero heads', { 'llama.attention.head_count': u32(0) }],
    ['a zero feed-forward layer', { 'llama.feed_forward_length': u32(0) }],
    ['a huge number of layers', { 'llama.block_count': u32(2 ** 31) }],
    ['a huge context', { 'llama.context_length': u32(2 ** 32 - 1) }],
    ['an end that is no token', { 'tokenizer.ggml.eos_token_id': u32(2 ** 31) }],
    ['no feed-forward layer', { 'llama.feed_forward_length': undefined }],
    ['a context of 64 bits', { 'llama.context_length': huge }],
    ['no context', { 'llama.context_length': undefined }],
    ['zero context', { 'llama.context_length': u32(0) }],
    ['zero width', { 'llama.embedding_length': u32(0) }],
    ['no layers', { 'llama.block_count': u32(0) }],
    ['more layers than there are', { 'llama.block_count': u32(3) }],
    ['fewer layers than there are', { 'llama.block_count': u32(1) }],
    ['heads that do not divide', { 'llama.attention.head_count': u32(7) }],
    ['keys that do not divide', { 'llama.attention.head_count_kv': u32(3) }],
    ['more heads of keys than heads', { 'llama.attention.head_count_kv': u32(8) }],
    ['zero epsilon', { 'llama.attention.layer_norm_rms_epsilon': f32(0) }],
    ['an epsilon that is no number', { 'llama.attention.layer_norm_rms_epsilon': f32(Number.NaN) }],
    ['no epsilon', { 'llama.attention.layer_norm_rms_epsilon': undefined }],
    ['an epsilon of whole numbers', { 'llama.attention.layer_norm_rms_epsilon': u32(1) }],
    ['a rotation of an odd part', { 'llama.rope.dimension_count': u32(15) }],
    ['a rotation beyond the head', { 'llama.rope.dimension_count': u32(32) }],
    ['an endless base', { 'llama.rope.freq_base': f32(Number.POSITIVE_INFINITY) }],
    ['a zero base', { 'llama.rope.freq_base': f32(0) }],
    ['an unknown scaling', { 'llama.rope.scaling.type': text('magic') }],
    ['a scaling by nothing', { 'llama.rope.scaling.factor': f32(0) }],
    ['a setting that is not known', { 'llama.expert_count': u32(8) }],
    ['heads as a list', { 'llama.attention.head_count': ints([4, 4]) }],
    ['layers as a text', { 'llama.block_count': text('2') }],
    ['another vocabulary size', { 'llama.vocab_size': u32(VOCABULARY + 1) }],
    ['a foreign family', { 'general.architecture': text('mamba') }],
    ['no family', { 'general.architecture': undefined }],
    ['neither model nor adapter', { 'general.type': text('vocab') }],
    ['a part of several files', { 'split.count': u32(2) }],
  ];

  test.each(bad)('MODEL-3, MODEL-4, MODEL-5: %s is refused', (_, keys) => {
    expect(refusal(withKeys(keys))).not.toBe('sound');
  });

  test('MODEL-4: within its bounds is taken', () => {
    const fine = {
      'llama.rope.dimension_count': u32(16),
      'llama.rope.freq_base': f32(10_000),
      'llama.vocab_size': u32(VOCABULARY),
    };
    expect(check(withKeys(fine)).facts).toMatchObject({ layers: 2, embedding: 64, contextMax: 2048 });
  });
});

describe('a vocabulary', () => {
  const ones = (count: number): readonly number[] => Array.from({ length: count }, () => 1);
  const bad: readonly (readonly [string, Readonly<Record<string, GgufValue | undefined>>])[] = [
    ['no tokens', { 'tokenizer.ggml.tokens': undefined }],
    ['tokens that are numbers', { 'tokenizer.ggml.tokens': ints([1, 2, 3]) }],
    ['an empty list', { 'tokenizer.ggml.tokens': texts([]) }],
    [
      'one token more than rows',
      { 'tokenizer.ggml.tokens': texts(Array.from({ length: VOCABULARY + 1 }, (_, i) => `t${i}`)) },
    ],
    [
      'no tokens of bytes',
      { 'tokenizer.ggml.tokens': texts(Array.from({ length: VOCABULARY }, (_, i) => `t${i}`)) },
    ],
    ['too few scores', { 'tokenizer.ggml.scores': floats([0]) }],
    [
      'scores that are no numbers',
      { 'tokenizer.ggml.scores': floats(ones(VOCABULARY).map(() => Number.NaN)) },
    ],
    ['too many types', { 'tokenizer.ggml.token_type': ints(ones(VOCABULARY + 1)) }],
    ['a type that does not exist', { 'tokenizer.ggml.token_type': ints(ones(VOCABULARY).map(() => 9)) }],
    ['types as fractions', { 'tokenizer.ggml.token_type': floats(ones(VOCABULARY)) }],
    ['a beginning that is no token', { 'tokenizer.ggml.bos_token_id': u32(VOCABULARY) }],
    ['a foreign tokenizer', { 'tokenizer.ggml.model': text('t5') }],
    ['merges that are missing', { 'tokenizer.ggml.model': text('gpt2') }],
    ['a merge of one part', { 'tokenizer.ggml.model': text('gpt2'), 'tokenizer.ggml.merges': texts(['ab']) }],
    ['a flag that is none', { 'tokenizer.ggml.add_bos_token': u32(1) }],
    ['an endless template', { 'tokenizer.chat_template': text('x'.repeat(131_073)) }],
  ];

  test.each(bad)('MODEL-7: %s is refused', (_, keys) => {
    expect(refusal(withKeys(keys))).not.toBe('sound');
  });

  test('MODEL-7: pairs may be merged instead', () => {
    const keys = { 'tokenizer.ggml.model': text('gpt2'), 'tokenizer.ggml.merges': texts(['a b', 'ab c']) };
    expect(refusal(withKeys(keys))).toBe('sound');
  });

  test('MODEL-7: a token that is not UTF-8 is refused', () => {
    const bytes = ggufBytes(noiseModel());
    const at = Buffer.from(bytes).indexOf(Buffer.from(' w63'));
    bytes[at] = 0xff;
    expect(refusal(bytes)).toBe('a text is not UTF-8');
  });
});

describe('a tensor', () => {
  const bad: readonly (readonly [string, (file: WrittenGguf) => void])[] = [
    ['one that is missing', ({ tensors }) => tensors.splice(3, 1)],
    [
      'one that is not known',
      ({ tensors }) => tensors.push({ name: 'extra', shape: [1], values: new Float32Array(1) }),
    ],
    [
      'a layer too many',
      ({ tensors }) => tensors.push({ name: 'blk.2.attn_q.weight', shape: [1], values: new Float32Array(1) }),
    ],
    ['one that stands twice', ({ tensors }) => tensors.push(...tensors.slice(0, 1))],
    [
      'another shape',
      ({ tensors }) => {
        const [first] = tensors;
        if (first) tensors[0] = { ...first, shape: first.shape.toReversed() };
      },
    ],
    [
      'a norm that is a matrix',
      ({ tensors }) => {
        const at = tensors.findIndex(({ name }) => name === 'output_norm.weight');
        tensors[at] = { name: 'output_norm.weight', shape: [8, 8], values: new Float32Array(64) };
      },
    ],
  ];

  test.each(bad)('MODEL-2, MODEL-6: %s is refused', (_, change) => {
    expect(refusal(changed(change))).not.toBe('sound');
  });

  test('MODEL-6: the head may be missing, and biases may be there', () => {
    const file = changed(({ tensors }) => {
      tensors.splice(
        tensors.findIndex(({ name }) => name === 'output.weight'),
        1,
      );
      tensors.push({ name: 'blk.0.attn_q.bias', shape: [64], values: new Float32Array(64) });
    });
    expect(refusal(file)).toBe('sound');
  });

  test('MODEL-2: offsets beyond the file, into each other or out of order are refused', () => {
    const sound = ggufBytes(noiseModel());
    const name = Buffer.from('output_norm.weight');
    const at = Buffer.from(sound).indexOf(name) + name.length + 4 + 8 + 4;
    for (const offset of [0n, 32n, 2n ** 40n, 2n ** 63n]) {
      const bytes = sound.slice();
      new DataView(bytes.buffer).setBigUint64(at, offset, true);
      expect(refusal(bytes)).not.toBe('sound');
    }
    expect(refusal(sound.slice(0, -64))).not.toBe('sound');
    expect(refusal(new Uint8Array([...sound, ...new Uint8Array(64)]))).not.toBe('sound');
  });

  test('MODEL-2: a key that stands twice is refused', () => {
    const twice = changed(({ metadata }) => metadata.set('llama.block_counu', u32(2)));
    Buffer.from(twice.buffer).write(
      'llama.block_count',
      Buffer.from(twice.buffer).indexOf('llama.block_counu'),
    );
    expect(refusal(twice)).toBe('a key stands twice');
  });
});

describe('an adapter', () => {
  const adapter = (): WrittenGguf => scriptedAdapter(SCRIPT, { the: { ' sky': 1 }, ' sky': { the: 1 } });
  const model = check(ggufBytes(SCRIPT.gguf));

  test('MODEL-8, MODEL-9: that fits is taken', () => {
    const sound = check(ggufBytes(adapter()));
    expect(sound.facts).toMatchObject({ kind: 'adapter', architecture: 'llama', contextMax: 0 });
    expect(() => checkAdapterFits(sound, model)).not.toThrow();
  });

  const bad: readonly (readonly [string, (file: WrittenGguf) => void])[] = [
    ['of another kind', ({ metadata }) => metadata.set('adapter.type', text('ia3'))],
    ['without a scale', ({ metadata }) => metadata.delete('adapter.lora.alpha')],
    [
      'with an endless scale',
      ({ metadata }) => metadata.set('adapter.lora.alpha', f32(Number.POSITIVE_INFINITY)),
    ],
    ['with a factor alone', ({ tensors }) => tensors.pop()],
    ['with nothing', ({ tensors }) => tensors.splice(0)],
    [
      'with a tensor that is no factor',
      ({ tensors }) => tensors.push({ name: 'output.weight', shape: [1, 1], values: new Float32Array(1) }),
    ],
    [
      'with factors of two ranks',
      ({ tensors }) => {
        tensors[1] = { name: 'output.weight.lora_b', shape: [SIZE, 3], values: new Float32Array(3 * SIZE) };
      },
    ],
    [
      'with a factor of one dimension',
      ({ tensors }) => {
        tensors[0] = {
          name: 'output.weight.lora_a',
          shape: [SCRIPT.width],
          values: new Float32Array(SCRIPT.width),
        };
      },
    ],
  ];

  test.each(bad)('MODEL-8: %s is refused', (_, change) => {
    expect(refusal(changed(change, adapter()))).not.toBe('sound');
  });

  const misfits: readonly (readonly [string, string, readonly number[], readonly number[]])[] = [
    ['a tensor that the model does not have', 'blk.1.attn_q.weight', [2, SCRIPT.width], [SCRIPT.width, 2]],
    ['a norm', 'output_norm.weight', [1, SCRIPT.width], [SCRIPT.width, 1]],
    ['what is no tensor', 'blk.99999999.attn_q.weight', [2, SCRIPT.width], [SCRIPT.width, 2]],
    ['a tensor of another shape', 'output.weight', [2, SCRIPT.width], [SIZE + 1, 2]],
    ['the embedding the wrong way round', 'token_embd.weight', [2, SCRIPT.width], [SIZE, 2]],
  ];

  test.each(misfits)('MODEL-9: that changes %s does not fit', (_, name, a, b) => {
    const file = changed(({ tensors }) => {
      const of = (half: string, shape: readonly number[]) => ({
        name: `${name}.${half}`,
        shape,
        values: new Float32Array(shape.reduce((x, y) => x * y)),
      });
      tensors.splice(0, 2, of('lora_a', a), of('lora_b', b));
    }, adapter());
    const checked = check(file);
    expect(() => checkAdapterFits(checked, model)).toThrow(
      expect.objectContaining({ code: 'model-invalid' }),
    );
  });

  test('MODEL-9: for another family, or upon an adapter, does not fit', () => {
    const sound = check(ggufBytes(adapter()));
    const foreign = check(
      changed(({ metadata }) => metadata.set('general.architecture', text('qwen2')), adapter()),
    );
    for (const [one, base] of [
      [foreign, model],
      [sound, sound],
    ] as const) {
      expect(() => checkAdapterFits(one, base)).toThrow(expect.objectContaining({ code: 'model-invalid' }));
    }
  });
});

describe('a file', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sahara-gguf-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const calm = { signal: new AbortController().signal };

  test('MODEL-10: is known by the SHA-256 of all its bytes', async () => {
    const bytes = ggufBytes(noiseModel());
    const path = join(folder, 'noise.gguf');
    await writeFile(path, bytes);
    const { digest, sizeBytes, facts } = await checkGguf(path, calm);
    expect(toHex(digest)).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(sizeBytes).toBe(bytes.length);
    expect(facts).toMatchObject({
      kind: 'model',
      quantisation: 'F32',
      cacheBytesPerToken: 512,
      hasTemplate: true,
    });
    await expect(checkGguf(path, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'cancelled',
    });
  });

  test('MODEL-1: that is none is refused with the reason', async () => {
    const path = join(folder, 'other.gguf');
    for (const bytes of [
      new Uint8Array(),
      new Uint8Array(100),
      Buffer.from('GGUF'),
      Buffer.from('hello world, hello'),
    ]) {
      await writeFile(path, bytes);
      await expect(checkGguf(path, calm)).rejects.toMatchObject({ code: 'model-invalid' });
    }
    await expect(checkGguf(folder, calm)).rejects.toBeInstanceOf(SaharaError);
    await expect(checkGguf(join(folder, 'none'), calm)).rejects.toMatchObject({ code: 'file-missing' });
  });

  test('MODEL-1: cut anywhere is refused', async () => {
    const bytes = ggufBytes(noiseModel({ layers: 1 }));
    for (let length = 0; length < bytes.length; length += 997)
      expect(refusal(bytes.slice(0, length))).not.toBe('sound');
  });

  test('MODEL-1: with a byte of its header changed is refused or sound, and nothing else', () => {
    const sound = ggufBytes(noiseModel({ layers: 1, words: 4 }));
    const header = Buffer.from(sound).indexOf('token_embd.weight') + 400;
    let refused = 0;
    for (let i = 0; i < 2_000; i++) {
      const bytes = sound.slice();
      bytes[(i * 7_919) % header] = (i * 31 + 7) % 256;
      if (refusal(bytes) !== 'sound') refused++;
    }
    expect(refused).toBeGreaterThan(200);
  });

  test('flags and marks of a file that nobody reads do not matter', () => {
    expect(refusal(withKeys({ 'general.whatever': flag(true), 'quantize.imatrix.file': text('x') }))).toBe(
      'sound',
    );
  });
});
