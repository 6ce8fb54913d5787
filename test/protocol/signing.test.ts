import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { domain } from '../../src/protocol/ids.ts';
import {
  checkSigned,
  createTickSigner,
  createVerifier,
  type Signed,
  signBatch,
  signed,
} from '../../src/protocol/signing.ts';
import type { Signer, Suite } from '../../src/protocol/suite.ts';
import { network, payer, stranger, suite } from './sample.ts';

const items = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ type: 'delta', payload: utf8(`${i}`) }));

function counting(): { readonly signer: Signer; readonly suite: Suite; signs: number; verifies: number } {
  const counts = {
    signs: 0,
    verifies: 0,
    signer: {
      publicKey: payer.publicKey,
      sign(message: Uint8Array): Uint8Array {
        counts.signs++;
        return payer.sign(message);
      },
    },
    suite: {
      ...suite,
      verifyAsync(key: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
        counts.verifies++;
        return suite.verifyAsync(key, message, signature);
      },
    },
  };
  return counts;
}

describe('batches', () => {
  it.each([1, 2, 3, 7, 64, 1000, 4096])(
    'of %i: one signature, each message verifies alone (SIGN-4)',
    (count) => {
      const counts = counting();
      const messages = signBatch(suite, counts.signer, network, items(count));
      expect(counts.signs).toBe(1);
      const step = Math.max(1, Math.floor(count / 16));
      for (let i = 0; i < count; i += step) {
        const message = signed.decode(signed.encode(messages[i] as Signed));
        expect(checkSigned(suite, network, 'delta', payer.publicKey, message)).toBeUndefined();
        const another = { ...message, payload: utf8('no') };
        expect(checkSigned(suite, network, 'delta', payer.publicKey, another)).toBe('signature-invalid');
      }
    },
  );

  it('of more than 4,096 are a defect of the caller; of none are empty (SIGN-9)', () => {
    expect(() => signBatch(suite, payer, network, items(4097))).toThrow('internal');
    expect(signBatch(suite, payer, network, [])).toEqual([]);
  });

  it('are verified once per root (SIGN-8)', async () => {
    const counts = counting();
    const messages = signBatch(suite, payer, network, items(64));
    const verifier = createVerifier(counts.suite);
    const faults = await Promise.all(
      messages.map((message) => verifier.check(network, 'delta', payer.publicKey, message)),
    );
    expect(faults.every((fault) => fault === undefined)).toBe(true);
    expect(counts.verifies).toBe(1);
    const [first] = messages;
    expect(await verifier.check(network, 'delta', stranger.publicKey, first as Signed)).toBe(
      'signature-invalid',
    );
    expect(await verifier.check(network, 'delta', new Uint8Array(33), first as Signed)).toBe(
      'signature-invalid',
    );
  });

  it('a verifier forgets verdicts beyond its limit and failures at once (SIGN-8)', async () => {
    const counts = counting();
    const small = createVerifier(counts.suite, 1);
    const [a, b] = ['a', 'b'].map(
      (text) => signBatch(suite, payer, network, [{ type: 'delta', payload: utf8(text) }])[0],
    );
    for (const message of [a, b, a]) await small.check(network, 'delta', payer.publicKey, message as Signed);
    expect(counts.verifies).toBe(3);
    let failing = true;
    const shaky = createVerifier({
      ...suite,
      verifyAsync: (...of) => (failing ? Promise.reject(new RangeError('busy')) : suite.verifyAsync(...of)),
    });
    await expect(shaky.check(network, 'delta', payer.publicKey, a as Signed)).rejects.toThrow('busy');
    failing = false;
    expect(await shaky.check(network, 'delta', payer.publicKey, a as Signed)).toBeUndefined();
  });

  it('hold a side for each sibling and nothing more, also past 32 bits (SIGN-6)', () => {
    const [message] = signBatch(suite, payer, network, items(1));
    for (const sides of [1, 2 ** 31, 2 ** 32, 2 ** 40]) {
      const crooked = { ...(message as Signed), sides };
      expect(checkSigned(suite, network, 'delta', payer.publicKey, crooked)).toBe('signature-invalid');
    }
  });
});

describe('a tick signer', () => {
  it('signs what gathers in a tick once, and splits what is too much (SIGN-9)', async () => {
    const counts = counting();
    const signer = createTickSigner({ suite, signer: counts.signer, network });
    const one = await Promise.all(items(5).map(({ type, payload }) => signer.sign(type, payload)));
    expect(counts.signs).toBe(1);
    for (const message of one) {
      expect(checkSigned(suite, network, 'delta', signer.publicKey, message)).toBeUndefined();
    }
    await Promise.all(items(1025).map(({ type, payload }) => signer.sign(type, payload)));
    expect(counts.signs).toBe(3);
  });

  it('tells everyone who waits when signing fails', async () => {
    const broken = {
      publicKey: payer.publicKey,
      sign: () => {
        throw new RangeError('no key');
      },
    };
    const signer = createTickSigner({ suite, signer: broken, network });
    const results = await Promise.allSettled([
      signer.sign('delta', utf8('a')),
      signer.sign('delta', utf8('b')),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });
});

describe('domains', () => {
  it('name the network and type without ambiguity (SIGN-5)', () => {
    expect(new TextDecoder().decode(domain('n-1', 'call').subarray(1))).toBe('sahara/1/n-1/call');
    expect(() => domain('n/1', 'call')).toThrow('internal');
    expect(() => domain('n'.repeat(250), 'call')).toThrow('internal');
  });
});
