/** How the checks of a bundle refuse, and small comparisons that name what differs. */
import { equalBytes } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';

/** Ends a check: the bundle does not prove what it should. */
export function refuse(reason: string): never {
  throw new SaharaError('bundle-invalid', { reason });
}

/** Refuses with `reason` unless `condition` holds. */
export function must(condition: boolean, reason: string): asserts condition {
  if (!condition) refuse(reason);
}

/** Refuses unless two byte strings are the same or both absent. */
export function mustMatch(
  found: Uint8Array | undefined,
  expected: Uint8Array | undefined,
  reason: string,
): void {
  const same = found && expected ? equalBytes(found, expected) : found === expected;
  must(same, reason);
}
