/** The types that a recipe asks for: `dtype`, `out_dtype` and, of FP8, `fp8_scales`. */
import { RECIPE_DTYPES, recipeDtype, type WeightType } from './dtypes.ts';
import { FP8_NAMES, FP8_SHARINGS, type Fp8Output } from './fp8-output.ts';
import { isAbsent, meant, type ValueReader } from './recipe-values.ts';

/** The output's types. */
export interface RecipeTypes {
  /** `out_dtype`, or else `dtype`, or else that of the inputs; with FP8, that of what is not FP8. */
  readonly dtype?: WeightType;
  readonly fp8?: Fp8Output;
}

/** Reads them, noting what is wrong. */
export function readTypes(value: Record<string, unknown>, values: ValueReader): RecipeTypes {
  const [out, own] = [nameOf(value, 'out_dtype', values), nameOf(value, 'dtype', values)];
  const type = FP8_NAMES[out ?? own ?? ''];
  if (type === undefined) {
    if (!isAbsent(value.fp8_scales)) values.problems.add('fp8_scales is for an out_dtype of FP8');
    const dtype = plain(out, 'out_dtype', values) ?? plain(own, 'dtype', values);
    return dtype === undefined ? {} : { dtype };
  }
  const sharing = FP8_SHARINGS.find((each) => each === (value.fp8_scales ?? 'block'));
  if (sharing === undefined)
    values.problems.add(`fp8_scales: ${String(value.fp8_scales)} is not one of ${FP8_SHARINGS.join(', ')}`);
  const rest = own === undefined || FP8_NAMES[own] ? 'BF16' : plain(own, 'dtype', values);
  return { dtype: rest ?? 'BF16', fp8: { dtype: type, sharing: sharing ?? 'block' } };
}

function nameOf(value: Record<string, unknown>, key: string, values: ValueReader): string | undefined {
  return values.optional(value[key], key)?.replace(/^torch\./, '');
}

const NAMES: readonly string[] = [...RECIPE_DTYPES, ...Object.keys(FP8_NAMES)];

function plain(name: string | undefined, where: string, { problems }: ValueReader): WeightType | undefined {
  if (name === undefined) return undefined;
  const dtype = Object.hasOwn(FP8_NAMES, name) ? undefined : recipeDtype(name);
  if (dtype === undefined)
    problems.add(`${where}: ${name} is not one of ${NAMES.join(', ')}${meant(name, NAMES)}`);
  return dtype;
}
