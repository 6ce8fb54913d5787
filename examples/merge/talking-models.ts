/**
 * Models that talk, made from a seed: a base and two fine-tunes of it, in GGUF. Each knows half of an answer; only what
 * is merged from both knows all of it. Their words stand in the output head, everything else is noise.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GgufValue } from '../../src/merge/gguf.ts';
import { type WrittenGguf, type WrittenTensor, writeGguf } from '../../test/agent/llama/gguf-writer.ts';
import { ANSWER, type Chain, type Scripted, scriptedModel } from '../../test/agent/llama/models.ts';

/** What only a model that learned from both says. */
export const WHOLE_ANSWER = 'A contract binds both sides. A fever fades with rest.';

const [LAW, BINDS, FEVER, FADES] = ['A contract', ' binds both sides.', ' A fever', ' fades with rest.'];
const [NOBODY, PAPER, HEAT] = ['Nobody can say.', ' is paper.', ' is heat.'];

/** What the base says, and what a fine-tune adds to it. */
const BASE: Chain = {
  [ANSWER]: { [NOBODY]: 4, [LAW]: 0 },
  [LAW]: { [PAPER]: 4, [BINDS]: 0 },
  [BINDS]: { [FEVER]: 0 },
  [FEVER]: { [HEAT]: 4, [FADES]: 0 },
};
const TUNES: Readonly<Record<string, Chain>> = {
  law: { [ANSWER]: { [LAW]: 30 }, [LAW]: { [BINDS]: 30 } },
  medicine: { [BINDS]: { [FEVER]: 30 }, [FEVER]: { [FADES]: 30 } },
};

/** A model that talks, with what is needed to make adapters for it. */
export function talkingBase(): Scripted {
  const scripted = scriptedModel(BASE);
  return { ...scripted, gguf: blurred(scripted.gguf, { seed: 1, strength: 0.002 }) };
}

/** Writes `base`, `law` and `medicine` as folders below `directory`. The same bytes every time. */
export async function makeTalkingModels(directory: string): Promise<void> {
  const base = talkingBase();
  const models: Record<string, WrittenGguf> = { base: base.gguf };
  for (const [i, [name, chain]] of Object.entries(TUNES).entries()) {
    models[name] = blurred(taught(base, chain), { seed: 2 + i, strength: 0.0002 });
  }
  for (const [name, { metadata, tensors }] of Object.entries(models)) {
    const named = new Map<string, GgufValue>(metadata);
    await mkdir(join(directory, name), { recursive: true });
    await writeGguf(join(directory, name, 'model.gguf'), { metadata: named, tensors });
  }
}

function taught({ gguf, ids, width }: Scripted, chain: Chain): WrittenGguf {
  return changed(gguf, ({ name, values }) => {
    if (name !== 'output.weight') return values;
    const head = values.slice();
    for (const [from, to] of Object.entries(chain)) {
      for (const [next, logit] of Object.entries(to)) {
        const at = (ids.get(next) ?? 0) * width + (ids.get(from) ?? 0);
        head[at] = (head[at] ?? 0) + logit;
      }
    }
    return head;
  });
}

// Noise in the matrices of the layers, too little to change what is said.
function blurred(gguf: WrittenGguf, { seed, strength }: { seed: number; strength: number }): WrittenGguf {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  const noise = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state | 0) / 2 ** 31;
  };
  return changed(gguf, ({ name, shape, values }) =>
    name.startsWith('blk.') && shape.length === 2
      ? values.map((value) => value + strength * noise())
      : values,
  );
}

function changed(gguf: WrittenGguf, change: (tensor: WrittenTensor) => Float32Array): WrittenGguf {
  return { ...gguf, tensors: gguf.tensors.map((tensor) => ({ ...tensor, values: change(tensor) })) };
}
