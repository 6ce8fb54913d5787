/**
 * Who signs for whom, as the ledger has it: answers the verifier's questions from the last block, remembers them until
 * a block changes them, and tells who asked in vain when there is a later block.
 */
import type { Clock } from '../base/clock.ts';
import type { Identity } from '../ledger/identities.ts';
import type { BlockEvent, Ledger } from '../ledger/ledger.ts';
import { nameOf } from '../ledger/names.ts';
import { signersIn } from '../protocol/identity.ts';
import type { PublicKey } from '../protocol/ids.ts';
import type { Trust } from '../protocol/signing.ts';

/** What is asked of a ledger. */
export type TrustLedger = Pick<Ledger, 'mode' | 'read' | 'onBlock' | 'head'>;

/** Limits of what is remembered and waited for. */
export interface TrustOptions {
  /** DIDs and certificates of which answers are remembered, each. Default 8,192. */
  readonly rememberedMax: number;
  /** Longest wait for a later block, milliseconds. Default 2,000. */
  readonly waitMs: number;
  /** Checks that wait at a time; further ones are not held up. Default 64. */
  readonly waitingMax: number;
}

/** Values for every option. */
export const TRUST_DEFAULTS: TrustOptions = { rememberedMax: 8192, waitMs: 2_000, waitingMax: 64 };

/** Types of statements of a retired key that count for a while: its payee can claim by them no longer than that. */
const COUNT_A_WHILE: ReadonlySet<string> = new Set(['voucher', 'charge']);

interface Signers {
  readonly now: readonly PublicKey[];
  readonly identity: Identity;
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
  readonly #signers = new Map<string, Signers | undefined>();
  readonly #revoked = new Map<string, boolean>();
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
    const name = nameOf(did);
    const known = this.#signers.get(name) ?? (this.#signers.has(name) ? undefined : this.#read(name, did));
    if (known === undefined || known.identity.retired.length === 0 || !COUNT_A_WHILE.has(type))
      return known?.now;
    // A claim made now is in the next block at the earliest.
    return signersIn(known.identity, did, this.#parts.ledger.head().height + 1);
  }

  isRevoked(issuer: PublicKey, serial: Uint8Array): boolean {
    const name = nameOf(issuer) + nameOf(serial);
    return this.#revoked.get(name) ?? this.#readRevoked(name, issuer, serial) ?? false;
  }

  ready(did: PublicKey, serial?: Uint8Array): Promise<unknown> | undefined {
    if (this.#parts.ledger.mode !== 'light') return undefined;
    const { read } = this.#parts.ledger;
    const name = nameOf(did);
    const waits: Promise<unknown>[] = [];
    if (!this.#signers.has(name)) {
      const found = read(({ identity }) => identity(did));
      if (found instanceof Promise) waits.push(found.then((one) => this.#keep(name, one)));
    }
    if (serial !== undefined && !this.#revoked.has(name + nameOf(serial))) {
      const found = read(({ isRevoked }) => isRevoked(did, serial));
      if (found instanceof Promise)
        waits.push(found.then((one) => this.#keepRevoked(name + nameOf(serial), one)));
    }
    return waits.length === 0 ? undefined : Promise.all(waits);
  }

  version(): number {
    return this.#version;
  }

  later(): Promise<boolean> {
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

  #forget(): void {
    this.#signers.clear();
    this.#revoked.clear();
    this.#version++;
  }

  #read(name: string, did: PublicKey): Signers | undefined {
    const found = this.#parts.ledger.read(({ identity }) => identity(did));
    if (!(found instanceof Promise)) return this.#keep(name, found);
    // Where answers have to be waited for, whoever could not wait is asked again when there is one.
    found.then(
      (one) => {
        this.#keep(name, one);
        this.#version++;
      },
      () => {},
    );
    return undefined;
  }

  #readRevoked(name: string, issuer: PublicKey, serial: Uint8Array): boolean | undefined {
    const found = this.#parts.ledger.read(({ isRevoked }) => isRevoked(issuer, serial));
    if (!(found instanceof Promise)) return this.#keepRevoked(name, found);
    found.then(
      (one) => {
        this.#keepRevoked(name, one);
        this.#version++;
      },
      () => {},
    );
    return undefined;
  }

  #keep(name: string, identity: Identity | undefined): Signers | undefined {
    const known = identity && { now: [identity.key], identity };
    remember(this.#signers, name, known, this.#options.rememberedMax);
    return known;
  }

  #keepRevoked(name: string, revoked: boolean): boolean {
    remember(this.#revoked, name, revoked, this.#options.rememberedMax);
    return revoked;
  }

  #take({ identities }: BlockEvent): void {
    // Proofs are of one block; what was not proved at this one may have changed.
    if (this.#parts.ledger.mode === 'light') this.#forget();
    if (identities.length > 0) {
      for (const did of identities) this.#signers.delete(nameOf(did));
      this.#revoked.clear();
      this.#version++;
    }
    for (const come of [...this.#waiting]) come();
    if (identities.length > 0) for (const listener of this.#listeners) listener(identities);
  }
}

function remember<V>(map: Map<string, V>, name: string, value: V, max: number): void {
  map.set(name, value);
  if (map.size > max) map.delete(map.keys().next().value as string);
}
