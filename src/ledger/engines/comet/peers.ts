/**
 * A node among the peers of the mesh, most of which run no CometBFT: it answers light homes with what validators decided,
 * takes the transactions that they publish, and tells of every block with its proof. Blocks themselves pass between nodes.
 */
import { asSaharaError } from '../../../base/errors.ts';
import type { LightAnswers } from '../../light/answers.ts';
import type { LedgerNetwork } from '../../network.ts';
import type { Admission } from '../admission.ts';
import type { EngineCore } from '../core.ts';
import type { Certifier } from './certify.ts';
import type { Relay } from './relay.ts';

/** What a node serves peers with. */
export interface PeerParts {
  readonly network: LedgerNetwork;
  readonly admission: Admission;
  readonly certifier: Certifier;
  readonly answers: LightAnswers;
  readonly relay: Relay;
}

/** Joins a node to its peers until the returned function is called. */
export function joinPeers(core: EngineCore, parts: PeerParts): () => void {
  const { network, admission, certifier, answers, relay } = parts;
  const { signal } = core.stopping;
  const { chain, log } = core.parts;
  const tell = async (height: number): Promise<void> => {
    const header = await chain.header(height);
    // Overtaken by later blocks, it is no news any more.
    if (header === undefined || height < chain.head().height) return;
    network.announce?.(await certifier.header(header, signal));
  };
  const leaving = [
    network.serveLight(certifier.answers(answers, signal)),
    network.onTransaction(async (wire) => {
      if (!core.running) return 'ignore';
      const verdict = await admission.take(wire);
      if (verdict === 'accept') relay.wake();
      return verdict;
    }),
    core.onBlock(({ height }) => {
      tell(height).catch((error: unknown) =>
        log.debug('block not announced', { height, code: asSaharaError(error).code }),
      );
    }),
  ];
  return () => {
    for (const leave of leaving) leave();
  };
}
