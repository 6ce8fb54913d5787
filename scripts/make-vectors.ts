/**
 * Writes `spec/vectors/*.json` from the fixed seeds of `test/protocol/sample.ts`. Vectors are a promise to other
 * implementations: this is run by hand when the protocol itself changes, and a test compares what it would write
 * with what is there, without writing.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { vectorFiles } from './vectors/files.ts';

const folder = join(import.meta.dirname, '../spec/vectors');
mkdirSync(folder, { recursive: true });
for (const [name, text] of vectorFiles()) writeFileSync(join(folder, name), text);
