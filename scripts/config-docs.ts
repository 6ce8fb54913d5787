/** Writes the table of options in `docs/configuration.md` from the one schema; a test compares the two. */
import { readFileSync, writeFileSync } from 'node:fs';
import { configTable } from '../src/daemon/config.ts';

const PAGE = new URL('../docs/configuration.md', import.meta.url);
const text = readFileSync(PAGE, 'utf8');
const start = text.indexOf('| field |');
writeFileSync(PAGE, `${text.slice(0, start)}${configTable()}`);
