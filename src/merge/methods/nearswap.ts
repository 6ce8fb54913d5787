/** Nearswap: takes the second model where it is near the base, less the farther it is. Formula: mergekit 0.1.4. */
import type { Method } from '../method.ts';
import { referenceDeltas } from '../reference.ts';
import { numberOf } from '../task.ts';

const LEAST_DISTANCE = Math.fround(1e-6);

/** `theta = theta_0 + clip(t / max(|delta|, 1e-6), 0, 1) delta`. */
export const nearswap: Method = {
  name: 'nearswap',
  summary: 'the second model where it is near the base',
  parameters: [
    { name: 't', perModel: false, type: 'number', min: 0, meaning: 'distance that is taken whole' },
  ],
  models: { min: 1, max: 1 },
  base: 'required',
  begin: (context) => {
    const t = Math.fround(numberOf(context.task.settings, 't'));
    return ({ n }) => context.kernels.swapNear(context.lane(0), n, t);
  },
  reference: (input) => {
    const t = numberOf(input.settings, 't');
    return referenceDeltas(input).map((delta) =>
      delta.map((value) => value * Math.min(1, Math.max(0, t / Math.max(Math.abs(value), LEAST_DISTANCE)))),
    );
  },
};
