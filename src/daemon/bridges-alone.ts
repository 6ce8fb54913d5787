/** Bridges without a daemon of their own: a home with their books, and the daemon elsewhere that asks and pays for them. */
import { silentLog } from '../base/log.ts';
import { type Bridges, startBridges } from './bridges.ts';
import { createRemotePorts } from './bridges-client.ts';
import { type DaemonParts, openGround } from './core.ts';
import { createLifecycle } from './lifecycle.ts';

/** Running bridges. */
export interface LoneBridges extends Pick<Bridges, 'rows'> {
  stop(): Promise<void>;
}

/** Starts the bridges of `parts.home` that have a token in the environment. Throws `token-refused`, `daemon-not-running`, `home-in-use`. */
export async function startLoneBridges(
  parts: DaemonParts,
  remote: { readonly url: string; readonly token: string },
): Promise<LoneBridges> {
  const ports = createRemotePorts(remote.url, remote.token);
  // Whether the daemon is there and knows the token is told before anything is answered.
  await ports.money.whoami();
  const life = createLifecycle({ log: silentLog });
  try {
    const { storeOf, clock, log, config, environment } = await openGround(parts, life);
    const stores = { store: storeOf('bridges'), tokens: storeOf('tokens') };
    const bridges = await life.start(
      'bridges',
      () => startBridges({ ...ports, ...stores, environment, clock, log }, config.bridges),
      (open) => open.stop(),
    );
    return { rows: () => bridges.rows(), stop: () => life.stop() };
  } catch (error) {
    await life.stop();
    throw error;
  }
}
