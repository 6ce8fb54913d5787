/**
 * How far outputs of a merge are from what the formula gives in f64, over one tensor:
 * `distances.ts RECIPE MODELS OUTPUT...` prints the roots of the mean squared distances as JSON.
 */
import { open, readFile } from 'node:fs/promises';
import { openCheckpoint } from '../../src/merge/checkpoint.ts';
import { METHODS } from '../../src/merge/methods.ts';
import { type MergePlan, planMerge } from '../../src/merge/plan.ts';
import { parseRecipe } from '../../src/merge/recipe.ts';
import { counterHash, hashKey, type TensorSource } from '../../src/merge/task.ts';

/** A tensor small enough to be merged in f64 by the formula alone. */
const MEASURED = 'model.layers.0.self_attn.k_proj.weight';

/** Root of the mean squared distance of `outputs` from the f64 reference, over one tensor. */
async function distances(plan: MergePlan, outputs: readonly string[]): Promise<readonly number[]> {
  const task = plan.tasks.find(({ name }) => name === MEASURED);
  const method = METHODS.get(task?.method ?? '');
  if (!task || !method) throw new Error(`no ${MEASURED}`);
  const base = task.base && (await numbers(task.base, task.elements));
  const contributions = method.reference({
    models: await Promise.all(task.models.map((source) => numbers(source, task.elements))),
    ...(base ? { base } : {}),
    shape: task.shape,
    settings: task.settings,
    hash: (position, index) => counterHash(index, hashKey(task, position)),
  });
  const exact = Float64Array.from({ length: task.elements }, (_, i) =>
    contributions.reduce((sum, each) => sum + (each[i] ?? 0), base?.[i] ?? 0),
  );
  return Promise.all(
    outputs.map(async (output) => {
      const tensor = (await openCheckpoint(output)).tensors.get(MEASURED);
      if (!tensor) throw new Error(`${output} lacks ${MEASURED}`);
      const made = await numbers(tensor, tensor.elements);
      const squares = exact.reduce((sum, value, i) => sum + (value - (made[i] ?? 0)) ** 2, 0);
      return Math.sqrt(squares / exact.length);
    }),
  );
}

// BF16, as the bench's models and outputs are.
async function numbers({ path, offset }: TensorSource, elements: number): Promise<Float64Array> {
  const file = await open(path);
  const bits = new Uint32Array(elements);
  try {
    const bytes = new Uint8Array(2 * elements);
    await file.read(bytes, 0, bytes.length, offset);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < elements; i++) bits[i] = view.getUint16(2 * i, true) << 16;
  } finally {
    await file.close();
  }
  return Float64Array.from(new Float32Array(bits.buffer));
}

const [recipe = '', directory = '', ...outputs] = process.argv.slice(2);
const plan = await planMerge(parseRecipe(await readFile(recipe, 'utf8')), { directory });
console.log(JSON.stringify(await distances(plan, outputs)));
