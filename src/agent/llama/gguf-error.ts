/** The refusal of a model file. */
import { type ErrorFacts, SaharaError } from '../../base/errors.ts';

/** `model-invalid` with what is wrong. */
export function unsound(reason: string, facts: ErrorFacts = {}): SaharaError {
  return new SaharaError('model-invalid', { reason, ...facts });
}
