import { describe, expect, test } from 'vitest';
import { checkHeader } from '../../../src/agent/llama/gguf-check.ts';
import { parseHeader } from '../../../src/agent/llama/gguf-file.ts';
import { SaharaError } from '../../../src/base/errors.ts';
import { ANSWERING, answering, ENCODING, encoding, zeros } from './families.ts';
import { f32, ggufBytes, text, texts, u32, type WrittenGguf } from './gguf-writer.ts';

function refusal(file: WrittenGguf): string {
  try {
    const bytes = ggufBytes(file);
    checkHeader(parseHeader(bytes, bytes.length));
    return 'sound';
  } catch (error) {
    if (error instanceof SaharaError && error.code === 'model-invalid') return String(error.facts.reason);
    throw error;
  }
}

const modelOf = (name: string): WrittenGguf => (ENCODING.includes(name) ? encoding(name) : answering(name));

describe('a file of the family', () => {
  // That llama.cpp runs them too is shown by `test/long/llama-families.test.ts`.
  test.each([...ANSWERING, ...ENCODING])('MODEL-3, MODEL-6: %s is sound', (name) => {
    expect(refusal(modelOf(name))).toBe('sound');
  });

  type Change = (file: WrittenGguf) => void;
  const key =
    (name: string, value: Parameters<WrittenGguf['metadata']['set']>[1] | undefined): Change =>
    ({ metadata }) => {
      if (value === undefined) metadata.delete(name);
      else metadata.set(name, value);
    };
  const shape =
    (name: string, next: readonly number[], dtype?: string): Change =>
    ({ tensors }) => {
      const at = tensors.findIndex((tensor) => tensor.name === name);
      tensors.splice(at, at < 0 ? 0 : 1, zeros(name, next, dtype));
    };
  const gone =
    (name: string): Change =>
    ({ tensors }) => {
      const at = tensors.findIndex((tensor) => tensor.name === name);
      expect(at).toBeGreaterThanOrEqual(0);
      tensors.splice(at, 1);
    };
  const bad: readonly (readonly [string, string, Change])[] = [
    ['llama with experts', 'more are used than there are', key('llama.expert_used_count', u32(3))],
    ['llama with experts', 'none is used', key('llama.expert_used_count', undefined)],
    ['llama with experts', 'there is only one', key('llama.expert_count', u32(1))],
    ['llama with experts', 'there are more than may be', key('llama.expert_count', u32(100_000))],
    ['llama with experts', 'they are not counted', key('llama.expert_count', undefined)],
    ['llama with experts', 'one stands alone', shape('blk.0.ffn_gate.0.weight', [256, 512])],
    ['llama with experts', 'one is missing', shape('blk.0.ffn_up_exps.weight', [1, 256, 512])],
    ['llama with experts', 'nobody chooses', gone('blk.0.ffn_gate_inp.weight')],
    [
      'qwen2moe',
      'no width of experts that is whole',
      ({ metadata }) => {
        metadata.delete('qwen2moe.expert_feed_forward_length');
        metadata.set('qwen2moe.expert_used_count', u32(2));
        metadata.set('qwen2moe.feed_forward_length', u32(255));
      },
    ],
    [
      'qwen2moe',
      'the shared one has another width',
      key('qwen2moe.expert_shared_feed_forward_length', u32(31)),
    ],
    ['qwen2moe', 'the head is missing', gone('output.weight')],
    ['qwen2moe', 'heads are wider than the model', key('qwen2moe.attention.key_length', u32(1024))],
    [
      'qwen3moe',
      'it has no experts',
      ({ metadata }) => {
        metadata.delete('qwen3moe.expert_count');
        metadata.delete('qwen3moe.expert_used_count');
      },
    ],
    ['qwen3moe', 'keys are not as wide as values', key('qwen3moe.attention.value_length', u32(256))],
    ['qwen3moe', 'heads are rotated in part', key('qwen3moe.rope.dimension_count', u32(64))],
    ['phi3', 'one matrix, and one of the three', shape('blk.0.attn_k.weight', [512, 512])],
    ['phi3', 'a matrix for fewer heads', shape('blk.0.attn_qkv.weight', [1024, 512])],
    ['phi3', 'the rise without the gate', shape('blk.0.ffn_up.weight', [256, 512])],
    ['phi3', 'experts', key('phi3.expert_count', u32(2))],
    ['phi3', 'too few factors', shape('rope_factors_long.weight', [8])],
    ['phi3 with matrices apart', 'one of the three is missing', gone('blk.0.attn_k.weight')],
    [
      'blocks of small floats',
      'rows that end within a block',
      shape('blk.0.attn_q.weight', [256, 1024], 'IQ2_XS'),
    ],
    ['blocks of small floats', 'a norm in blocks', shape('output_norm.weight', [512], 'IQ2_XS')],
    ['blocks of small floats', 'a type that is only copied', shape('blk.0.attn_q.weight', [512, 512], 'I32')],
    ['bert', 'no kinds of sentences', key('tokenizer.ggml.token_type_count', undefined)],
    ['bert', 'kinds beyond counting', key('tokenizer.ggml.token_type_count', u32(2 ** 31))],
    ['bert', 'fewer places than its context', key('bert.context_length', u32(256))],
    ['bert', 'no places', gone('position_embd.weight')],
    ['bert', 'another norm', key('bert.attention.layer_norm_epsilon', undefined)],
    ['bert', 'an epsilon of nothing', key('bert.attention.layer_norm_epsilon', f32(0))],
    ['bert', 'the tokenizer of another family', key('tokenizer.ggml.model', text('llama'))],
    [
      'bert',
      'too small a vocabulary',
      ({ metadata, tensors }) => {
        metadata.set('tokenizer.ggml.tokens', texts(Array.from({ length: 50 }, (_, i) => `t${i}`)));
        metadata.delete('tokenizer.ggml.token_type');
        metadata.delete('tokenizer.ggml.unknown_token_id');
        tensors.splice(0, 1, zeros('token_embd.weight', [50, 64]));
      },
    ],
    ['bert', 'a bias that is too short', shape('blk.0.attn_q.bias', [63])],
    ['bert', 'an unknown token beyond the end', key('tokenizer.ggml.unknown_token_id', u32(104))],
    ['nomic-bert', 'the gate is missing', gone('blk.0.ffn_gate.weight')],
    ['nomic-bert', 'places are learnt', shape('position_embd.weight', [128, 64])],
    ['nomic-bert', 'an odd rotation', key('nomic-bert.rope.dimension_count', u32(31))],
    ['nomic-bert with one matrix', 'of another height', shape('blk.0.attn_qkv.weight', [128, 64])],
  ];

  test.each(bad)('MODEL-4, MODEL-5, MODEL-6: %s is refused when: %s', (name, _, change) => {
    const file = modelOf(name);
    const copy = { metadata: new Map(file.metadata), tensors: [...file.tensors] };
    change(copy);
    expect(refusal(copy)).not.toBe('sound');
  });
});
