/** Goes on with a merge in a process of its own, and kills it without warning after a few more tensors. */
import { systemClock } from '../../src/base/clock.ts';
import { planMerge } from '../../src/merge/plan.ts';
import { parseRecipe } from '../../src/merge/recipe.ts';
import { runMerge } from '../../src/merge/run.ts';

const [directory = '', output = '', recipe = '', more = '0'] = process.argv.slice(2);
const plan = await planMerge(parseRecipe(recipe), { directory });
let start: number | undefined;
await runMerge(
  plan,
  {
    output,
    workers: 2,
    onProgress: ({ tensorsDone }) => {
      start ??= tensorsDone;
      if (tensorsDone >= start + Number(more)) process.kill(process.pid, 'SIGKILL');
    },
  },
  { clock: systemClock },
);
