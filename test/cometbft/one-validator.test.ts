import { mkdir } from 'node:fs/promises';
import { ledgerConforms } from '../ledger/ledger-conforms.ts';
import { places, startNode, testFolder, testNetwork } from './support.ts';

ledgerConforms('CometBFT, one validator', async () => {
  const folder = await testFolder();
  await mkdir(folder.path, { recursive: true });
  const network = testNetwork(1);
  const node = await startNode({ network, number: 0, all: await places(1), folder: folder.path });
  return {
    ledger: node.ledger,
    async close() {
      await node.stop();
      await folder.remove();
    },
  };
});
