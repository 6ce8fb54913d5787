/** One tensor of joined vocabularies: its shape, what each model's rows are, and who is credited for them. */
import type { StoredTensor } from './checkpoint.ts';
import { codecOf, isWeightType } from './dtypes.ts';
import type { JoinedRows } from './joined-rows.ts';
import { tiedTo } from './layers.ts';
import type { OpenModel, Report } from './plan-tensors.ts';
import { assignRows, type RowSource, type VocabularyPlan } from './tokenizers/rows.ts';

/** What `joinTensor` works with. */
export interface JoinTensorParts {
  readonly plan: VocabularyPlan;
  readonly models: readonly OpenModel[];
  /** Those that take part: the method's models, and the base that deltas are taken from last. */
  readonly sources: readonly RowSource[];
  /** Place in `sources` of the recipe's base, whether deltas are taken from it or not. */
  readonly base: number | undefined;
  /** How many of `sources` are contributions. */
  readonly contributions: number;
  readonly report: Report;
}

/** A tensor as it is joined. */
export interface JoinedTensor {
  readonly shape: readonly number[];
  /** For each source. */
  readonly rows: readonly (JoinedRows | undefined)[];
  /** Models that give rows and are no source: places among the plan's models. */
  readonly donors: readonly number[];
}

/** Joins the tensor `name`, or reports why not. */
export function joinTensor(name: string, parts: JoinTensorParts): JoinedTensor | undefined {
  const { plan, models, sources, base, contributions, report } = parts;
  const wanted = new Set([...plan.wishes.values()].flatMap(({ from }) => (from ? [from.model] : [])));
  const others = [...wanted]
    .filter((model) => !sources.some((source) => source.model === model))
    .flatMap((model): RowSource[] => {
      const checkpoint = models[model]?.checkpoint;
      const tensor = checkpoint?.tensors.get(name) ?? checkpoint?.tensors.get(tiedTo(name, checkpoint) ?? '');
      return tensor ? [{ model, tensor }] : [];
    });
  const tensors = [...sources, ...others].map(({ tensor }) => tensor);
  const columns = new Set(tensors.map(({ shape }) => shape.slice(1).join(' x ')));
  if (columns.size > 1) {
    report.problems.add(`${name} has rows of different lengths: ${[...columns].join(', ')}`);
    return undefined;
  }
  const odd = tensors.find((tensor) => !isPlain(tensor));
  if (odd) {
    report.problems.add(
      `${name}: rows of ${odd.dtype} are not joined; merge models whose embeddings are not quantised`,
    );
    return undefined;
  }
  const { rows, missing } = assignRows(plan, {
    sources,
    others,
    base,
    credit: (source) => {
      if (source < contributions) return source;
      return source < sources.length ? -1 : contributions + source - sources.length;
    },
  });
  if (missing > 0)
    report.warnings.add(`${name}: ${missing} tokens are in none of its models, their rows are zero`);
  const before = Math.max(...tensors.map(({ shape }) => shape[0] ?? 0));
  if (plan.tokens.rows < before)
    report.warnings.add(
      `${name} has ${plan.tokens.rows} rows, as many as there are tokens, instead of ${before}; pad_to_multiple_of rounds up`,
    );
  const shape = [plan.tokens.rows, ...(tensors[0]?.shape.slice(1) ?? [])];
  return { shape, rows, donors: others.map(({ model }) => model) };
}

function isPlain({ dtype, scale }: StoredTensor): boolean {
  return isWeightType(dtype) && codecOf(dtype).block === 1 && scale === undefined;
}
