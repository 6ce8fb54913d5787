import { afterEach, describe, expect, it } from 'vitest';
import { systemClock as clock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { silentLog as log } from '../../src/base/log.ts';
import { systemDice as dice } from '../../src/base/random.ts';
import { openReplayStore } from '../../src/base/replay.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { loadConfig } from '../../src/daemon/config.ts';
import type { GatewayAccess } from '../../src/daemon/config-schema.ts';
import { createCallDoor } from '../../src/daemon/gateway.ts';
import { certifyPeer, createPeerCheck } from '../../src/daemon/peer-certificate.ts';
import type { Mesh } from '../../src/mesh/interface.ts';
import { createPayeeBook } from '../../src/payment/payee-book.ts';
import { callVia } from '../../src/protocol/sealed-message.ts';
import { createVerifier } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { Channels, keys, NETWORK, tick } from '../calls/rig.ts';
import { addressOf, createFleet } from '../mesh/support.ts';

const fleet = createFleet();
afterEach(() => fleet.stop());

/** A peer of `operator`, or of nobody who says so. */
async function peerOf(operator: Signer | undefined): Promise<Mesh> {
  const seed = dice.bytes(32);
  const peer = createSigner(seed).publicKey;
  const certificate = operator && certifyPeer({ network: NETWORK, clock, operator, peer });
  return fleet.start({ network: NETWORK, ...(certificate && { certificate }) }, { seed });
}

/** A peer of the operator that carries calls for whom `serve` says. */
async function gatewayFor(serve: GatewayAccess): Promise<Mesh> {
  const mesh = await peerOf(keys.operator);
  const verifier = createVerifier(suite);
  const operator = tick(keys.operator);
  const store = createMemoryStore();
  const books = { suite, verifier, clock, store, channels: new Channels(), network: NETWORK, operator };
  const enter = createCallDoor(
    {
      config: loadConfig({ flags: new Map([['gateway.serve', serve]]) }),
      ...{ mesh, network: NETWORK, clock, dice, log, operator, verifier },
      replay: await openReplayStore({ clock, store: createMemoryStore() }),
      payee: createPayeeBook(books),
    },
    () => undefined,
  );
  const faultOf = createPeerCheck({ network: NETWORK, clock });
  mesh.serveCalls((stream) => {
    const fault = faultOf(stream);
    if (fault) stream.fail(fault);
    else enter(stream).consume({ frame: () => {}, end: () => {}, fail: () => {} });
  });
  return mesh;
}

/** What `from` is told when it asks the gateway for a way to `to`. */
async function asked(from: Mesh, gateway: Mesh, to: Mesh): Promise<string> {
  await from.connect(addressOf(gateway));
  const stream = await from.openCall(gateway.peerId);
  stream.send({ kind: 14, body: callVia.encode({ peerId: to.peerId }) });
  try {
    for await (const { kind } of stream.frames()) return `frame ${kind}`;
    return 'end';
  } catch (error) {
    if (error instanceof SaharaError) return error.code;
    throw error;
  }
}

describe('a gateway', () => {
  it.each<readonly [GatewayAccess, string, string, string]>([
    ['off', 'caller-refused', 'caller-refused', 'caller-refused'],
    ['own', 'frame 14', 'caller-refused', 'caller-refused'],
    ['all', 'frame 14', 'frame 14', 'frame 14'],
  ])('CALL-102: set to %s, carries calls for whom it should', async (serve, own, other, nobody) => {
    const gateway = await gatewayFor(serve);
    const host = await peerOf(undefined);
    await gateway.connect(addressOf(host));
    expect(await asked(await peerOf(keys.operator), gateway, host)).toBe(own);
    expect(await asked(await peerOf(keys.stranger), gateway, host)).toBe(other);
    expect(await asked(await peerOf(undefined), gateway, host)).toBe(nobody);
  });
});
