/**
 * The Karcher mean: the point of the sphere with the least summed squared angles to all models, times their mean
 * length. Every iterate is a combination of the inputs, so the iteration runs on N coefficients.
 * Grove & Karcher 1973; iteration as in mergekit 0.1.4, equal weights.
 */
import type { Gram } from '../gram.ts';
import { exactMath } from '../kernels.ts';
import type { Method } from '../method.ts';
import { innerProduct, norm, scaled } from '../reference.ts';
import { spanTensor } from '../span.ts';
import { numberOf, type Settings } from '../task.ts';

/** Models without length (all zero) are left out. */
export const karcher: Method = {
  name: 'karcher',
  summary: 'the mean of the models on the sphere',
  parameters: [
    {
      name: 'max_iter',
      perModel: false,
      type: 'number',
      default: 10,
      min: 1,
      max: 1000,
      meaning: 'most iterations',
    },
    {
      name: 'tol',
      perModel: false,
      type: 'number',
      default: 1e-5,
      min: 0,
      meaning: 'step at which it stops, in radians',
    },
  ],
  models: { min: 1, max: 64 },
  base: 'none',
  begin: (context) => spanTensor(context, (gram) => factors(gram, context.task.settings)),
  reference: ({ models, settings }) => {
    const present = models
      .map((model, i) => ({ model, i, length: norm(model) }))
      .filter(({ length }) => length > 0);
    if (present.length === 0) return scaled(models, []);
    const units = present.map(({ model, length }) => model.map((value) => value / length));
    const start = combine(
      units,
      units.map(() => 1 / units.length),
    );
    const first = norm(start);
    let point = start.map((value) => value / first);
    // Each iterate is tracked as coefficients too, to be able to name contributions.
    let coefficients = units.map(() => 1 / units.length / first);
    for (let turn = 0; turn < numberOf(settings, 'max_iter'); turn++) {
      const angles = units.map((unit) => Math.acos(Math.min(1, Math.max(-1, innerProduct(point, unit)))));
      const pulls = angles.map((angle) => stretch(angle, Math.sin) / units.length);
      const along = units.reduce((sum, unit, i) => sum + (pulls[i] ?? 0) * innerProduct(point, unit), 0);
      const toward = combine(units, pulls);
      const tangent = toward.map((value, at) => value - along * (point[at] ?? 0));
      const step = norm(tangent);
      if (step < numberOf(settings, 'tol')) break;
      const [keep, go] = [Math.cos(step), Math.sin(step) / step];
      point = point.map((value, at) => keep * value + go * (tangent[at] ?? 0));
      coefficients = coefficients.map((each, i) => keep * each + go * ((pulls[i] ?? 0) - along * each));
    }
    const size = present.reduce((sum, { length }) => sum + length / present.length, 0);
    const factor = new Array<number>(models.length).fill(0);
    present.forEach(({ i, length }, at) => {
      factor[i] = ((coefficients[at] ?? 0) * size) / length;
    });
    return scaled(models, factor);
  },
};

function combine(vectors: readonly Float64Array[], factors: readonly number[]): Float64Array {
  const out = new Float64Array(vectors[0]?.length ?? 0);
  vectors.forEach((vector, i) => {
    vector.forEach((value, at) => {
      out[at] = (out[at] ?? 0) + (factors[i] ?? 0) * value;
    });
  });
  return out;
}

// angle / sin(angle), which tends to 1 for small angles.
function stretch(angle: number, sin: (x: number) => number): number {
  const sine = sin(angle);
  return Math.abs(sine) < 1e-12 ? 1 : angle / sine;
}

function factors(gram: Gram, settings: Settings): number[] {
  const lengths = Array.from({ length: gram.size }, (_, i) => Math.sqrt(gram.at(i, i)));
  const present = lengths.flatMap((length, i) => (length > 0 ? [i] : []));
  const out: number[] = new Array(gram.size).fill(0);
  if (present.length === 0) return out;
  const cosine = (i: number, j: number): number => gram.at(i, j) / ((lengths[i] ?? 1) * (lengths[j] ?? 1));
  const alpha = 1 / present.length;
  const size = present.reduce((sum, i) => sum + alpha * (lengths[i] ?? 0), 0);
  const point = iterate({ present, cosine, alpha }, settings);
  present.forEach((i, at) => {
    out[i] = ((point[at] ?? 0) * size) / (lengths[i] ?? 1);
  });
  return out;
}

interface Sphere {
  readonly present: readonly number[];
  readonly cosine: (i: number, j: number) => number;
  readonly alpha: number;
}

// The mean direction as coefficients of the unit vectors.
function iterate({ present, cosine, alpha }: Sphere, settings: Settings): number[] {
  const { sin, cos, acos } = exactMath();
  const onto = (x: readonly number[]): number[] =>
    present.map((i) => present.reduce((sum, j, at) => sum + (x[at] ?? 0) * cosine(i, j), 0));
  const length = (x: readonly number[]): number =>
    Math.sqrt(
      Math.max(
        0,
        onto(x).reduce((sum, value, at) => sum + value * (x[at] ?? 0), 0),
      ),
    );
  const start = present.map(() => alpha);
  const first = length(start);
  let point = start.map((each) => each / (first || 1));
  for (let turn = 0; turn < numberOf(settings, 'max_iter'); turn++) {
    const along = onto(point);
    const pulls = along.map((each) => alpha * stretch(acos(Math.min(1, Math.max(-1, each))), sin));
    const mean = pulls.reduce((sum, pull, at) => sum + pull * (along[at] ?? 0), 0);
    const tangent = point.map((each, at) => (pulls[at] ?? 0) - mean * each);
    const step = length(tangent);
    if (step < numberOf(settings, 'tol')) break;
    const [keep, go] = [cos(step), sin(step) / step];
    point = point.map((each, at) => keep * each + go * (tangent[at] ?? 0));
  }
  return point;
}
