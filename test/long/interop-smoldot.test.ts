/** A connection with smoldot, an independent libp2p in Rust, over TCP and over WebSockets. */
import { ksmcc3 } from '@substrate/connect-known-chains';
import { start } from 'smoldot';
import { afterEach, describe, expect, it } from 'vitest';
import { createFleet, until } from '../mesh/support.ts';

const fleet = createFleet();
afterEach(() => fleet.stop());

describe('smoldot', () => {
  it.each([
    ['TCP', '/ip4/127.0.0.1/tcp/0'],
    ['WebSockets', '/ip4/127.0.0.1/tcp/0/ws'],
  ])('MESH-1: connects over %s, speaks noise and yamux, and answers pings', async (_name, listen) => {
    const mesh = await fleet.start({ listen: [listen] });
    // Any chain will do: its only peer is ours, so that nothing leaves this machine.
    const chainSpec = JSON.stringify({ ...JSON.parse(ksmcc3), bootNodes: mesh.addresses() });
    const client = start({ logCallback: () => {} });
    try {
      await client.addChain({ chainSpec });
      await until(() => mesh.peers().length === 1);
      const [peer] = mesh.peers();
      expect(peer?.direction).toBe('inbound');
      for (let i = 0; i < 3; i++) expect(await mesh.ping(peer?.peerId ?? '')).toBeGreaterThanOrEqual(0);
      expect(mesh.peers().map((other) => other.peerId)).toEqual([peer?.peerId]);
    } finally {
      await client.terminate();
    }
  });
});
