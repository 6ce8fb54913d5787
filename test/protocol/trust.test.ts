import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import {
  type Certificate,
  certificate,
  verifyChain,
  verifyChainWith,
} from '../../src/protocol/certificate.ts';
import {
  createTrustedVerifier,
  createVerifier,
  type Signed,
  signOne,
  type Trust,
} from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite } from '../../src/protocol/suite-native.ts';

const network = 'local-0123456789abcdef';
const signerOf = (byte: number): Signer => createSigner(new Uint8Array(32).fill(byte));
const first = signerOf(1);
const second = signerOf(2);
const agent = signerOf(3);
const stranger = signerOf(4);
const nowMs = 1_790_000_000_000;
const sign = (signer: Signer, type: string): Signed =>
  signOne(nativeSuite, signer, network, { type, payload: Uint8Array.of(1, 2, 3) });

/** A ledger's word that can be changed: `first` is a DID that `signers` speak for. */
function wordOf(): Trust & { signers: Signer[]; revoked: Set<string>; next: PromiseWithResolvers<boolean> } {
  const word = {
    signers: [first],
    revoked: new Set<string>(),
    next: Promise.withResolvers<boolean>(),
    signersOf: (did: Uint8Array) =>
      toHex(did) === toHex(first.publicKey) ? word.signers.map(({ publicKey }) => publicKey) : undefined,
    isRevoked: (issuer: Uint8Array, serial: Uint8Array) => word.revoked.has(toHex(issuer) + toHex(serial)),
    version: () => 1,
    later: () => word.next.promise,
  };
  return word;
}

describe('a verifier that asks the ledger who signs for a DID', () => {
  it('takes the statements of the keys that count and of no other (ID-30)', async () => {
    const word = wordOf();
    const verifier = createTrustedVerifier(createVerifier(nativeSuite), word);
    word.next.resolve(false);
    const check = (signer: Signer): Promise<unknown> =>
      verifier.check(network, 'call', first.publicKey, sign(signer, 'call'));
    expect(await check(first)).toBeUndefined();
    expect(await check(second)).toBe('signature-invalid');
    word.signers = [second];
    expect(await check(second)).toBeUndefined();
    expect(await check(first)).toBe('signature-invalid');
    word.signers = [second, first];
    expect(await check(first)).toBeUndefined();
    expect(await check(stranger)).toBe('signature-invalid');
  });

  it('takes who never registered another key by their own, at once (ID-30)', async () => {
    const verifier = createTrustedVerifier(createVerifier(nativeSuite), wordOf());
    const { publicKey } = stranger;
    expect(await verifier.check(network, 'call', publicKey, sign(stranger, 'call'))).toBeUndefined();
    // Without waiting for a block that never comes.
    expect(await verifier.check(network, 'call', publicKey, sign(second, 'call'))).toBe('signature-invalid');
  });

  it('looks again after the next block, which may hold the rotation (ID-31)', async () => {
    const word = wordOf();
    const verifier = createTrustedVerifier(createVerifier(nativeSuite), word);
    const early = verifier.check(network, 'call', first.publicKey, sign(second, 'call'));
    const forged = verifier.check(network, 'call', first.publicKey, sign(stranger, 'call'));
    word.signers = [second];
    word.next.resolve(true);
    expect(await early).toBeUndefined();
    expect(await forged).toBe('signature-invalid');
    const unsigned = { ...sign(second, 'call'), signature: new Uint8Array(0) };
    expect(await verifier.check(network, 'call', first.publicKey, unsigned)).toBe('signature-missing');
  });
});

describe('a chain of certificates at the head of the ledger', () => {
  const link = (signer: Signer, of: Partial<Certificate>): Signed => {
    const payload = certificate.encode({
      version: 1,
      network,
      issuer: first.publicKey,
      subject: { kind: 'key', id: agent.publicKey },
      roles: ['agent'],
      capabilities: ['serve:agent/*'],
      notBeforeMs: nowMs,
      notAfterMs: nowMs + 1_000,
      serial: new Uint8Array(16).fill(9),
      ...of,
    });
    return signOne(nativeSuite, signer, network, { type: 'certificate', payload });
  };
  const expected = { network, root: first.publicKey, nowMs };
  const toAgent = { ...expected, subject: { kind: 'key', id: agent.publicKey } as const };

  it('is signed by the key that its issuer has now (ID-32)', async () => {
    const word = wordOf();
    const verifier = createTrustedVerifier(createVerifier(nativeSuite), word);
    word.next.resolve(false);
    word.signers = [second];
    const refused = expect.objectContaining({ code: 'certificate-invalid' });
    expect(() => verifyChain(nativeSuite, [link(first, {})], { ...toAgent, trust: word })).toThrow(refused);
    await expect(verifyChainWith(verifier, [link(first, {})], toAgent)).rejects.toEqual(refused);
    expect(verifyChain(nativeSuite, [link(second, {})], { ...toAgent, trust: word }).roles).toEqual([
      'agent',
    ]);
    expect((await verifyChainWith(verifier, [link(second, {})], toAgent)).roles).toEqual(['agent']);
  });

  it('is refused when the issuer of any link took it back (ID-33)', async () => {
    const below = link(agent, {
      issuer: agent.publicKey,
      subject: { kind: 'key', id: stranger.publicKey },
      serial: new Uint8Array(16).fill(7),
    });
    const links = [link(first, {}), below];
    const toStranger = { ...expected, subject: { kind: 'key', id: stranger.publicKey } as const };
    for (const [at, issuer, serial] of [
      [0, first, 9],
      [1, agent, 7],
    ] as const) {
      const word = wordOf();
      const verifier = createTrustedVerifier(createVerifier(nativeSuite), word);
      expect((await verifyChainWith(verifier, links, toStranger)).issuer).toEqual(agent.publicKey);
      word.revoked.add(toHex(issuer.publicKey) + toHex(new Uint8Array(16).fill(serial)));
      const refused = { code: 'certificate-invalid', facts: { link: at, reason: 'its issuer took it back' } };
      await expect(verifyChainWith(verifier, links, toStranger)).rejects.toMatchObject(refused);
      expect(() => verifyChain(nativeSuite, links, { ...toStranger, trust: word })).toThrow(
        expect.objectContaining(refused),
      );
    }
  });
});
