/**
 * Between CometBFT and the application under test: everything passes as it is, but what waits for a proposal. That is
 * replaced by what the test wants proposed, so that consensus decides on blocks that were recorded elsewhere.
 */
import { createConnection, createServer, type Socket } from 'node:net';
import { Request } from 'cosmjs-types/tendermint/abci/types';
import { encodeFrame, FrameReader } from '../../src/ledger/engines/comet/frames.ts';

/** Opens the gate at `path` before the application at `application`; `wanted` says what the next block is to hold. */
export async function openGate(
  path: string,
  application: string,
  wanted: () => readonly Uint8Array[],
): Promise<{ close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const behind = createConnection(application);
    const frames = new FrameReader();
    socket.on('data', (piece) => {
      for (const frame of frames.take(piece)) behind.write(encodeFrame(replaced(frame, wanted)));
    });
    behind.pipe(socket);
    for (const one of [socket, behind]) {
      sockets.add(one);
      // An end of either side is one of both.
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        socket.destroy();
        behind.destroy();
      });
    }
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  return {
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const one of sockets) one.destroy();
      await closed;
    },
  };
}

function replaced(frame: Uint8Array, wanted: () => readonly Uint8Array[]): Uint8Array {
  const request = Request.decode(frame);
  if (request.prepareProposal === undefined) return frame;
  const prepareProposal = { ...request.prepareProposal, txs: [...wanted()] };
  return Request.encode({ ...request, prepareProposal }).finish();
}
