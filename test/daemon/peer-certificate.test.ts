import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { systemClock as clock } from '../../src/base/clock.ts';
import { silentLog as log } from '../../src/base/log.ts';
import { systemDice as dice } from '../../src/base/random.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { certifyPeer, createPeerCheck, PEER_CERTIFICATE_MS } from '../../src/daemon/peer-certificate.ts';
import { createMesh } from '../../src/mesh/mesh.ts';
import { certificate, certificateChain, standingSerial } from '../../src/protocol/certificate.ts';
import { peerIdBytes, peerIdOf } from '../../src/protocol/ids.ts';
import { createSigner, nativeSuite } from '../../src/protocol/suite-native.ts';

const network = 'local-0123456789abcdef';
const operator = createSigner(new Uint8Array(32).fill(1));
const seed = new Uint8Array(32).fill(2);
const peer = createSigner(seed).publicKey;
const other = createSigner(new Uint8Array(32).fill(3)).publicKey;
const nobody = { peerSeed: seed, store: createMemoryStore(), log, clock, dice };

/** The peer ids of the two keys, as libp2p itself writes them. */
async function idsOf(): Promise<readonly [string, string]> {
  const ids: string[] = [];
  for (const peerSeed of [seed, new Uint8Array(32).fill(3)]) {
    const mesh = await createMesh({ ...nobody, peerSeed }, { network, private: true, dht: 'off' });
    ids.push(mesh.peerId);
    await mesh.stop();
  }
  return [ids[0] ?? '', ids[1] ?? ''];
}

describe('a peer certificate (ID-10)', async () => {
  const [peerId, otherId] = await idsOf();
  const told = certifyPeer({ network, clock, operator, peer });
  const check = createPeerCheck({ network, clock });

  it('names the peer by the bytes of its libp2p id', () => {
    expect(peerIdBytes(peerId)).toEqual(peerIdOf(peer));
    expect(peerIdBytes(otherId)).toEqual(peerIdOf(other));
    expect(peerIdBytes('not base58: 0OIl')).toBeUndefined();
  });

  it('holds for that peer, again and again, and need not be told', () => {
    expect(check({ peerId, peerCertificate: told })).toBeUndefined();
    expect(check({ peerId, peerCertificate: told })).toBeUndefined();
    expect(check({ peerId, peerCertificate: new Uint8Array(0) })).toBeUndefined();
  });

  it('is refused for another peer, on another network, after its end, and with any byte changed', () => {
    const refused = { code: 'certificate-invalid' };
    expect(check({ peerId: otherId, peerCertificate: told.slice() })).toMatchObject(refused);
    const elsewhere = createPeerCheck({ network: 'local-ffffffffffffffff', clock });
    expect(elsewhere({ peerId, peerCertificate: told })).toMatchObject(refused);
    const later = { ...clock, nowMs: () => clock.nowMs() + PEER_CERTIFICATE_MS + 60_000 };
    expect(createPeerCheck({ network, clock: later })({ peerId, peerCertificate: told })).toMatchObject(
      refused,
    );
    for (let at = 0; at < told.length; at++) {
      const changed = told.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(check({ peerId, peerCertificate: changed }), `byte ${at}`).toMatchObject(refused);
    }
  });

  it('has the same serial every time, which its operator takes back for good (ID-39, ID-33)', () => {
    const subject = { kind: 'peer', id: peerIdOf(peer) } as const;
    const serial = standingSerial(nativeSuite, network, operator.publicKey, subject);
    const [link] = certificateChain.decode(certifyPeer({ network, clock, operator, peer }));
    expect(certificate.decode(link?.payload ?? new Uint8Array(0)).serial).toEqual(serial);
    const name = Buffer.from(`sahara/1/${network}/certificate-serial`);
    const domain = Buffer.concat([Uint8Array.of(name.length), name]);
    const hash = createHash('sha256')
      .update(domain)
      .update(operator.publicKey)
      .update('peer/')
      .update(subject.id);
    expect(hash.digest().subarray(0, 16)).toEqual(Buffer.from(serial));
    let version = 1;
    const revoked = new Set<string>();
    const trust = {
      signersOf: () => undefined,
      isRevoked: (_: Uint8Array, of: Uint8Array) => revoked.has(toHex(of)),
      version: () => version,
      later: () => Promise.resolve(false),
    };
    const trusting = createPeerCheck({ network, clock, trust });
    expect(trusting({ peerId, peerCertificate: told })).toBeUndefined();
    revoked.add(toHex(serial));
    version++;
    const refused = { code: 'certificate-invalid', facts: { reason: 'its issuer took it back' } };
    // On the stream that stands, and on one with a certificate that was made anew.
    expect(trusting({ peerId, peerCertificate: told })).toMatchObject(refused);
    const again = certifyPeer({ network, clock, operator, peer });
    expect(trusting({ peerId, peerCertificate: again })).toMatchObject(refused);
  });
});
