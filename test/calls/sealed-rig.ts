/** Sealed calls in one process: a caller's stream, a gateway that is listened to, and the host's side of it. */
import { createGateway, type Gateway, type GatewayOptions } from '../../src/agent/gateway.ts';
import { createGatewayTransport } from '../../src/agent/gateway-transport.ts';
import type { CallFrame, CallStream, CallTransport } from '../../src/agent/ports.ts';
import { sealStream } from '../../src/agent/sealed.ts';
import { nativeSealCipher } from '../../src/agent/sealed-cipher.ts';
import { type DoorParts, throughDoor } from '../../src/agent/sealed-door.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { systemDice } from '../../src/base/random.ts';
import type { Mesh } from '../../src/mesh/interface.ts';
import { sendableError } from '../../src/mesh/sendable.ts';
import type { PublicKey } from '../../src/protocol/ids.ts';
import {
  createSealer,
  createSealKey,
  createUnsealer,
  type Sealer,
  type SealKey,
  type Unsealer,
} from '../../src/protocol/seal.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import { createStreamPair, type End, type PairOptions } from './stream-pair.ts';

/** The network and the agent of `rig.ts`. */
const NETWORK = 'test-0000000000000000';
const AGENT_SEED: Uint8Array = new Uint8Array(32).fill(3);

/** The agent's key. */
export const AGENT: PublicKey = createSigner(AGENT_SEED).publicKey;

/** The same as a sealing key. */
export const sealKey: Promise<SealKey> = createSealKey(AGENT_SEED);

/** What seals in tests. */
const parts = { network: NETWORK, cipher: nativeSealCipher, dice: systemDice };
export const sealing: {
  readonly sealer: Sealer;
  readonly unsealer: Unsealer;
  readonly clock: Clock;
  readonly sendable: (error: SaharaError) => SaharaError;
} = {
  sealer: createSealer({ ...parts, clock: systemClock }),
  unsealer: createUnsealer(parts),
  clock: systemClock,
  sendable: sendableError,
};

/** A sealer of another network. */
export function sealerOf(network: string): Sealer {
  return createSealer({ ...parts, network, clock: systemClock });
}

/** The door of the agent's host; streams that ask to be carried go to `carry`. */
export async function doorParts(carry?: DoorParts['carry']): Promise<DoorParts> {
  const key = await sealKey;
  return {
    ...sealing,
    keyOf: (agent) => (Buffer.from(agent).equals(key.agent) ? key : undefined),
    carry: carry ?? (() => {}),
    answer: async ({ body }) => body,
  };
}

/** A sealed call over a pair of streams, without anybody between. */
export async function sealedPair(options: PairOptions = {}): Promise<{
  readonly caller: CallStream;
  readonly host: CallStream;
  readonly near: End;
  readonly far: End;
}> {
  const { caller: near, host: far } = createStreamPair(options);
  const session = await sealing.sealer.to(AGENT);
  const caller = sealStream({ ...sealing, stream: near, session });
  return { caller, host: throughDoor(await doorParts(), far), near, far };
}

/** Peer ids of the three. */
export const PEERS = { caller: 'peer-caller', gateway: 'peer-gateway', host: 'peer-host' } as const;

/** A caller, a gateway and a host. */
export interface GatewayRig {
  readonly transport: CallTransport;
  /** The transport of a caller with another peer id. */
  from(peerId: string): CallTransport;
  /** To the gateway, in the open. */
  readonly direct: CallTransport;
  readonly gateway: Gateway;
  /** The gateway's ends: towards the caller, and towards the host. */
  readonly near: End[];
  readonly far: End[];
  /** The host's ends, before their door. */
  readonly hosts: End[];
}

/** How a gateway rig differs from the plain one. */
export interface GatewayRigOptions {
  /** Takes the host's side of a call. */
  readonly serve: (stream: CallStream) => void;
  /** Between the gateway and the host. */
  readonly pair?: PairOptions;
  readonly gateway?: Partial<GatewayOptions>;
  /** Sees each frame between the caller and the gateway. */
  readonly seenNear?: (frame: CallFrame, from: 'caller' | 'host') => void;
  readonly unreachable?: () => boolean;
  readonly gateways?: readonly string[];
  /** Peer id of the gateway. */
  readonly id?: string;
  /** Answers sealed questions at the host. */
  readonly answer?: DoorParts['answer'];
}

/** One after the other. */
export async function* eachOf(peerIds: readonly string[]): AsyncGenerator<string> {
  yield* peerIds;
}

/** A host that reads what comes and says nothing. */
export function serveNothing(stream: CallStream): void {
  stream.consume({ frame: () => {}, end: () => {}, fail: () => {} });
}

/** Joins the three over pairs of streams. */
export async function gatewayRig(options: GatewayRigOptions): Promise<GatewayRig> {
  const near: End[] = [];
  const far: End[] = [];
  const hosts: End[] = [];
  const { id = PEERS.gateway } = options;
  const plain = await doorParts();
  const door = { ...plain, ...(options.answer && { answer: options.answer }) };
  const toHost: CallTransport = {
    async openCall(peerId) {
      if (peerId !== PEERS.host || options.unreachable?.()) {
        throw new SaharaError('peer-unreachable', { peer: peerId });
      }
      const pair = createStreamPair({
        ...options.pair,
        peerIds: { caller: id, host: PEERS.host },
      });
      far.push(pair.caller);
      hosts.push(pair.host);
      options.serve(throughDoor(door, pair.host));
      return pair.caller;
    },
  };
  const gateway = createGateway({ clock: systemClock, log: silentLog, transport: toHost }, options.gateway);
  const directFrom = (caller: string): CallTransport => ({
    peerId: caller,
    async openCall(peerId) {
      const pair = createStreamPair({
        tap: (frame, from) => {
          options.seenNear?.(frame, from);
          return frame;
        },
        peerIds: { caller, host: peerId },
      });
      near.push(pair.host);
      carryFrom(pair.host, door, gateway);
      return pair.caller;
    },
  });
  const from = (caller: string): CallTransport =>
    createGatewayTransport({
      ...sealing,
      direct: directFrom(caller),
      gateways: () => eachOf(options.gateways ?? [id]),
    });
  return { transport: from(PEERS.caller), from, direct: directFrom(PEERS.caller), gateway, near, far, hosts };
}

/** Has a peer of the mesh carry calls for everybody. */
export async function serveGateway(mesh: Mesh, options: Partial<GatewayOptions> = {}): Promise<Gateway> {
  const gateway = createGateway({ clock: systemClock, log: silentLog, transport: mesh }, options);
  const door = await doorParts();
  mesh.serveCalls((stream) => carryFrom(stream, door, gateway));
  return gateway;
}

/** A peer that hosts nothing and carries calls. */
function carryFrom(stream: CallStream, door: DoorParts, gateway: Gateway): void {
  const carry: DoorParts['carry'] = (source, request) => void gateway.carry({ stream, source, request });
  throughDoor({ ...door, carry }, stream).consume({ frame: () => {}, end: () => {}, fail: () => {} });
}
