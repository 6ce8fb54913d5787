/** An operator's wallet and ledger in memory, as a bridge reaches them, with losses on request. */
import { toHex } from '../../src/base/bytes.ts';
import { SaharaError } from '../../src/base/errors.ts';
import {
  GRANT_TYPE,
  grantText,
  type LinkCode,
  linkGrant,
  readCode,
  readGrant,
} from '../../src/bridges/core/grant.ts';
import type { Deposit, MoneyPort } from '../../src/bridges/core/ports.ts';
import { didOf, publicKeyOf } from '../../src/protocol/ids.ts';
import { checkSigned, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite } from '../../src/protocol/suite-native.ts';

/** What becomes of a payment: it is refused, lost before it is made, or made and its answer lost. */
export type PayFault = 'refused' | 'lost-before' | 'lost-after';

/** The wallet and what a test does to it. */
export interface MoneyService extends MoneyPort {
  readonly did: string;
  /** What was paid, by reference in hexadecimal. */
  readonly paid: ReadonlyMap<string, { readonly to: string; readonly amount: bigint }>;
  /** Somebody pays the operator. */
  receive(from: string, amount: bigint, memo: string): void;
  plan(fault: ((count: number) => PayFault | undefined) | undefined): void;
}

const NETWORK = 'test';
/** What a payment costs here, grains. */
export const FEE = 5n;

/** A key for a test, by its number. */
export function signerOf(number: number): Signer {
  return createSigner(new Uint8Array(32).fill(number));
}

/** A wallet without any payment. */
export function createMoneyService(): MoneyService {
  const operator = signerOf(200);
  const did = didOf(operator.publicKey);
  const deposits: Deposit[] = [];
  const claims = new Map<string, string>();
  const paid = new Map<string, { readonly to: string; readonly amount: bigint }>();
  let plan: ((count: number) => PayFault | undefined) | undefined;
  let count = 0;
  return {
    did,
    paid,
    receive(from, amount, memo) {
      deposits.push({
        id: toHex(nativeSuite.sha256(new Uint8Array(new Uint32Array([deposits.length]).buffer))),
        from,
        amount,
        memo,
      });
    },
    plan(next) {
      plan = next;
      count = 0;
    },
    whoami: async () => ({ did, network: NETWORK, fee: FEE }),
    // Each deposit is in a block of its own.
    deposits: async (height) => ({
      deposits: height === undefined ? [] : deposits.slice(height),
      height: deposits.length,
    }),
    async claim(deposit, book) {
      if (!claims.has(deposit)) claims.set(deposit, book);
      return claims.get(deposit) === book;
    },
    async pay({ reference, to, amount }) {
      if (publicKeyOf(to) === undefined) throw new SaharaError('usage');
      const key = toHex(reference);
      const before = paid.get(key);
      if (before !== undefined && (before.to !== to || before.amount !== amount))
        throw new SaharaError('usage');
      const fault = plan?.(++count);
      if (before === undefined && fault === 'refused') throw new SaharaError('funds-insufficient');
      if (fault === 'lost-before') throw new SaharaError('deadline-exceeded');
      paid.set(key, { to, amount });
      if (fault === 'lost-after') throw new SaharaError('deadline-exceeded');
      return 1 + [...paid.keys()].indexOf(key);
    },
    async grant(text) {
      const { message, grant } = readGrant(text);
      const fault = checkSigned(nativeSuite, NETWORK, GRANT_TYPE, grant.did, message);
      if (fault) throw new SaharaError(fault);
      return grant;
    },
  };
}

/** What the home of `signer` answers to a code. */
export function grantFor(
  code: string,
  signer: Signer,
  limits: {
    readonly callMax: bigint;
    readonly dayMax: bigint;
    readonly max: bigint;
    readonly expiresAtMs: number;
  },
  change: Partial<LinkCode> = {},
): string {
  const payload = linkGrant.encode({
    ...readCode(code),
    ...change,
    did: signer.publicKey,
    issuedAtMs: 1,
    ...limits,
  });
  return grantText(signOne(nativeSuite, signer, NETWORK, { type: GRANT_TYPE, payload }));
}
