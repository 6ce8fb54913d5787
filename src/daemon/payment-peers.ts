/**
 * Questions about channels between peers: a payer asks its payee for what it has lost. Where a payee can be reached
 * is known from its agents' adverts, and remembered for the time right after a restart, when none have come yet.
 */
import { fromUtf8, toHex, utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { Store } from '../base/store.ts';
import type { Mesh } from '../mesh/interface.ts';
import { answerPaymentQuery, type PaymentServiceParts } from '../payment/payment-service.ts';
import type { PaymentPeer } from '../payment/ports.ts';
import type { PublicKey } from '../protocol/ids.ts';
import {
  PAYMENT_ANSWER_BYTES_MAX,
  PAYMENT_PROTOCOL,
  PAYMENT_QUERY_BYTES_MAX,
} from '../protocol/payment-query.ts';

const CONCURRENCY = 64;

/** Where payees are reached. */
export interface PaymentPeers extends PaymentPeer {
  /** Remembers that the payee was reached at this peer. */
  met(payee: PublicKey, peerId: string): Promise<void>;
}

/** Asks payees over `mesh`. `hostsOf`: peers that host an operator's agents now. The store is this part's own. */
export function createPaymentPeers(parts: {
  readonly mesh: Pick<Mesh, 'request'>;
  readonly store: Store;
  readonly hostsOf: (operator: PublicKey) => readonly string[];
}): PaymentPeers {
  const { mesh, store } = parts;
  const remembered = async (payee: PublicKey): Promise<readonly string[]> => {
    const kept = await store.get(payee);
    const peerId = kept && fromUtf8(kept);
    return peerId === undefined ? [] : [peerId];
  };
  return {
    async ask(payee, body, options = {}) {
      const peers = new Set([...parts.hostsOf(payee), ...(await remembered(payee))]);
      let failure = new SaharaError('peer-unreachable', {
        payee: toHex(payee),
        reason: 'no peer of it is known',
      });
      for (const peerId of peers) {
        try {
          const limits = { answerBytesMax: PAYMENT_ANSWER_BYTES_MAX, ...options };
          return await mesh.request(peerId, PAYMENT_PROTOCOL, body, limits);
        } catch (error) {
          if (!(error instanceof SaharaError) || error.kind !== 'unavailable') throw error;
          failure = error;
        }
      }
      throw failure;
    },
    async met(payee, peerId) {
      if ((await remembered(payee))[0] === peerId) return;
      await store.batch([{ type: 'put', key: payee, value: utf8(peerId) }]);
    },
  };
}

/** Answers payers' questions about their channels. */
export function servePayments(mesh: Mesh, parts: PaymentServiceParts): () => void {
  return mesh.serve(PAYMENT_PROTOCOL, {
    requestBytesMax: PAYMENT_QUERY_BYTES_MAX,
    answerBytesMax: PAYMENT_ANSWER_BYTES_MAX,
    concurrencyMax: CONCURRENCY,
    handle: (body) => answerPaymentQuery(parts, body),
  });
}
