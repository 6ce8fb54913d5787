/** Goes on with a merge in a process of its own, and kills it without warning after a few more tensors. */
import { systemClock } from '../../src/base/clock.ts';
import { planMerge } from '../../src/merge/plan.ts';
import { parseRecipe } from '../../src/merge/recipe.ts';
import { runMerge } from '../../src/merge/run.ts';

const [directory = '', output = '', recipe = '', more = '0'] = process.argv.slice(2);
const plan = await planMerge(parseRecipe(recipe), { directory, stagesDirectory: `${output}.stages` });
let done = 0;
let before: number | undefined;
await runMerge(
  plan,
  {
    output,
    workers: 2,
    onProgress: ({ tensorsDone }) => {
      // A stage, or what follows it, begins to count anew.
      if (before !== undefined && tensorsDone > before) done++;
      before = tensorsDone;
      if (done >= Number(more)) process.kill(process.pid, 'SIGKILL');
    },
  },
  { clock: systemClock },
);
