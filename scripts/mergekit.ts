/** Where `scripts/install-mergekit` put mergekit. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The Python of its environment, or `undefined` when it is not installed. */
export function mergekitPython(): string | undefined {
  const { SAHARA_MERGEKIT, XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
  const python = join(SAHARA_MERGEKIT ?? join(XDG_CACHE_HOME, 'sahara', 'mergekit'), 'bin', 'python');
  return existsSync(python) ? python : undefined;
}

/** What to say where it is missing. */
export const MERGEKIT_MISSING: string = 'mergekit is not installed: run scripts/install-mergekit';
