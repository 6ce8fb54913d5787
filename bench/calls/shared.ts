/** What both processes of the bench agree on. */
import type { ChannelInfo, ChannelView } from '../../src/payment/ports.ts';
import type { Card } from '../../src/protocol/card.ts';
import { createTickSigner, type TickSigner } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite } from '../../src/protocol/suite-native.ts';

export const NETWORK = 'bench-0000000000000000';

export const QUESTION =
  'How does a payee get paid if the payer disappears in the middle of an answer, and what proves to a third party that exactly this part of the answer was delivered and nothing else was charged?';

export const ANSWER =
  'The payee claims on the ledger with the last voucher that the payer signed and its own charge over the receipts so far. The ledger pays the smaller of the two, never more than the deposit, and only what was not claimed before. The receipt signs the end of a hash chain over everything that was delivered, so a third party repeats the chain and the sum and needs nobody for it.';

/** Signers from fixed seeds. */
export const keys: { readonly payer: Signer; readonly operator: Signer; readonly agent: Signer } = {
  payer: createSigner(new Uint8Array(32).fill(11)),
  operator: createSigner(new Uint8Array(32).fill(12)),
  agent: createSigner(new Uint8Array(32).fill(13)),
};

/** A tick signer of the bench's network. */
export function tick(signer: Signer): TickSigner {
  return createTickSigner({ suite: nativeSuite, signer, network: NETWORK });
}

const CHANNEL: ChannelInfo = {
  id: new Uint8Array(32).fill(14),
  payer: keys.payer.publicKey,
  payee: keys.operator.publicKey,
  deposit: 10n ** 17n,
  claimed: 0n,
  state: 'open',
  leaving: 0n,
  revision: 0,
  lanes: [],
};

/** The one channel between them. */
export const channels: ChannelView = { channel: () => CHANNEL, between: () => [CHANNEL] };

/** The agent's card: paid, or free without limit. */
export function cardOf(paid: boolean): Card {
  const price = paid ? 1_000n : 0n;
  return {
    version: 1,
    network: NETWORK,
    agent: keys.agent.publicKey,
    operator: keys.operator.publicKey,
    name: 'bench',
    description: '',
    languages: ['en'],
    skills: [],
    price: { perCall: price, perInputUnit: 0n, perOutputUnit: 0n },
    free: { calls: 0, windowSeconds: 3_600 },
    limits: { questionBytes: 8_192, outputUnits: 1_000, deadlineMs: 60_000, concurrency: 256 },
    licence: '',
    manifestHash: new Uint8Array(32),
    model: { name: 'bench', digest: new Uint8Array(32), determinism: 'exact' },
    asset: new Uint8Array(32).fill(15),
    issuedAtMs: 1_700_000_000_000,
    operatorCertificate: new Uint8Array(0),
  };
}

/** What a host process says when it is ready. */
export interface HostReady {
  /** Where its calls are served: paid, free, and answered without any call layer. */
  readonly paid: string;
  readonly free: string;
  readonly bare: string;
  readonly cards: { readonly paid: string; readonly free: string };
}

/** Where one agent of the stream bench is served, and its signed card in hexadecimal. */
interface Served {
  readonly address: string;
  readonly card: string;
}

/** What the stream bench's host says when it is ready: an agent at one price a call, and one at a price a word. */
export interface StreamReady {
  readonly whole: Served;
  readonly pieces: Served;
}

/** How the words of one answer came. */
export interface StreamTimes {
  readonly firstMs: number;
  readonly wordsPerSecond: number;
}

/** What the sealed bench's host says when it and its gateway are ready. */
export interface SealedReady {
  readonly host: string;
  readonly gateway: string;
  readonly card: string;
}
