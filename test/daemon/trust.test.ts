import { describe, expect, it } from 'vitest';
import { equalBytes, toHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { createTrust, type TrustLedger } from '../../src/daemon/trust.ts';
import { type Identity, identityKey } from '../../src/ledger/identities.ts';
import type { BlockEvent, LedgerReads } from '../../src/ledger/ledger.ts';
import { IDENTITIES } from '../../src/ledger/records-identity.ts';

const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const did = key(1);

/** A ledger's reads and blocks, told by hand, with a count of what was read. */
function told(mode: TrustLedger['mode'] = 'follower'): {
  ledger: TrustLedger;
  identities: Identity[];
  revoked: Set<string>;
  reads: () => number;
  block(height: number, identities?: readonly Uint8Array[]): void;
} {
  const identities: Identity[] = [];
  const revoked = new Set<string>();
  const listeners = new Set<(block: BlockEvent) => void>();
  let height = 10;
  let count = 0;
  const reads = {
    identity: (of: Uint8Array) => identities.find((one) => equalBytes(one.did, of)),
    isRevoked: (issuer: Uint8Array, serial: Uint8Array) => revoked.has(toHex(issuer) + toHex(serial)),
  } as LedgerReads;
  const head = (): ReturnType<TrustLedger['head']> => ({
    height,
    headerHash: key(0),
    stateRoot: key(0),
    timeMs: 0,
  });
  return {
    identities,
    revoked,
    reads: () => count,
    ledger: {
      mode,
      head,
      async prove(keys) {
        const known = identities.find(({ did: of }) => keys.some((key) => equalBytes(key, identityKey(of))));
        const { did: _, guardians, threshold, delayBlocks, recovery: __, ...rest } = known ?? identity(1);
        const policy = { guardians, threshold, delayBlocks };
        const value = known && IDENTITIES.schema.encode({ ...rest, policy });
        return {
          header: undefined,
          entries: keys.map((_key, i) => ({
            value: i === 0 && keys[0]?.[0] === 0x10 ? value : undefined,
            proof: { leaf: undefined, siblings: [] },
          })),
        };
      },
      read(about) {
        count++;
        const value = about(reads);
        return mode === 'light' ? Promise.resolve(value) : value;
      },
      onBlock(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    block(at, changed = []) {
      height = at;
      const event = { ...head(), inclusions: [], channels: [], assets: [], identities: changed };
      for (const listener of listeners) listener(event);
    },
  };
}

const identity = (signing: number, retired: Identity['retired'] = []): Identity => ({
  did,
  key: key(signing),
  next: key(99),
  retired,
  guardians: [],
  threshold: 0,
  delayBlocks: 10,
  recoveries: [],
  recovery: undefined,
});
const numbers = (keys: readonly Uint8Array[] | undefined): unknown => keys?.map(([first]) => first);

describe('trust in what the ledger says (ID-30)', () => {
  it('asks once for who never registered, and again when a block changed somebody', () => {
    const { ledger, identities, reads, block } = told();
    const trust = createTrust({ ledger, clock: systemClock });
    for (let i = 0; i < 5; i++) expect(trust.signersOf(did, 'call')).toBeUndefined();
    expect(reads()).toBe(1);
    identities.push(identity(2));
    block(11);
    expect(trust.signersOf(did, 'call')).toBeUndefined();
    expect(reads()).toBe(1);
    const before = trust.version();
    const changed: unknown[] = [];
    trust.onChange((dids) => changed.push(numbers(dids)));
    block(12, [did]);
    expect(changed).toEqual([[1]]);
    expect(trust.version()).toBeGreaterThan(before);
    expect(numbers(trust.signersOf(did, 'call'))).toEqual([2]);
    trust.stop();
    block(13, [did]);
    expect(changed).toHaveLength(1);
  });

  it('counts vouchers and charges of a retired key until they can be claimed no more', () => {
    const { ledger, identities, block } = told();
    const trust = createTrust({ ledger, clock: systemClock });
    identities.push(identity(2, [{ key: did, retiredAt: 10, until: 20 }]));
    for (const type of ['voucher', 'charge']) expect(numbers(trust.signersOf(did, type))).toEqual([2, 1]);
    for (const type of ['call', 'certificate', 'transaction']) {
      expect(numbers(trust.signersOf(did, type))).toEqual([2]);
    }
    block(19);
    expect(numbers(trust.signersOf(did, 'voucher'))).toEqual([2, 1]);
    block(20);
    expect(numbers(trust.signersOf(did, 'voucher'))).toEqual([2]);
    trust.stop();
  });

  it('forgets what was revoked when a block says so, and remembers within its limit', () => {
    const { ledger, revoked, reads, block } = told();
    const trust = createTrust({ ledger, clock: systemClock }, { rememberedMax: 2 });
    const serial = new Uint8Array(16).fill(5);
    expect(trust.isRevoked(did, serial)).toBe(false);
    revoked.add(toHex(did) + toHex(serial));
    expect(trust.isRevoked(did, serial)).toBe(false);
    block(11, [did]);
    expect(trust.isRevoked(did, serial)).toBe(true);
    for (const byte of [3, 4, 5]) trust.signersOf(key(byte), 'call');
    const before = reads();
    trust.signersOf(key(5), 'call');
    expect(reads()).toBe(before);
    trust.signersOf(key(3), 'call');
    expect(reads()).toBe(before + 1);
    trust.stop();
  });

  it('tells who waits of the next block, a limited number of them and not for ever (ID-31)', async () => {
    const { ledger, block } = told();
    const trust = createTrust({ ledger, clock: systemClock }, { waitingMax: 2, waitMs: 20 });
    const waiting = [trust.later(did), trust.later(did), trust.later(did)];
    expect(await waiting[2]).toBe(false);
    block(11);
    expect(await Promise.all(waiting)).toEqual([true, true, false]);
    expect(await trust.later(did)).toBe(false);
    trust.stop();
  });

  it('fails nobody but who waits when nothing can be proved', async () => {
    const { ledger } = told('light');
    const prove = async (): Promise<never> => {
      throw new SaharaError('state-unproven', {});
    };
    const trust = createTrust({ ledger: { ...ledger, prove }, clock: systemClock });
    // Vitest fails a run in which a rejection was not handled.
    expect(trust.ready?.(did, key(2))).toBeDefined();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await expect(trust.ready?.(did)).rejects.toMatchObject({ code: 'state-unproven' });
    trust.stop();
  });

  it('waits for proofs where the ledger has to ask for them', async () => {
    const { ledger, identities, block } = told('light');
    const trust = createTrust({ ledger, clock: systemClock }, { lightMs: 20 });
    identities.push(identity(2));
    await trust.ready?.(did, new Uint8Array(16));
    expect(numbers(trust.signersOf(did, 'call'))).toEqual([2]);
    expect(numbers(trust.signersOf(did, 'call'))).toEqual([2]);
    const before = trust.version();
    identities[0] = identity(3);
    block(11);
    await new Promise((resolve) => setTimeout(resolve, 30));
    // Who cannot wait has the old answer while the new one is asked for.
    expect(numbers(trust.signersOf(did, 'call'))).toEqual([2]);
    await trust.ready?.(did);
    expect(trust.version()).toBeGreaterThan(before);
    expect(numbers(trust.signersOf(did, 'call'))).toEqual([3]);
    trust.stop();
  });
});
