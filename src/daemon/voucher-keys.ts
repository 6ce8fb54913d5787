/**
 * Keys for the vouchers of single channels (PAY-70): made here, named to the ledger by the payer's own key, and used as
 * soon as the ledger has them. The one made last signs, and only while the ledger has it for the channel; whenever that is
 * not so, the payer's own key signs, which counts in any case. So a change of keys, and a crash at any moment of it, holds
 * up no call.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { point } from '../base/points.ts';
import type { Store } from '../base/store.ts';
import { channelEvidenceOf } from '../ledger/key-evidence.ts';
import type { Channel, Ledger } from '../ledger/ledger.ts';
import { RESULT_CODES } from '../ledger/result-codes.ts';
import { presentKey, type VoucherKeyring } from '../payment/voucher-signer.ts';
import { didOf, type Hash, type PublicKey } from '../protocol/ids.ts';
import type { KeyEvidence } from '../protocol/key-evidence.ts';
import { createTickSigner, type TickSigner } from '../protocol/signing.ts';
import type { Signer, Suite } from '../protocol/suite.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { VoucherSecrets } from './keys.ts';
import {
  dropVoucherRecord,
  keepVoucherRecord,
  type MadeKey,
  readVoucherRecords,
  type VoucherRecord,
} from './voucher-records.ts';
import type { Wallet } from './wallet.ts';

/** How long the payer's own key signs after a payee refused a voucher, milliseconds. */
const OWN_KEY_MS = 30_000;

/** Channels of which keys are remembered; those that ended leave first. */
const CHANNELS_REMEMBERED_MAX = 1_024;

/** What becomes of a channel's voucher key. */
export type VoucherKeyChange = 'set' | 'rotate' | 'revoke';

/** How the voucher key of a channel stands. */
export interface VoucherKeyState {
  /** The key that the ledger has for it. */
  readonly present: PublicKey | undefined;
  /** Whether that key is in this home, and signs. */
  readonly here: boolean;
  /** A key that was made and that the ledger does not have: what was begun is gone on with by the same change. */
  readonly pending: PublicKey | undefined;
  /** Former keys whose vouchers can still be claimed, to that height. */
  readonly former: readonly { readonly key: PublicKey; readonly until: number }[];
}

/** What voucher keys work with. */
export interface VoucherKeyParts {
  readonly network: string;
  readonly secrets: VoucherSecrets;
  readonly ledger: Pick<Ledger, 'channel' | 'head' | 'prove'>;
  readonly wallet: Pick<Wallet, 'publicKey' | 'send'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Default: the native one. */
  readonly suite?: Suite;
  /** This part has the store for itself. */
  readonly store: Store;
}

/** The voucher keys of a payer. */
export interface VoucherKeys extends VoucherKeyring {
  /** How the key of a channel stands. */
  state(channel: Channel): VoucherKeyState;
  /**
   * Gives a channel a key of its own, another one, or none. Resolves once the ledger has it. Throws `channel-unknown` where
   * this peer is not the payer, `usage` for a key that is there already or is not, and what sending throws: whatever was
   * begun then is gone on with when it is asked for again.
   */
  change(
    channel: Channel,
    change: VoucherKeyChange,
    options?: { readonly signal?: AbortSignal },
  ): Promise<VoucherKeyState>;
  /** The channel, proved at a height at which its last key and the one before counted; `undefined` without such a key. */
  evidence(channel: Hash): Promise<KeyEvidence | undefined>;
}

interface Held extends VoucherRecord {
  signer?: { readonly key: PublicKey; readonly sign: TickSigner };
  loading: boolean;
  /** Monotonic milliseconds up to which the payer's own key signs. */
  ownUntilMs: number;
}

/** Opens the voucher keys kept in `parts.store`, and takes away what a crash left over. */
export async function openVoucherKeys(parts: VoucherKeyParts): Promise<VoucherKeys> {
  const ring = new Ring(parts);
  await ring.load();
  return ring;
}

class Ring implements VoucherKeys {
  readonly #parts: VoucherKeyParts;
  readonly #held = new Map<string, Held>();
  #changing: Promise<unknown> = Promise.resolve();

  constructor(parts: VoucherKeyParts) {
    this.#parts = parts;
  }

  async load(): Promise<void> {
    const { store, secrets, log } = this.#parts;
    const records = await readVoucherRecords(store);
    const ended = records.filter(([channel]) => this.#channel(channel) === 'ended');
    const over = new Set(
      ended.slice(0, Math.max(0, records.length - CHANNELS_REMEMBERED_MAX)).map(([id]) => toHex(id)),
    );
    const needed = new Set<string>();
    for (const [channel, kept] of records) {
      if (over.has(toHex(channel))) {
        await dropVoucherRecord(store, channel);
        continue;
      }
      this.#held.set(toHex(channel), { ...kept, loading: false, ownUntilMs: 0 });
      const last = kept.keys.at(-1);
      if (last?.revoked === false) needed.add(toHex(last.key));
    }
    // A key that was made and never named to the ledger, and those whose time is over.
    for (const key of await secrets.all()) {
      if (needed.has(toHex(key))) continue;
      await secrets.destroy(key);
      log.info('a voucher key that signs nothing more is gone', { key: didOf(key) });
    }
  }

  signerOf(channel: Hash, key: PublicKey): TickSigner | undefined {
    const held = this.#held.get(toHex(channel));
    const last = held?.keys.at(-1);
    if (held === undefined || last === undefined || last.revoked || !equalBytes(last.key, key))
      return undefined;
    if (this.#parts.clock.monotonicMs() < held.ownUntilMs) return undefined;
    if (held.signer !== undefined && equalBytes(held.signer.key, key)) return held.signer.sign;
    if (!held.loading) void this.#load(held, key);
    return undefined;
  }

  keysOf(channel: Hash): readonly PublicKey[] {
    return (this.#held.get(toHex(channel))?.keys ?? []).map(({ key }) => key).reverse();
  }

  refused(channel: Hash): void {
    const held = this.#held.get(toHex(channel));
    if (held !== undefined) held.ownUntilMs = this.#parts.clock.monotonicMs() + OWN_KEY_MS;
  }

  state({ id, voucherKeys }: Channel): VoucherKeyState {
    const present = presentKey({ voucherKeys });
    const last = this.#held.get(toHex(id))?.keys.at(-1);
    const live = last?.revoked === false ? last.key : undefined;
    const here = live !== undefined && present !== undefined && equalBytes(live, present);
    const { height } = this.#parts.ledger.head();
    return {
      present,
      here,
      pending: here ? undefined : live,
      former: voucherKeys.flatMap(({ key, until }) =>
        until === undefined || until <= height ? [] : [{ key, until }],
      ),
    };
  }

  change(
    channel: Channel,
    change: VoucherKeyChange,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<VoucherKeyState> {
    const changing = this.#changing.catch(() => {}).then(() => this.#change(channel, change, options));
    this.#changing = changing;
    return changing;
  }

  async evidence(channel: Hash): Promise<KeyEvidence | undefined> {
    const held = this.#held.get(toHex(channel));
    if (held === undefined) return undefined;
    const found = this.#channel(channel);
    const present = found instanceof Object ? presentKey(found) : undefined;
    const last = held.keys.at(-1);
    const counts = present !== undefined && last !== undefined && equalBytes(last.key, present);
    if (counts && !names(held.proof, present)) await this.#prove(channel, held);
    return held.proof;
  }

  async #change(
    { id, payer }: Channel,
    change: VoucherKeyChange,
    options: { readonly signal?: AbortSignal },
  ): Promise<VoucherKeyState> {
    if (!equalBytes(payer, this.#parts.wallet.publicKey)) {
      throw new SaharaError('channel-unknown', { reason: 'this peer does not pay on it' });
    }
    const channel = this.#parts.ledger.channel(id);
    if (channel === undefined) throw new SaharaError('channel-unknown');
    const { present, pending } = this.state(channel);
    const held = this.#held.get(toHex(id)) ?? { keys: [], proof: undefined, loading: false, ownUntilMs: 0 };
    if (change === 'revoke') {
      if (present === undefined && pending === undefined) throw usage('The channel has no voucher key');
      await this.#keep(
        id,
        held,
        held.keys.map((made) => ({ ...made, revoked: true })),
      );
      await this.#send(id, undefined, options);
    } else {
      if (change === 'set' && present !== undefined && pending === undefined) {
        throw usage(`The channel has the voucher key ${didOf(present)} already; \`rotate\` replaces it`);
      }
      if (change === 'rotate' && present === undefined && pending === undefined) {
        throw usage('The channel has no voucher key; `set` gives it one');
      }
      await this.#give(id, held, pending, options);
    }
    for (const { key, revoked } of held.keys) {
      if (revoked || !equalBytes(key, held.keys.at(-1)?.key ?? key)) await this.#parts.secrets.destroy(key);
    }
    return this.state(this.#parts.ledger.channel(id) ?? channel);
  }

  /** Has the ledger take a key that was made for the channel, `pending` if that was begun before. */
  async #give(
    id: Hash,
    held: Held,
    pending: PublicKey | undefined,
    options: { readonly signal?: AbortSignal },
  ): Promise<void> {
    const key = pending ?? (await this.#parts.secrets.make());
    point('voucher:key-made');
    const before = held.keys;
    // From here on the payer's own key signs, until the ledger has this one: no voucher of the former key is under way then.
    if (pending === undefined) await this.#keep(id, held, [...before, { key, revoked: false }]);
    point('voucher:key-kept');
    try {
      await this.#send(id, key, options);
    } catch (error) {
      // What was refused for good leaves everything as it was; of what is not known, the same change hears again.
      const { code } = asSaharaError(error);
      if (code === 'tx-refused' && pending === undefined) {
        await this.#keep(id, held, before);
        await this.#parts.secrets.destroy(key);
      }
      throw error;
    }
    point('voucher:key-counts');
    await this.#load(held, key);
    await this.#prove(id, held);
  }

  /** Names a channel's key to the ledger; one that it has already is no fault. */
  async #send(
    channel: Hash,
    key: PublicKey | undefined,
    options: { readonly signal?: AbortSignal },
  ): Promise<void> {
    try {
      await this.#parts.wallet.send({ type: 'set-voucher-key', channel, key }, options);
    } catch (error) {
      const { code, facts } = asSaharaError(error);
      const unchanged = code === 'tx-refused' && facts.code === RESULT_CODES['voucher-key-unchanged'].code;
      if (!unchanged) throw error;
    }
  }

  async #keep(channel: Hash, held: Held, keys: readonly MadeKey[]): Promise<void> {
    const { proof } = held;
    await keepVoucherRecord(this.#parts.store, channel, { keys, proof });
    this.#held.set(toHex(channel), Object.assign(held, { keys }));
  }

  async #load(held: Held, key: PublicKey): Promise<void> {
    const { secrets, network, log, suite = nativeSuite } = this.#parts;
    held.loading = true;
    try {
      const signer: Signer | undefined = await secrets.of(key);
      // Without its secret the payer's own key goes on signing.
      if (signer === undefined) return;
      held.signer = { key, sign: createTickSigner({ suite, signer, network }) };
      held.loading = false;
    } catch (error) {
      log.error('a voucher key cannot be used', { key: didOf(key), code: asSaharaError(error).code });
    }
  }

  /** Keeps the channel as the ledger has it now. Without a proof the evidence of calls proves less. */
  async #prove(channel: Hash, held: Held): Promise<void> {
    const { ledger, log, store } = this.#parts;
    try {
      const proof = await channelEvidenceOf(ledger, channel);
      if (proof === undefined) return;
      await keepVoucherRecord(store, channel, { keys: held.keys, proof });
      Object.assign(held, { proof });
    } catch (error) {
      log.warn('a voucher key is not proved yet', { code: asSaharaError(error).code });
    }
  }

  #channel(id: Hash): Channel | 'ended' | 'unknown' {
    try {
      return this.#parts.ledger.channel(id) ?? 'ended';
    } catch {
      // A light ledger may not follow it any more.
      return 'unknown';
    }
  }
}

function names(proof: KeyEvidence | undefined, key: PublicKey): boolean {
  const present = proof?.channels?.[0] && presentKey(proof.channels[0].record);
  return present !== undefined && equalBytes(present, key);
}

function usage(reason: string): SaharaError {
  return new SaharaError('usage', { reason });
}
