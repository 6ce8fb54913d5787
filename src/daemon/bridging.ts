/** Joins the bridges to the daemon: its calls, its receipts, its wallet. */
import type { Bridges } from './bridges.ts';
import { startBridges } from './bridges.ts';
import { type BridgeCallsParts, createBridgeCalls } from './bridges-calls.ts';
import { type BridgeMoneyParts, createBridgeMoney } from './bridges-money.ts';
import { type SettledBundleParts, settledBundle } from './handlers/money.ts';

/** What the bridges are joined to. */
type BridgingParts = Omit<BridgeCallsParts, 'bundleOf'> & BridgeMoneyParts & SettledBundleParts;

/** Starts the bridges of a daemon. */
export function startBridging(parts: BridgingParts): Promise<Bridges> {
  const { storeOf, environment, clock, log, config } = parts;
  const bundleOf = async (callId: string): Promise<Uint8Array> =>
    Buffer.from((await settledBundle(parts, callId)).bundle, 'base64');
  return startBridges(
    {
      agents: createBridgeCalls({ ...parts, bundleOf }),
      money: createBridgeMoney(parts),
      store: storeOf('bridges'),
      tokens: storeOf('tokens'),
      ...{ environment, clock, log },
    },
    config.bridges,
  );
}
