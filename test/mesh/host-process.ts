/** A host in a process of its own: joins a peer, announces an agent with a quick heartbeat, and waits to be killed. */
import { createDirectories, makeAgent } from './market.ts';
import { createFleet } from './support.ts';

const mesh = await createFleet().start();
await mesh.connect(process.argv[2] ?? '');
createDirectories()
  .start(mesh, { heartbeatMs: 1_500, probeIntervalMs: 3_600_000 })
  .announce(makeAgent(`host ${process.pid}`).local);
process.on('disconnect', () => process.exit(0));
process.send?.('announced');
