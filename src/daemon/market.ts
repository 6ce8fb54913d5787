/**
 * This peer's part in the market: who can be asked and what calls took, told and heard; offers, asked for and made.
 */
import { equalBytes } from '../base/bytes.ts';
import { createDirectory, type Directory } from '../mesh/directory.ts';
import { createMeasures, type Measures } from '../mesh/measures.ts';
import { createObservations, type Observations } from '../mesh/observations.ts';
import { createOffers, type Offers } from '../mesh/offers.ts';
import type { Receipt } from '../protocol/payment.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { AgentKeeper } from './agents.ts';
import type { Core } from './core.ts';
import { meshBehindGateways } from './gateway.ts';
import type { Lifecycle } from './lifecycle.ts';
import { conductOf } from './standing.ts';

/** Who can be asked, and what is known of them. */
export interface Listing {
  readonly directory: Directory;
  /** What calls took, by those who paid for them. */
  readonly measures: Measures;
  readonly observations: Observations;
}

/**
 * Starts the directory, ordered by what payers measured, and tells what calls from here took where the configuration
 * allows it. A peer behind gateways dials no hosts, so it probes none, and tells nobody whom it paid.
 */
export async function startListing(core: Core, life: Lifecycle): Promise<Listing> {
  const { verifier, clock, dice, log, operator, network, config, ledger, mesh } = core;
  const hidden = config.gateway.via.length > 0;
  const measures = createMeasures({ clock });
  const known = { measured: measures.of, conduct: conductOf(core.standing) };
  const parts = { suite: nativeSuite, verifier, clock, dice, log, ...known };
  const directory = await life.start(
    'directory',
    () =>
      createDirectory(
        { ...parts, mesh: meshBehindGateways(core) },
        { network, private: config.mesh.private, ...(hidden && { probesPerRound: 0 }) },
      ),
    (open) => open.stop(),
  );
  const observations = await life.start(
    'observations',
    () =>
      createObservations(
        {
          ...{ mesh, verifier, clock, log, measures },
          payer: operator,
          isHost: directory.isHost,
          stakeOf: (receipt) => stakeOf(ledger, receipt),
        },
        { network, tell: config.market.observe && !config.mesh.private && !hidden },
      ),
    (open) => open.stop(),
  );
  return { directory, measures, observations };
}

/** What the ledger holds in the channel that a receipt names, if that is one from its payer to its payee. */
function stakeOf(ledger: Core['ledger'], receipt: Receipt): bigint | Promise<bigint> {
  const { channel: id, payer, payee } = receipt;
  if (id === undefined) return 0n;
  return ledger.read((reads) => {
    const channel = reads.channel(id);
    if (!channel || !equalBytes(channel.payer, payer) || !equalBytes(channel.payee, payee)) return 0n;
    return channel.deposit;
  });
}

/** Asks for offers, and has the agents here answer the requests of others. */
export function startOffers(
  core: Core,
  parts: { readonly directory: Directory; readonly agents: AgentKeeper },
): Offers {
  const { mesh, verifier, clock, dice, log, operator, network } = core;
  const { directory, agents } = parts;
  return createOffers(
    {
      mesh,
      verifier,
      clock,
      dice,
      log,
      payer: operator,
      card: directory.card,
      reach: directory.reach,
      answer: agents.offersFor,
    },
    { network },
  );
}
