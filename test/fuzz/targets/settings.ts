/** Small texts and files that people pass on: manifests, recipes, configuration, names, amounts, addresses, weights. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manifestHash, parseManifest } from '../../../src/agent/manifest.ts';
import { formatAmount, parseAmount } from '../../../src/base/amount.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import { SaharaError } from '../../../src/base/errors.ts';
import { configTemplate, loadConfig } from '../../../src/daemon/config.ts';
import { parseGguf } from '../../../src/merge/gguf.ts';
import { parseRecipe } from '../../../src/merge/recipe.ts';
import { headerLength, PREFIX_BYTES, parseHeader } from '../../../src/merge/safetensors.ts';
import { parseTarget } from '../../../src/mesh/addresses.ts';
import { didOf, publicKeyOf } from '../../../src/protocol/ids.ts';
import { changedBytes } from '../bytes.ts';
import { vectorBytes, vectorTexts } from '../corpus.ts';
import type { Random } from '../random.ts';
import { checkWeight, holds, type Target, type TargetMaker } from '../target.ts';
import { changedText } from '../texts.ts';

const TEXT_BYTES_MAX = 131_072;

const RECIPES: readonly string[] = [
  'merge_method: ties\nbase_model: base\nmodels:\n  - model: base\n  - model: a\n    parameters:\n      weight: [0.2, 0.6]\n      density: 0.5\nparameters:\n  normalize: true\ndtype: float32\n',
  'merge_method: slerp\nbase_model: a\nslices:\n  - sources:\n      - { model: a, layer_range: [0, 2] }\n      - { model: b, layer_range: [0, 2] }\nparameters:\n  t:\n    - filter: self_attn\n      value: [0, 1]\n    - value: 0.5\nname: x\ntokenizer_source: base\n',
];
const AMOUNTS: readonly string[] = [
  '0.002',
  '1',
  '1.5 SAHARA',
  '250 grains',
  '999999999.999999999',
  '1 grain',
];
const ADDRESSES: readonly string[] = [
  '/ip4/127.0.0.1/tcp/4001',
  '/dns4/example.org/tcp/443/wss/p2p/12D3KooWGzBZpmCe1Rg3YJmPvj8sHYXkRSSWhVGUNyHmPvVtF2QY',
  '/ip6/::1/udp/1/quic-v1/webtransport/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ/p2p-circuit',
  '12D3KooWGzBZpmCe1Rg3YJmPvj8sHYXkRSSWhVGUNyHmPvVtF2QY',
];
const DIDS: readonly string[] = [didOf(new Uint8Array(32).fill(3)), ...vectorTexts('identity', ['did'])];

function takeDid(text: string): void {
  const key = publicKeyOf(text);
  if (key === undefined) throw new SaharaError('malformed');
  holds(didOf(key) === text, 'two names of one key');
}

function takeAmount(text: string): void {
  const grains = parseAmount(text);
  if (grains === undefined) throw new SaharaError('usage');
  holds(grains >= 0n, 'an amount below nothing');
  holds(parseAmount(formatAmount(grains)) === grains, 'an amount changes when it is written and read');
}

const textTarget = (name: string, corpus: readonly string[], take: (text: string) => void): TargetMaker => ({
  name,
  create: () => ({
    name,
    sizeBytesMax: TEXT_BYTES_MAX,
    corpus: corpus.map(utf8),
    bend: changedText,
    take: (input) => take(Buffer.from(input).toString()),
  }),
});

function configTarget(): Target {
  const directory = mkdtempSync(join(tmpdir(), 'sahara-fuzz-'));
  const path = join(directory, 'config.yaml');
  const template = configTemplate();
  return {
    name: 'config',
    sizeBytesMax: TEXT_BYTES_MAX,
    corpus: [utf8(template), utf8(template.replaceAll(/^(\s*)# (\w+:.*)$/gm, '$1$2'))],
    bend: changedText,
    take(input) {
      writeFileSync(path, input);
      checkWeight(loadConfig({ file: { path, required: true } }), input.length);
    },
    stop: async () => rmSync(directory, { recursive: true }),
  };
}

function bendWeights(seed: Uint8Array, random: Random): Uint8Array {
  if (random.once(2)) return changedBytes(seed, random);
  // The header's length goes along, so that the header itself is read.
  const length = Math.min(
    seed.length - PREFIX_BYTES,
    Number(new DataView(seed.buffer, seed.byteOffset).getBigUint64(0, true)),
  );
  const header = changedText(seed.slice(PREFIX_BYTES, PREFIX_BYTES + length), random);
  const file = new Uint8Array(
    PREFIX_BYTES + header.length + Math.max(0, seed.length - PREFIX_BYTES - length),
  );
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, PREFIX_BYTES);
  return file;
}

function takeWeights(input: Uint8Array): void {
  const length = headerLength(input.subarray(0, PREFIX_BYTES), input.length);
  checkWeight(parseHeader(input.subarray(PREFIX_BYTES, PREFIX_BYTES + length), input.length), input.length);
}

/** Settings, names and the headers of weights. */
export const SETTINGS_TARGETS: readonly TargetMaker[] = [
  textTarget('manifest', vectorTexts('knowledge/manifest', ['yaml']), (text) => {
    manifestHash(parseManifest(text, { file: 'agent.yaml' }));
  }),
  textTarget('recipe', RECIPES, (text) => checkWeight(parseRecipe(text), text.length)),
  textTarget('did', DIDS, takeDid),
  textTarget('amount', AMOUNTS, takeAmount),
  textTarget('address', ADDRESSES, (text) => void parseTarget(text)),
  { name: 'config', shortCount: 60, create: configTarget },
  {
    name: 'safetensors',
    create: () => ({
      name: 'safetensors',
      sizeBytesMax: TEXT_BYTES_MAX,
      corpus: vectorBytes('merge/safetensors', ['hex']).filter(({ length }) => length >= PREFIX_BYTES),
      bend: bendWeights,
      take: takeWeights,
    }),
  },
  {
    name: 'gguf',
    create: () => ({
      name: 'gguf',
      sizeBytesMax: TEXT_BYTES_MAX,
      corpus: vectorBytes('merge/gguf', ['hex']),
      bend: changedBytes,
      take: (input) => checkWeight(parseGguf(input, input.length), input.length),
    }),
  },
];
