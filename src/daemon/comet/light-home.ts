/**
 * A home of a network of several validators that runs no CometBFT: it knows the network from its file, and perhaps a
 * block of consensus that a person got from somebody they trust.
 */
import { utf8 } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Store } from '../../base/store.ts';
import { networkNameOf } from '../../ledger/genesis.ts';
import { genesis as genesisSchema } from '../../protocol/block.ts';
import type { NamedBlock } from '../../protocol/certified-header.ts';
import { bytes, optional, record, type Schema, uint } from '../../protocol/schema.ts';
import { nativeSuite } from '../../protocol/suite-native.ts';
import { type Home, prepareHome } from '../home.ts';
import { withNetworkStore } from './making.ts';
import { readNetworkFile, readOwnNode } from './network-file.ts';

/** How a home joined a network of several validators without a node. */
export interface LightJoining {
  /** The block of consensus that was named. */
  readonly named: NamedBlock | undefined;
}

const KEY = utf8('validators');
const joining: Schema<LightJoining> = record('light-joining', {
  named: optional(record('named-block', { height: uint(), hash: bytes(32) })),
});

/** How this home joined, by the part of its store that holds its network; `undefined` where nobody said so. */
export async function joinedLightly(store: Store): Promise<LightJoining | undefined> {
  const stored = await store.get(KEY);
  return stored && joining.decode(stored);
}

/**
 * Makes `home` a light one of the network in the file `path`, or names a newer block to one that is. Throws
 * `file-missing`, `malformed`, `usage`, `home-in-use`.
 */
export async function joinLightly(
  home: Home,
  path: string,
  named: NamedBlock | undefined,
): Promise<{ readonly network: string; readonly home: string }> {
  const network = await readNetworkFile(path);
  const genesis = genesisSchema.encode(network.genesis);
  prepareHome(home);
  if ((await readOwnNode(home)) !== undefined)
    throw new SaharaError('usage', { reason: `${home.root} is a node of a network; take another home` });
  await withNetworkStore(home, async (known, keep, store) => {
    if (known !== undefined && Buffer.compare(known, genesis) !== 0)
      throw new SaharaError('usage', { reason: `${home.root} is of another network; take another home` });
    const value = joining.encode({ named });
    await store.batch([{ type: 'put', key: KEY, value }], { sync: true });
    await keep(genesis);
  });
  return { network: networkNameOf(nativeSuite, network.genesis), home: home.root };
}
