/**
 * RAM: what one model alone changed is kept whole, what several changed is averaged over those that did. Formula:
 * mergekit 0.1.4 (`ram`), after "Reinforced agent merging".
 */
import type { Method } from '../method.ts';
import { referenceDeltas } from '../reference.ts';
import { numberOf } from '../task.ts';

/** A change counts when it is larger than `epsilon`. */
export const ram: Method = {
  name: 'ram',
  summary: 'changes of one model kept whole, shared ones averaged',
  parameters: [
    {
      name: 'epsilon',
      perModel: false,
      type: 'number',
      default: 1e-5,
      min: 0,
      meaning: 'least change that counts',
    },
  ],
  models: { min: 1, max: 64 },
  base: 'required',
  begin: (context) => {
    const { kernels, layout, models, task } = context;
    const epsilon = Math.fround(numberOf(task.settings, 'epsilon'));
    return ({ n }) => kernels.shareOut(context.lane(0), layout.laneBytes, models, n, epsilon);
  },
  reference: (input) => {
    const deltas = referenceDeltas(input);
    const epsilon = Math.fround(numberOf(input.settings, 'epsilon'));
    const counts = (value: number): boolean => Math.abs(Math.fround(value)) > epsilon;
    return deltas.map((delta) =>
      delta.map((value, at) => {
        const owners = deltas.filter((other) => counts(other[at] ?? 0)).length;
        return counts(value) ? value / owners : 0;
      }),
    );
  },
};
