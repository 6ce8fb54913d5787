import { toHex, utf8 } from '../../src/base/bytes.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { type Signed, signBatch, signed } from '../../src/protocol/signing.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import { filled, network, operator, payer, sign, stranger, suite } from '../../test/protocol/sample.ts';
import type { Vectors } from './file.ts';

interface SignedCase {
  readonly name: string;
  /** The wire form of the signed message. */
  readonly message: string;
  readonly type: string;
  readonly publicKey: string;
}

interface RefusedCase extends SignedCase {
  readonly code: 'signature-missing' | 'signature-invalid';
}

const wire = (message: Signed): string => toHex(signed.encode(message));

/** Messages signed alone and in batches, and the same with one fault each. */
export function signingVectors(): Vectors<SignedCase, RefusedCase> {
  const publicKey = toHex(payer.publicKey);
  const payload = utf8('payload');
  const alone = sign(payer, 'voucher', payload);
  const items = Array.from({ length: 5 }, (_, i) => ({
    type: i === 2 ? 'call' : 'voucher',
    payload: filled(i, 4),
  }));
  const batch = signBatch(suite, payer, network, items);
  const third = batch[2] ?? alone;
  const base = { type: 'voucher', publicKey };
  const bad = (name: string, message: Signed, more: Partial<RefusedCase> = {}): RefusedCase => ({
    name,
    message: wire(message),
    ...base,
    code: 'signature-invalid',
    ...more,
  });
  const changed = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
  const elsewhere =
    signBatch(suite, payer, 'other-0123456789abcdef', [{ type: 'voucher', payload }])[0] ?? alone;
  const call = { type: 'call' };
  return {
    about:
      'Signed messages (SIGN-4 to SIGN-8). A message is valid for its network, type and key, and no other.',
    given: { network, seeds: { payer: toHex(filled(3)), operator: toHex(filled(1)) } },
    valid: [
      { name: 'alone', message: wire(alone), ...base },
      { name: 'an empty payload', message: wire(sign(payer, 'voucher', new Uint8Array(0))), ...base },
      ...batch.map((message, i) => ({
        name: `${i + 1} of a batch of 5`,
        message: wire(message),
        type: items[i]?.type ?? '',
        publicKey,
      })),
    ],
    invalid: [
      bad('missing signature', { ...alone, signature: new Uint8Array(0) }, { code: 'signature-missing' }),
      bad(
        'missing signature and another payload: the first fault counts',
        {
          ...alone,
          payload: changed(payload),
          signature: new Uint8Array(0),
        },
        { code: 'signature-missing' },
      ),
      bad('cut signature', { ...alone, signature: alone.signature.subarray(0, 63) }),
      bad('changed signature', { ...alone, signature: changed(alone.signature) }),
      bad('changed payload', { ...alone, payload: changed(payload) }),
      bad('of another type', alone, { type: 'receipt' }),
      bad('of another network', elsewhere),
      bad('by another key', alone, { publicKey: toHex(operator.publicKey) }),
      bad('by a small-order key', alone, { publicKey: `01${'00'.repeat(31)}` }),
      bad('a side without a sibling', { ...alone, sides: 1 }),
      bad('another side', { ...third, sides: third.sides ^ 1 }, call),
      bad('a changed sibling', { ...third, siblings: third.siblings.map(changed) }, call),
      bad('a sibling too few', { ...third, siblings: third.siblings.slice(0, -1) }, call),
      bad('a sibling too many', { ...third, siblings: [...third.siblings, filled(0)] }, call),
    ],
  };
}

interface DidCase {
  readonly did: string;
  readonly publicKey: string;
}

/** Keys and their names, and names that are none. */
export function identityVectors(): Vectors<DidCase, { readonly name: string; readonly did: string }> {
  const keys = [operator, payer, stranger, createSigner(filled(0))].map((signer) => signer.publicKey);
  const did = didOf(operator.publicKey);
  return {
    about: 'did:key names of Ed25519 public keys (ID-1, ID-2).',
    valid: keys.map((publicKey) => ({ did: didOf(publicKey), publicKey: toHex(publicKey) })),
    invalid: [
      { name: 'empty', did: '' },
      { name: 'no method', did: did.slice(4) },
      { name: 'another method', did: did.replace('did:key', 'did:web') },
      { name: 'another base', did: did.replace(':z', ':m') },
      { name: 'cut', did: did.slice(0, -1) },
      { name: 'longer', did: `${did}1` },
      { name: 'a leading zero', did: did.replace(':z', ':z1') },
      { name: 'a secp256k1 key', did: 'did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme' },
      { name: 'a fragment', did: `${did}#key-1` },
      { name: 'a character outside base58', did: `${did.slice(0, -1)}0` },
    ],
  };
}
