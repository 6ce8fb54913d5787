/** Imports, replaces and removes documents for ever, and says after each change that it is on disk. */
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { openVault } from '../../src/vault/vault.ts';
import { textOf } from './vault-texts.ts';

const [folder = '', from = '0'] = process.argv.slice(2);
const store = await openLevelStore(folder);
const vault = await openVault({ store, clock: systemClock });
const provenance = { contributor: new Uint8Array(32).fill(5), contribution: undefined, licence: '' };
for (let step = Number(from); ; step++) {
  const name = `${step % 37}.md`;
  if (step % 11 === 10) await vault.remove(name);
  else await vault.importDocument({ name, bytes: Buffer.from(textOf(step)), provenance });
  process.stdout.write(`${step}\n`);
}
