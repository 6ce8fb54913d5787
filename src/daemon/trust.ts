/**
 * Who signs for whom, as the ledger has it: answers the verifier's questions from the last block, remembers them until
 * a block changes them, and tells who asked in vain when there is a later block.
 */
import { equalBytes } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { type Identity, identityIn, identityKey, revocationKey } from '../ledger/identities.ts';
import type { BlockEvent, Ledger, LedgerReads } from '../ledger/ledger.ts';
import { nameOf } from '../ledger/names.ts';
import { signersIn } from '../protocol/identity.ts';
import type { PublicKey } from '../protocol/ids.ts';
import type { Trust } from '../protocol/signing.ts';

/** What is asked of a ledger. */
export type TrustLedger = Pick<Ledger, 'mode' | 'read' | 'prove' | 'onBlock' | 'head'>;

/** Limits of what is remembered and waited for. */
export interface TrustOptions {
  /** DIDs and certificates of which answers are remembered, each. Default 8,192. */
  readonly rememberedMax: number;
  /** How old an answer of a light ledger, which does not hear of all changes, may become, milliseconds. Default 5,000. */
  readonly lightMs: number;
  /** Longest wait for a later block, milliseconds. Default 2,000. */
  readonly waitMs: number;
  /** Checks that wait at a time; further ones are not held up. Default 64. */
  readonly waitingMax: number;
}

/** Values for every option. */
export const TRUST_DEFAULTS: TrustOptions = {
  rememberedMax: 8192,
  lightMs: 5_000,
  waitMs: 2_000,
  waitingMax: 64,
};

/** Types of statements of a retired key that count for a while: its payee can claim by them no longer than that. */
const COUNT_A_WHILE: ReadonlySet<string> = new Set(['voucher', 'charge']);

interface Signers {
  readonly now: readonly PublicKey[];
  readonly identity: Identity;
}

/** What is asked of a ledger: as a read, and as the record under a state key that a light one has proved. */
interface Question<T> {
  readonly name: string;
  readonly about: (reads: LedgerReads) => T;
  readonly key: Uint8Array;
  readonly proved: (value: Uint8Array | undefined) => T;
}

/** An answer and when it was given. */
interface Known<V> {
  readonly value: V;
  readonly atMs: number;
}

/** The trust of a running daemon. */
export interface LedgerTrust extends Trust {
  /** Tells which DIDs' keys or certificates a block changed. Returns how to stop it. */
  onChange(listener: (dids: readonly PublicKey[]) => void): () => void;
  stop(): void;
}

/** The trust that follows from `parts.ledger`. */
export function createTrust(
  parts: { readonly ledger: TrustLedger; readonly clock: Clock },
  options: Partial<TrustOptions> = {},
): LedgerTrust {
  return new FollowingTrust(parts, { ...TRUST_DEFAULTS, ...options });
}

class FollowingTrust implements LedgerTrust {
  readonly #parts: { readonly ledger: TrustLedger; readonly clock: Clock };
  readonly #options: TrustOptions;
  readonly #signers = new Map<string, Known<Signers | undefined>>();
  readonly #revoked = new Map<string, Known<boolean>>();
  /** Questions that a light ledger has not answered yet. */
  readonly #asking = new Map<string, Promise<unknown>>();
  readonly #waiting = new Set<() => void>();
  readonly #listeners = new Set<(dids: readonly PublicKey[]) => void>();
  readonly #unwatch: () => void;
  #version = 1;

  constructor(parts: { readonly ledger: TrustLedger; readonly clock: Clock }, options: TrustOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#unwatch = parts.ledger.onBlock((block) => this.#take(block));
  }

  signersOf(did: PublicKey, type: string): readonly PublicKey[] | undefined {
    const known = this.#signers.get(nameOf(did)) ?? this.#askKeys(did);
    const signers = known instanceof Promise ? undefined : known.value;
    if (!(known instanceof Promise) && this.#isStale(known)) this.#later(this.#askKeys(did));
    if (signers === undefined || signers.identity.retired.length === 0 || !COUNT_A_WHILE.has(type)) {
      return signers?.now;
    }
    // A claim made now is in the next block at the earliest.
    return signersIn(signers.identity, did, this.#parts.ledger.head().height + 1);
  }

  isRevoked(issuer: PublicKey, serial: Uint8Array): boolean {
    const known = this.#revoked.get(nameOf(issuer) + nameOf(serial)) ?? this.#askRevoked(issuer, serial);
    // Where answers have to be waited for, whoever could not wait is asked again when there is one.
    if (known instanceof Promise) return false;
    if (this.#isStale(known)) this.#later(this.#askRevoked(issuer, serial));
    return known.value;
  }

  ready(did: PublicKey, serial?: Uint8Array): Promise<unknown> | undefined {
    if (this.#parts.ledger.mode !== 'light') return undefined;
    const keys = this.#signers.get(nameOf(did));
    const waits: unknown[] = [];
    if (keys === undefined || this.#isStale(keys)) waits.push(this.#askKeys(did));
    if (serial !== undefined) {
      const revoked = this.#revoked.get(nameOf(did) + nameOf(serial));
      if (revoked === undefined || this.#isStale(revoked)) waits.push(this.#askRevoked(did, serial));
    }
    if (waits.length === 0) return undefined;
    const ready = Promise.all(waits);
    // Who only wants to know whether there is something to wait for does not hear of its failure.
    ready.catch(() => {});
    return ready;
  }

  version(): number {
    const { ledger, clock } = this.#parts;
    if (ledger.mode !== 'light') return this.#version;
    // Whoever goes by an earlier answer has to ask again before it is too old.
    return this.#version + Math.floor(clock.monotonicMs() / this.#options.lightMs);
  }

  later(did: PublicKey): Promise<boolean> {
    if (this.#parts.ledger.mode === 'light') {
      return Promise.resolve(this.#askKeys(did)).then(
        () => true,
        () => false,
      );
    }
    if (this.#waiting.size >= this.#options.waitingMax) return Promise.resolve(false);
    return new Promise((resolve) => {
      const come = (): void => {
        cancel();
        this.#waiting.delete(come);
        resolve(true);
      };
      const cancel = this.#parts.clock.after(this.#options.waitMs, () => {
        this.#waiting.delete(come);
        resolve(false);
      });
      this.#waiting.add(come);
    });
  }

  onChange(listener: (dids: readonly PublicKey[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
    this.#unwatch();
    for (const come of this.#waiting) come();
  }

  /** Whether an answer that a light ledger gave is too old to be relied on. */
  #isStale({ atMs }: Known<unknown>): boolean {
    if (this.#parts.ledger.mode !== 'light') return false;
    return this.#parts.clock.monotonicMs() - atMs > this.#options.lightMs;
  }

  #later(asked: unknown): void {
    if (asked instanceof Promise) asked.catch(() => {});
  }

  #askKeys(did: PublicKey): Known<Signers | undefined> | Promise<Known<Signers | undefined>> {
    const name = nameOf(did);
    const keep = (identity: Identity | undefined): Known<Signers | undefined> =>
      this.#keep(this.#signers, name, identity && { now: [identity.key], identity });
    const proved = (value: Uint8Array | undefined): Identity | undefined =>
      identityIn((table) => value && table.schema.decode(value), did);
    const about = (reads: LedgerReads): Identity | undefined => reads.identity(did);
    return this.#ask({ name: `keys ${name}`, about, key: identityKey(did), proved }, keep);
  }

  #askRevoked(issuer: PublicKey, serial: Uint8Array): Known<boolean> | Promise<Known<boolean>> {
    const name = nameOf(issuer) + nameOf(serial);
    const keep = (revoked: boolean): Known<boolean> => this.#keep(this.#revoked, name, revoked);
    const about = (reads: LedgerReads): boolean => reads.isRevoked(issuer, serial);
    const proved = (value: Uint8Array | undefined): boolean => value !== undefined;
    return this.#ask({ name: `revoked ${name}`, about, key: revocationKey(issuer, serial), proved }, keep);
  }

  /** Reads at once where that is possible, and otherwise once for all who ask at the same time. */
  #ask<T, V>(question: Question<T>, keep: (value: T) => Known<V>): Known<V> | Promise<Known<V>> {
    const { name, about, key, proved } = question;
    const under = this.#asking.get(name) as Promise<Known<V>> | undefined;
    if (under !== undefined) return under;
    const { ledger } = this.#parts;
    // A light ledger remembers what it read a while ago, so it is asked for a proof at the newest block.
    const found =
      ledger.mode === 'light'
        ? ledger.prove([key]).then(({ entries: [entry] }) => proved(entry?.value))
        : ledger.read(about);
    if (!(found instanceof Promise)) return keep(found);
    const asking = found.then(keep).finally(() => this.#asking.delete(name));
    this.#asking.set(name, asking);
    // Who cannot wait for it does not hear of its failure.
    asking.catch(() => {});
    return asking;
  }

  #keep<V>(map: Map<string, Known<V>>, name: string, value: V): Known<V> {
    const before = map.get(name);
    const known = { value, atMs: this.#parts.clock.monotonicMs() };
    map.delete(name);
    map.set(name, known);
    if (map.size > this.#options.rememberedMax) map.delete(map.keys().next().value as string);
    // Whoever could not wait for the first answer, or had an older one, looks again.
    if (this.#parts.ledger.mode === 'light' && (before === undefined || !same(before.value, value))) {
      this.#version++;
    }
    return known;
  }

  #take({ identities }: BlockEvent): void {
    if (identities.length > 0) {
      for (const did of identities) this.#signers.delete(nameOf(did));
      this.#revoked.clear();
      this.#version++;
    }
    for (const come of [...this.#waiting]) come();
    if (identities.length > 0) for (const listener of this.#listeners) listener(identities);
  }
}

function same(one: unknown, other: unknown): boolean {
  if (typeof one !== 'object' || typeof other !== 'object') return one === other;
  const [a, b] = [one as Signers | null, other as Signers | null];
  const keys = [a?.now[0], b?.now[0]];
  return keys[0] !== undefined && keys[1] !== undefined && equalBytes(keys[0], keys[1]);
}
