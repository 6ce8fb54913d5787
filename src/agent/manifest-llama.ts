/** The part of a manifest about a model on this machine. */
import { isScalar } from 'yaml';
import { fromHex, toHex } from '../base/bytes.ts';
import { PPM } from '../protocol/limits.ts';
import {
  bool,
  bytes,
  int,
  later,
  list,
  oneOf,
  optional,
  record,
  type Schema,
  text,
  u32,
} from '../protocol/schema.ts';
import { ADAPTERS_MAX as EARNING_MAX } from './attribution/limits.ts';
import { SWITCHED_OFF } from './attribution/switched-off.ts';
import { ADAPTERS_MAX, CANDIDATES_MAX, CONTEXT_MAX, SCALE_MAX } from './llama/limits.ts';
import { SAMPLING_DEFAULTS } from './llama/sampler.ts';
import {
  fields,
  given,
  invalid,
  type Place,
  readBoolean,
  readInteger,
  readList,
  readShare,
  readText,
  readWord,
  required,
} from './manifest-reader.ts';

/** An adapter on a model. */
interface ManifestAdapter {
  /** Its name, or the first characters of its digest. */
  readonly model: string;
  /** How much of it, millionths from -8,000,000 to 8,000,000. Default 1,000,000. */
  readonly scale: number;
  /** Its asset on the ledger, 32 bytes, which earns `part`. */
  readonly asset: Uint8Array | undefined;
  /** What it earns of the model's part, millionths. Default 0. */
  readonly part: number;
}

/** A model on this machine that makes the answers. */
export interface LlamaManifest {
  /** Its name, or the first characters of its digest. */
  readonly model: string;
  /** Its asset on the ledger, 32 bytes, which earns what its adapters leave of the model's part. */
  readonly asset: Uint8Array | undefined;
  /** Tokens of prompt and answer together, 256 to 16,777,216. Default 4,096. */
  readonly context: number;
  /** At most 8, in the order in which they are put on. Default none. */
  readonly adapters: readonly ManifestAdapter[];
  /** Millionths, at most 5,000,000. 0, the default, always takes the likeliest token. */
  readonly temperature: number;
  /** Candidates for a token, 1 to 256. Default 40, or 64 with a watermark. */
  readonly topK: number;
  /** Share of the probability that candidates reach together, millionths. Default 950,000. */
  readonly topP: number;
  /** Least probability as a share of the best candidate's, millionths. Default 50,000. */
  readonly minP: number;
  /** What repeats an answer whose caller gives no seed. Default none: 0. */
  readonly seed: number | undefined;
  /** Whether answers carry the agent's mark. Default false. */
  readonly watermark: boolean;
  /** How what adapters earn is divided for each answer. Default: as declared by their parts. */
  readonly adapterParts?: typeof SWITCHED_OFF | undefined;
}

const millionths = (share: number): number => Math.round(share * PPM);

/** What a model on this machine is used with where a manifest says nothing. */
export const LLAMA_DEFAULTS: Omit<LlamaManifest, 'model'> = {
  asset: undefined,
  context: 4096,
  adapters: [],
  temperature: millionths(SAMPLING_DEFAULTS.temperature),
  topK: SAMPLING_DEFAULTS.topK,
  topP: millionths(SAMPLING_DEFAULTS.topP),
  minP: millionths(SAMPLING_DEFAULTS.minP),
  seed: undefined,
  watermark: false,
};

/** Most characters of a model's name. */
const NAME_MAX = 64;
const CONTEXT_MIN = 256;
const TEMPERATURE_MAX = 5;
const TOP_K_MARKED = 64;

/** The stored form. */
export const llamaManifest: Schema<LlamaManifest> = record('llama', {
  model: text(NAME_MAX),
  asset: optional(bytes(32)),
  context: u32,
  adapters: list(
    record('manifest-adapter', {
      model: text(NAME_MAX),
      scale: int(-SCALE_MAX * PPM, SCALE_MAX * PPM),
      asset: optional(bytes(32)),
      part: u32,
    }),
    ADAPTERS_MAX,
  ),
  temperature: u32,
  topK: u32,
  topP: u32,
  minP: u32,
  seed: optional(u32),
  watermark: bool,
  adapterParts: later(oneOf(SWITCHED_OFF)),
});

/** Names of the fields. */
export const LLAMA_FIELDS = [
  'model',
  'asset',
  'context',
  'adapters',
  'temperature',
  'topK',
  'topP',
  'minP',
  'seed',
  'watermark',
  'adapterParts',
] as const;

/** Reads how a model on this machine is used. Throws `manifest-invalid`. */
export function readLlama(place: Place): LlamaManifest {
  const of = fields(place, ['kind', ...LLAMA_FIELDS]);
  const watermark = given(of('watermark'), readBoolean) ?? LLAMA_DEFAULTS.watermark;
  const temperature =
    given(of('temperature'), (at) => readDecimal(at, { min: 0, max: TEMPERATURE_MAX })) ??
    LLAMA_DEFAULTS.temperature;
  const marking = of('watermark');
  if (watermark && temperature === 0 && marking !== undefined) {
    throw invalid(marking, 'no watermark without a temperature: a model without choice cannot be marked');
  }
  const adapters = given(of('adapters'), (at) => readList(at, ADAPTERS_MAX, readAdapter)) ?? [];
  const at = of('adapters');
  if (at !== undefined && adapters.reduce((sum, { part }) => sum + part, 0) > PPM) {
    throw invalid(at, 'parts that are at most 100 % together', 'more');
  }
  const earning = adapters.flatMap(({ asset, part }) => (part > 0 && asset ? [toHex(asset)] : []));
  if (at !== undefined && (earning.length > EARNING_MAX || new Set(earning).size < earning.length))
    throw invalid(at, `at most ${EARNING_MAX} adapters that earn, each by an asset of its own`);
  const measured = given(of('adapterParts'), (it) => readWord(it, ['declared', 'measured'])) === 'measured';
  const measuring = of('adapterParts');
  if (measured && earning.length === 0 && measuring !== undefined)
    throw invalid(measuring, 'adapters with an asset and a part, among which it is divided', 'none');
  return {
    model: readText(required(place, 'model', of('model'), 'the name of a model, see `sahara model list`'), {
      max: NAME_MAX,
    }),
    asset: given(of('asset'), readAssetId),
    context:
      given(of('context'), (it) => readInteger(it, { min: CONTEXT_MIN, max: CONTEXT_MAX })) ??
      LLAMA_DEFAULTS.context,
    adapters,
    temperature,
    topK:
      given(of('topK'), (it) => readInteger(it, { min: 1, max: CANDIDATES_MAX })) ??
      (watermark ? TOP_K_MARKED : LLAMA_DEFAULTS.topK),
    topP: given(of('topP'), (it) => readDecimal(it, { min: 0.000001, max: 1 })) ?? LLAMA_DEFAULTS.topP,
    minP: given(of('minP'), (it) => readDecimal(it, { min: 0, max: 1 })) ?? LLAMA_DEFAULTS.minP,
    seed: given(of('seed'), (it) => readInteger(it, { min: 0, max: 2 ** 32 - 1 })),
    watermark,
    ...(measured && { adapterParts: SWITCHED_OFF }),
  };
}

function readAdapter(place: Place): ManifestAdapter {
  const of = fields(place, ['model', 'scale', 'asset', 'part']);
  const asset = given(of('asset'), readAssetId);
  const part = given(of('part'), readShare) ?? 0;
  const earning = of('part');
  if (part > 0 && asset === undefined && earning !== undefined) {
    throw invalid(earning, 'an asset that earns it: say `asset` too');
  }
  return {
    model: readText(required(place, 'model', of('model'), 'the name of an adapter'), { max: NAME_MAX }),
    scale: given(of('scale'), (at) => readDecimal(at, { min: -SCALE_MAX, max: SCALE_MAX })) ?? PPM,
    asset,
    part,
  };
}

function readAssetId(place: Place): Uint8Array {
  const asset = fromHex(readText(place, { max: 64 }));
  if (asset?.length !== 32) throw invalid(place, 'the id of an asset, 64 hexadecimal digits');
  return asset;
}

/** A number with at most six decimals, in millionths. */
function readDecimal(place: Place, { min, max }: { readonly min: number; readonly max: number }): number {
  const value = isScalar(place.node) ? place.node.value : undefined;
  const number = typeof value === 'bigint' || typeof value === 'number' ? Number(value) : Number.NaN;
  const scaled = Math.round(number * PPM);
  const sound = number >= min && number <= max && Math.abs(scaled - number * PPM) < 1e-3;
  if (!sound) throw invalid(place, `a number from ${min} to ${max} with at most six decimals`);
  return scaled;
}

/** Names of all model files that it needs. */
export function filesOf({ model, adapters }: LlamaManifest): readonly string[] {
  return [model, ...adapters.map((adapter) => adapter.model)];
}
