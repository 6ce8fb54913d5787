/**
 * Where the processes of a test run keep what Node compiled, for each other: every test file and every daemon that a
 * test starts would strip and compile the same modules anew, which is most of the work of a short command. Node takes
 * nothing from here whose source has changed since. `npm ci` empties it.
 */
import { join } from 'node:path';

/** The variables that a run gives its processes. */
export const COMPILE_CACHE: { readonly NODE_COMPILE_CACHE: string } = {
  NODE_COMPILE_CACHE: join(import.meta.dirname, '../node_modules/.cache/compiled'),
};
