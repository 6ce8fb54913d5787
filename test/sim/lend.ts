/**
 * A ledger that another party keeps. Where there are many parties most of them follow no blocks of their own but ask
 * a neighbour; while that one is down, nothing can be read or sent.
 */
import { SaharaError } from '../../src/base/errors.ts';
import type { BlockEvent, Ledger } from '../../src/ledger/ledger.ts';
import type { Party } from './party.ts';
import type { Life } from './time.ts';
import type { World } from './world.ts';

/** The ledger of `lender`, as the run `life` of another party sees it. */
export function borrowLedger(world: World, lender: Party, life: Life): Ledger {
  const lent = (): Ledger => {
    const { running } = lender;
    if (!running) throw new SaharaError('peer-unreachable', { peer: lender.name });
    return running.ledger;
  };
  const later = async <T>(ask: (ledger: Ledger) => Promise<T>): Promise<T> => {
    await world.scheduler.pause(1 + world.net.random.below(40), life);
    return ask(lent());
  };
  return {
    network: world.network,
    genesis: world.genesis,
    mode: 'follower',
    base: 0,
    head: () => lent().head(),
    read: (about) => lent().read(about),
    current: () => later((ledger) => ledger.current()),
    listed: (kind, key) => later((ledger) => ledger.listed(kind, key)),
    settled: (sought) => later((ledger) => ledger.settled(sought)),
    account: (key) => lent().account(key),
    identity: (did) => lent().identity(did),
    isRevoked: (issuer, serial) => lent().isRevoked(issuer, serial),
    channel: (id) => lent().channel(id),
    endedChannel: (id) => lent().endedChannel(id),
    channelsOf: (key) => lent().channelsOf(key),
    asset: (id) => lent().asset(id),
    assetsOf: (owner) => lent().assetsOf(owner),
    childrenOf: (id) => lent().childrenOf(id),
    versionsOf: (id) => lent().versionsOf(id),
    stakeOf: (did, role) => lent().stakeOf(did, role),
    delegation: (did, role, owner) => lent().delegation(did, role, owner),
    rewardsOf: (did) => lent().rewardsOf(did),
    licenceOf: (id, licensee) => lent().licenceOf(id, licensee),
    submit: (message, options) => later((ledger) => ledger.submit(message, options)),
    lookup: (id) => lent().lookup(id),
    proof: (id) => later((ledger) => ledger.proof(id)),
    prove: (keys, options) => later((ledger) => ledger.prove(keys, options)),
    stateProof: (key) => lent().stateProof(key),
    transactions: (range) => later((ledger) => ledger.transactions(range)),
    supply: () => lent().supply(),
    blocks: (fromHeight) => later((ledger) => ledger.blocks(fromHeight)),
    onBlock(listener: (event: BlockEvent) => void) {
      const tell = (event: BlockEvent): void => {
        if (life.alive) listener(event);
      };
      lender.borrowers.add(tell);
      return () => lender.borrowers.delete(tell);
    },
    verify: (options) => later((ledger) => ledger.verify(options)),
    prune: (keep, options) => later((ledger) => ledger.prune(keep, options)),
    stop: async () => {},
  };
}
