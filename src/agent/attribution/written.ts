/**
 * Who an answer rests on that a model wrote. Passages earn by the runs of three or more content words that the answer
 * has in common with them (rule `spans/1`); the rest is the model's, and of what is the model's each adapter that took
 * part has the part that was declared for it. Nothing here asks a model: whoever has the texts gets the same parts.
 */
import { SaharaError } from '../../base/errors.ts';
import { PPM } from '../../protocol/limits.ts';
import type { PpmShare } from './apportion.ts';
import { type Attribution, attribute, type CitedPassage } from './attribute.ts';
import { ADAPTERS_MAX } from './limits.ts';

/** An attribution by answer spans: 1,000,000 parts over the passages and the residual, which is the model's. */
export function attributeWritten(answer: string, passages: readonly CitedPassage[]): Attribution {
  return attribute({ method: 'spans', answer, passages });
}

/**
 * The parts that adapters were declared to have of what the model earns, checked: at most four, each once, each above
 * zero, at most 1,000,000 together; what they leave is the base model's. Throws `manifest-invalid`.
 */
export function declaredAdapters(adapters: readonly PpmShare[]): readonly PpmShare[] {
  const sum = adapters.reduce((all, { ppm }) => all + ppm, 0);
  const names = new Set(adapters.map(({ asset }) => asset.join()));
  const sound = adapters.every(({ ppm }) => Number.isSafeInteger(ppm) && ppm > 0);
  if (sound && sum <= PPM && names.size === adapters.length && adapters.length <= ADAPTERS_MAX)
    return adapters;
  const reason = `${adapters.length} adapters with ${sum} of ${PPM} parts; at most ${ADAPTERS_MAX}, each once`;
  throw new SaharaError('manifest-invalid', { field: 'adapters', reason });
}
