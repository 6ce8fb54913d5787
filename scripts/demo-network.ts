/** The peers of the demo on a network of validators: two of them host and contribute, and a home without a node calls. */
import { dirname, join } from 'node:path';
import type { StatusReport } from '../src/daemon/admin/types.ts';
import { check, must, until } from './demo-steps.ts';
import type { Peer, Peers } from './peers.ts';

/** Who takes part, all running. */
export interface DemoNetwork {
  readonly validators: readonly Peer[];
  /** A home that runs no CometBFT. */
  readonly caller: Peer;
  /** What the first validator says of itself. */
  readonly hosting: StatusReport;
}

/** How it begins. */
export interface DemoNetworkOptions {
  readonly validators: number;
  /** First of their ports; each node takes two. */
  readonly port: number;
  /** Flags of every daemon. */
  readonly flags: readonly string[];
}

/** Starts the validators of a new network, and a home that joins it lightly. */
export async function beginNetwork(peers: Peers, options: DemoNetworkOptions): Promise<DemoNetwork> {
  const { flags, port } = options;
  const validators: Peer[] = [];
  for (let i = 1; i <= options.validators; i++) validators.push(await peers.add(`validator-${i}`));
  const caller = await peers.add('caller');
  const [host, ...others] = validators;
  check(host !== undefined, 'there is a validator');
  const into = dirname(host.home.root);
  const count = String(options.validators);
  await must(host, ['network', 'init', '--validators', count, '--into', into, '--port', String(port)]);
  await must(caller, ['network', 'join', join(into, 'network.json'), '--light']);
  // One of several decides nothing alone: the first is awaited together with the others.
  const starting = host.start(...flags);
  let address: string | undefined;
  await until('the first validator has an address', async () => {
    address = await host.client.call('status', {}).then(
      ({ addresses }) => addresses[0],
      () => undefined,
    );
    return address !== undefined;
  });
  const bootstrap = [...flags, '--bootstrap', address ?? ''];
  await Promise.all(others.map((peer) => peer.start(...bootstrap)));
  const hosting = await starting;
  await caller.start(...bootstrap);
  return { validators, caller, hosting };
}
