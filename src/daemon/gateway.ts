/**
 * Sealed calls at a daemon: what comes in over the mesh is opened with the keys of the agents hosted here or carried
 * on for who may ask that, and what goes out takes the way by gateway peers where the configuration names some.
 */
import { createGateway } from '../agent/gateway.ts';
import { createGatewayTransport } from '../agent/gateway-transport.ts';
import type { CallStream, CallTransport } from '../agent/ports.ts';
import { nativeSealCipher } from '../agent/sealed-cipher.ts';
import { throughDoor } from '../agent/sealed-door.ts';
import { askSealed } from '../agent/sealed-question.ts';
import { equalBytes } from '../base/bytes.ts';
import { timeoutSignal } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { CARD_PROTOCOL } from '../mesh/cards.ts';
import type { Directory } from '../mesh/directory.ts';
import type { Mesh } from '../mesh/interface.ts';
import { sendableError } from '../mesh/sendable.ts';
import { answerPaymentQuery } from '../payment/payment-service.ts';
import type { PublicKey } from '../protocol/ids.ts';
import { CARD_BYTES_MAX } from '../protocol/limits.ts';
import { PAYMENT_PROTOCOL, PAYMENT_QUERY_BYTES_MAX } from '../protocol/payment-query.ts';
import { createSealer, createUnsealer, type SealKey } from '../protocol/seal.ts';
import type { CallQuestion } from '../protocol/sealed-message.ts';
import type { Core } from './core.ts';
import { type CertifiedPeer, operatorOf } from './peer-certificate.ts';

/** The protocol under which a gateway is asked for the card of an agent elsewhere, by its hash. */
export const VIA_CARD_PROTOCOL = '/sahara/via/card/1';

const CARDS_AT_A_TIME_MAX = 64;

/** Longest wait for the answer to a sealed question, milliseconds. */
const QUESTION_TIMEOUT_MS = 10_000;

/** Sealed questions that are answered at a time. */
const QUESTIONS_AT_A_TIME_MAX = 64;

type GatewayCore = Pick<Core, 'config' | 'mesh' | 'network' | 'clock' | 'dice' | 'log' | 'operator'>;
type DoorCore = GatewayCore & Pick<Core, 'verifier' | 'replay' | 'payee'>;

/** Where calls come in: the stream that the host of this peer's agents serves. `keyOf`: sealing keys of its agents. */
export function createCallDoor(
  parts: DoorCore,
  keyOf: (agent: PublicKey) => SealKey | undefined,
): (stream: CallStream & CertifiedPeer) => CallStream {
  const { config, mesh, network, clock, dice, log, operator } = parts;
  const gateway = createGateway({ transport: mesh, clock, log });
  const refused = (peer: CertifiedPeer): boolean => {
    const { serve } = config.gateway;
    if (serve === 'all') return false;
    const vouching = serve === 'own' ? operatorOf(peer) : undefined;
    return vouching === undefined || !equalBytes(vouching, operator.publicKey);
  };
  const answer = answerQuestions(parts);
  const unsealer = createUnsealer({ network, cipher: nativeSealCipher, dice });
  const common = { unsealer, clock, sendable: sendableError, keyOf, answer };
  return (stream) =>
    throughDoor(
      {
        ...common,
        carry(source, request) {
          if (refused(stream)) stream.fail(new SaharaError('caller-refused', { what: 'gateway' }));
          else void gateway.carry({ stream, source, request });
        },
      },
      stream,
    );
}

/** Answers what payers ask when they do not reach this peer by themselves. */
function answerQuestions(parts: DoorCore): (question: CallQuestion) => Promise<Uint8Array> {
  const { payee, verifier, clock, replay, network } = parts;
  let open = 0;
  return async ({ protocol, body }) => {
    if (protocol !== PAYMENT_PROTOCOL) throw new SaharaError('version-unsupported', { found: protocol });
    if (body.length > PAYMENT_QUERY_BYTES_MAX) {
      const facts = { what: 'question', sizeBytes: body.length, limitBytes: PAYMENT_QUERY_BYTES_MAX };
      throw new SaharaError('too-large', facts);
    }
    if (open >= QUESTIONS_AT_A_TIME_MAX) throw new SaharaError('overloaded', { what: 'questions' });
    open++;
    try {
      return await answerPaymentQuery({ book: payee, verifier, clock, replay, network }, body);
    } finally {
      open--;
    }
  };
}

/** The transport of the calls that this peer makes: the mesh itself, or gateways over it. */
export function createCallsOut(parts: GatewayCore): CallTransport {
  const { config, mesh, network, clock, dice } = parts;
  if (config.gateway.via.length === 0) return mesh;
  return createGatewayTransport({
    direct: mesh,
    gateways: (options) => gatewaysOf(parts, options),
    sealer: createSealer({ network, cipher: nativeSealCipher, dice, clock }),
    clock,
    sendable: sendableError,
  });
}

/**
 * The mesh as the directory of a peer behind gateways sees it: hosts are not dialled, and their cards come from the
 * gateways, which cannot change them.
 */
export function meshBehindGateways(parts: Pick<GatewayCore, 'config' | 'mesh' | 'log'>): Mesh {
  const { config, mesh } = parts;
  if (config.gateway.via.length === 0) return mesh;
  return {
    ...mesh,
    connect: async (address) => address.slice(address.lastIndexOf('/') + 1),
    async request(peerId, protocol, body, options) {
      if (protocol !== CARD_PROTOCOL) return mesh.request(peerId, protocol, body, options);
      let failure = new SaharaError('peer-unreachable', { peer: peerId, reason: 'no gateway' });
      for await (const gateway of gatewaysOf(parts, options)) {
        try {
          const at = gateway === peerId ? CARD_PROTOCOL : VIA_CARD_PROTOCOL;
          return await mesh.request(gateway, at, body, options);
        } catch (error) {
          const cause = asSaharaError(error);
          // A peer that is no gateway for anybody does not know the question.
          failure =
            cause.code === 'version-unsupported' && gateway !== peerId
              ? new SaharaError('caller-refused', { what: 'gateway', peer: gateway }, { cause })
              : cause;
        }
      }
      throw failure;
    },
  };
}

/**
 * How a peer behind gateways asks payees: sealed to an agent that the payee hosts, as calls are. `agentAt`: the key of
 * an agent that a peer hosts.
 */
export function questionsBehindGateways(
  parts: GatewayCore,
  agentAt: (peerId: string) => PublicKey | undefined,
): Pick<Mesh, 'request'> {
  const { config, mesh, clock } = parts;
  if (config.gateway.via.length === 0) return mesh;
  const transport = createCallsOut(parts);
  return {
    async request(peerId, protocol, body, options) {
      const { answerBytesMax, timeoutMs = QUESTION_TIMEOUT_MS, signal } = options;
      for await (const gateway of gatewaysOf(parts, options)) {
        if (gateway === peerId) return mesh.request(peerId, protocol, body, options);
      }
      const agent = agentAt(peerId);
      if (agent === undefined) {
        throw new SaharaError('peer-unreachable', { peer: peerId, reason: 'no agent of it is listed' });
      }
      const late = timeoutSignal(clock, timeoutMs);
      const either = signal === undefined ? late : AbortSignal.any([late, signal]);
      const asked = { peerId, agent, question: { protocol, body } };
      try {
        return await askSealed(transport, asked, { answerBytesMax, signal: either });
      } catch (error) {
        if (late.aborted) throw new SaharaError('deadline-exceeded', { what: protocol, limitMs: timeoutMs });
        throw error;
      }
    },
  };
}

/** Hands cards of listed agents to the peers whose calls are carried here. Cards are public, and prove themselves. */
export function serveViaCards({ config, mesh }: GatewayCore, directory: Directory): () => void {
  if (config.gateway.serve === 'off') return () => {};
  return mesh.serve(VIA_CARD_PROTOCOL, {
    requestBytesMax: 32,
    answerBytesMax: CARD_BYTES_MAX,
    concurrencyMax: CARDS_AT_A_TIME_MAX,
    async handle(hash, _from, signal) {
      for (const listing of directory.agents()) {
        const hosts = listing.hosts.filter(({ cardHash }) => equalBytes(cardHash, hash));
        const [host] = hosts;
        if (host === undefined) continue;
        const { operator } = host.advert;
        return (await directory.card({ ...listing, operator, cardHash: hash, hosts }, { signal })).bytes;
      }
      throw new SaharaError('agent-unknown', { reason: 'no such card' });
    },
  });
}

/** Gateways that can be reached, in the order of the configuration. */
async function* gatewaysOf(
  { config, mesh, log }: Pick<GatewayCore, 'config' | 'mesh' | 'log'>,
  { signal }: { readonly signal?: AbortSignal },
): AsyncGenerator<string> {
  for (const address of config.gateway.via) {
    try {
      yield await mesh.connect(address, signal === undefined ? {} : { signal });
    } catch (error) {
      const { code } = asSaharaError(error);
      if (code === 'cancelled' || code === 'usage') throw error;
      log.debug('gateway not reached', { address, code });
    }
  }
}
