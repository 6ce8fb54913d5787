/** What a stranger's model file and a host that read it can say. */
import { checkHeader } from '../../../src/agent/llama/gguf-check.ts';
import { parseHeader } from '../../../src/agent/llama/gguf-file.ts';
import { readFromHost, readToHost } from '../../../src/agent/llama/read-messages.ts';
import { SAMPLING_DEFAULTS } from '../../../src/agent/llama/sampler.ts';
import { fromUtf8, utf8 } from '../../../src/base/bytes.ts';
import { SaharaError } from '../../../src/base/errors.ts';
import { ggufBytes } from '../../agent/llama/gguf-writer.ts';
import { noiseModel, saying, scriptedAdapter, scriptedModel } from '../../agent/llama/models.ts';
import { changedBytes } from '../bytes.ts';
import type { Random } from '../random.ts';
import { holds, type TargetMaker } from '../target.ts';
import { changedText } from '../texts.ts';

const FILE_BYTES_MAX = 262_144;
const TEXT_BYTES_MAX = 65_536;

function models(): readonly Uint8Array[] {
  const scripted = scriptedModel(saying('a', 'b'));
  const small = { width: 32, layers: 1, feedForward: 32, heads: 2, words: 4 };
  return [
    ggufBytes(noiseModel(small)),
    ggufBytes(noiseModel({ ...small, layers: 2 })),
    ggufBytes(scriptedAdapter(scripted, { a: { b: 1 } })),
  ];
}

/** Changes the header, where all decisions are; the weights behind it are numbers like any other. */
function bendHeader(whole: Uint8Array, random: Random): Uint8Array {
  const name = Buffer.from(whole).lastIndexOf('weight');
  const end = Math.min(whole.length, Math.max(64, name + 64));
  const header = changedBytes(whole.slice(0, end), random);
  return Uint8Array.from([...header, ...whole.subarray(end)]);
}

const MESSAGES: readonly string[] = [
  JSON.stringify({
    type: 'generate',
    id: 1,
    context: { adapters: [{ path: 'a', scale: 1 }], tokens: 10, sequences: 1 },
    prompt: { kind: 'chat', messages: [{ role: 'user', content: 'x' }] },
    sampling: SAMPLING_DEFAULTS,
    tokensMax: 1,
    stops: ['.'],
  }),
  JSON.stringify({ type: 'texts', texts: [[1, 'a', 1]] }),
  JSON.stringify({ type: 'end', id: 1, finish: 'stop', tokens: 3 }),
  JSON.stringify({ type: 'failed', id: 1, code: 'overloaded', facts: { what: 'x' } }),
  JSON.stringify({ type: 'scored', id: 1, logProbabilities: [-1, -2] }),
  JSON.stringify({ type: 'cancel', id: 1 }),
];

/** A message that one side takes comes out as what it was, or with less. */
function takeMessage(text: string): void {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new SaharaError('malformed');
  }
  let taken = 0;
  for (const read of [readToHost, readFromHost]) {
    try {
      const message = read(value);
      holds(JSON.stringify(read(message)) === JSON.stringify(message), 'a message reads differently twice');
      taken++;
    } catch (error) {
      if (!(error instanceof SaharaError) || error.code !== 'malformed') throw error;
    }
  }
  if (taken === 0) throw new SaharaError('malformed');
}

/** The targets of local models. */
export const MODEL_TARGETS: readonly TargetMaker[] = [
  {
    name: 'model-file',
    shortCount: 60,
    create: () => ({
      name: 'model-file',
      sizeBytesMax: FILE_BYTES_MAX,
      corpus: models(),
      bend: bendHeader,
      take: (input) => checkHeader(parseHeader(input, input.length)),
    }),
  },
  {
    name: 'model-host-message',
    create: () => ({
      name: 'model-host-message',
      sizeBytesMax: TEXT_BYTES_MAX,
      corpus: MESSAGES.map(utf8),
      bend: changedText,
      take: (input) => takeMessage(fromUtf8(input) ?? ''),
    }),
  },
];
