/** Every stream that calls run on does the same (CALL-95, CALL-103). */

import { createGatewayTransport } from '../../src/agent/gateway-transport.ts';
import type { CallStream } from '../../src/agent/ports.ts';
import { throughDoor } from '../../src/agent/sealed-door.ts';
import { addressOf, createFleet } from '../mesh/support.ts';
import {
  AGENT,
  doorParts,
  eachOf,
  gatewayRig,
  PEERS,
  sealedPair,
  sealing,
  serveGateway,
} from './sealed-rig.ts';
import { type StreamEnds, streamConforms } from './stream-conforms.ts';
import { createStreamPair } from './stream-pair.ts';

const own = async (ends: {
  readonly caller: CallStream;
  readonly host: CallStream;
  cut(): void;
}): Promise<StreamEnds> => ({
  ...ends,
  host: Promise.resolve(ends.host),
});

streamConforms('in the open, in one process', {
  open: async () => {
    const { caller, host } = createStreamPair();
    return own({ caller, host, cut: () => caller.cut() });
  },
});

streamConforms('in the open, through the door of a host', {
  open: async () => {
    const { caller, host } = createStreamPair();
    return own({ caller, host: throughDoor(await doorParts(), host), cut: () => caller.cut() });
  },
});

streamConforms('sealed', {
  open: async () => {
    const { caller, host, near } = await sealedPair();
    return own({ caller, host, cut: () => near.cut() });
  },
});

streamConforms('sealed, through a gateway', {
  async open() {
    const { promise, resolve } = Promise.withResolvers<CallStream>();
    const { transport, far } = await gatewayRig({ serve: resolve });
    const caller = await transport.openCall(PEERS.host, { agent: AGENT });
    return { caller, host: promise, cut: () => far[0]?.cut() };
  },
});

const fleet = createFleet();

streamConforms('in the open, over the mesh', {
  async open() {
    const [near, far] = [await fleet.start(), await fleet.start()];
    const { promise, resolve } = Promise.withResolvers<CallStream>();
    far.serveCalls(resolve);
    await near.connect(addressOf(far));
    return { caller: await near.openCall(far.peerId), host: promise, cut: () => far.stop() };
  },
  close: () => fleet.stop(),
});

streamConforms('sealed, through a gateway on the mesh', {
  async open() {
    const [near, between, far] = [await fleet.start(), await fleet.start(), await fleet.start()];
    const { promise, resolve } = Promise.withResolvers<CallStream>();
    const door = await doorParts();
    far.serveCalls((stream) => resolve(throughDoor(door, stream)));
    await serveGateway(between);
    await near.connect(addressOf(between));
    await between.connect(addressOf(far));
    const transport = createGatewayTransport({
      ...sealing,
      direct: near,
      gateways: () => eachOf([between.peerId]),
    });
    const caller = await transport.openCall(far.peerId, { agent: AGENT });
    return { caller, host: promise, cut: () => between.stop() };
  },
  close: () => fleet.stop(),
});
