/**
 * Spherical interpolation between two models, each tensor one vector. The vectors are not normalised before they are
 * combined; nearly parallel ones (cosine above 0.9995, as most fine-tunes of one base are) are interpolated linearly.
 * Shoemake 1985, "Animating rotation with quaternion curves".
 */
import type { Gram } from '../gram.ts';
import { exactMath } from '../kernels.ts';
import type { Method } from '../method.ts';
import { innerProduct, norm, scaled } from '../reference.ts';
import { spanTensor } from '../span.ts';
import { numberOf } from '../task.ts';

const PARALLEL = 0.9995;

/** `t = 0` is the base model, `t = 1` the other one. */
export const slerp: Method = {
  name: 'slerp',
  summary: 'along the arc between two models',
  parameters: [
    { name: 't', perModel: false, type: 'number', meaning: 'how far to go, 0 the base model, 1 the other' },
  ],
  models: { min: 2, max: 2 },
  base: 'first',
  begin: (context) => spanTensor(context, (gram) => factors(gram, numberOf(context.task.settings, 't'))),
  reference: ({ models, settings }) => {
    const [a, b] = models;
    if (!a || !b) return [];
    const cosine = innerProduct(a, b) / (norm(a) * norm(b) || 1);
    const t = numberOf(settings, 't');
    if (Math.abs(cosine) > PARALLEL) return scaled(models, [1 - t, t]);
    const angle = Math.acos(cosine);
    return scaled(models, [
      Math.sin((1 - t) * angle) / Math.sin(angle),
      Math.sin(t * angle) / Math.sin(angle),
    ]);
  },
};

function factors(gram: Gram, t: number): number[] {
  const lengths = Math.sqrt(gram.at(0, 0)) * Math.sqrt(gram.at(1, 1));
  const cosine = gram.at(0, 1) / (lengths || 1);
  if (Math.abs(cosine) > PARALLEL) return [1 - t, t];
  const { sin, acos } = exactMath();
  const angle = acos(cosine);
  return [sin((1 - t) * angle) / sin(angle), sin(t * angle) / sin(angle)];
}
