/** Joins the bridges to the daemon: its calls, its receipts, its wallet. */
import type { Bridges } from './bridges.ts';
import { startBridges } from './bridges.ts';
import { type BridgeCallsParts, createBridgeCalls } from './bridges-calls.ts';
import { type BridgeMoneyParts, createBridgeMoney } from './bridges-money.ts';
import { serveBridges } from './bridges-remote.ts';
import { type SettledBundleParts, settledBundle } from './handlers/money.ts';
import type { Knowledge } from './knowledge.ts';
import { createLearning } from './learning.ts';
import type { Lifecycle } from './lifecycle.ts';

/** What the bridges are joined to. */
type BridgingParts = Omit<BridgeCallsParts, 'bundleOf'> &
  Omit<BridgeMoneyParts, 'claims'> & {
    readonly knowledge: Pick<Knowledge, 'vaults' | 'provenance'>;
  } & SettledBundleParts;

/** Starts the bridges of a daemon, and serves those elsewhere where the configuration says so. Throws `port-busy`, `token-missing`. */
export async function startBridging(parts: BridgingParts, life: Pick<Lifecycle, 'start'>): Promise<Bridges> {
  const { storeOf, environment, clock, log, config } = parts;
  const bundleOf = async (callId: string): Promise<Uint8Array> =>
    Buffer.from((await settledBundle(parts, callId)).bundle, 'base64');
  const money = createBridgeMoney({ ...parts, claims: storeOf('deposits') });
  const { agents, knowledge } = parts;
  const learn = await life.start(
    'learning',
    async () =>
      createLearning(
        { ...knowledge, agents, store: storeOf('learning'), clock },
        { agent: config.bridges.learn },
      ),
    (open) => open.stop(),
  );
  const ports = { agents: createBridgeCalls({ ...parts, bundleOf }), money, learn };
  const { listen } = config.bridges;
  if (listen !== '') {
    await life.start(
      'bridges elsewhere',
      () => serveBridges({ ...ports, log }, { listen, token: environment.SAHARA_BRIDGE_TOKEN }),
      (server) => server.stop(),
    );
  }
  return startBridges(
    {
      ...ports,
      store: storeOf('bridges'),
      tokens: storeOf('tokens'),
      ...{ environment, clock, log },
    },
    config.bridges,
  );
}
