/** Imports a folder into a sealed vault and says of each file what became of it, once it is on disk. */
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { vaultKeys } from '../../src/vault/sealed/key-tree.ts';
import { openVault } from '../../src/vault/vault.ts';

const [place = '', folder = ''] = process.argv.slice(2);
const store = await openLevelStore(place);
const vault = await openVault({ store, clock: systemClock }, { keys: vaultKeys(new Uint8Array(32).fill(3)) });
const provenance = { contributor: new Uint8Array(32).fill(5), contribution: undefined, licence: '' };
for await (const event of vault.importPath(folder, provenance)) {
  if (event.type === 'kept') process.stdout.write(`${event.outcome} ${event.name}\n`);
}
await vault.close();
await store.close();
