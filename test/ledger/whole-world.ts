/** A small world in which people do everything that a ledger knows, soundly or not: what the stories over all kinds share. */
import { toHex } from '../../src/base/bytes.ts';
import type { ClaimBody } from '../../src/protocol/actions-channel.ts';
import type { BondRole } from '../../src/protocol/actions-stake.ts';
import type { Genesis } from '../../src/protocol/block.ts';
import { contradictionOf } from '../../src/protocol/evidence-build.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import { LICENCE_PRESETS, type LicenceTerms } from '../../src/protocol/licence.ts';
import { release } from '../../src/protocol/payment.ts';
import { type Signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, assetId, channelId, type RegisterAssetAction } from '../../src/protocol/transaction.ts';
import { finish, guardedBy, recover, register, rotate } from './identity-support.ts';
import { chargeOf, countedFor, type LanePlace } from './lane.ts';
import { header, RULES } from './stake-support.ts';
import { Bench, claimOf, person, signAction, suite, testGenesis } from './support.ts';

/** Everybody of the world; the first two keep the rules towards each other, all others do what they like. */
export const PEOPLE: readonly Signer[] = ['hana', 'hugo', 'mal', 'mara', 'milo', 'moss'].map(person);

/** Every kind of transaction, but votes about the rules: who has one is another under each engine. */
export const KINDS: readonly Action['type'][] = [
  ...(['transfer', 'faucet', 'register-asset', 'open-channel', 'top-up', 'claim', 'close-by-payee'] as const),
  ...(['request-close', 'cancel-close', 'collect', 'register-identity', 'rotate-key'] as const),
  ...(['recover-identity', 'cancel-recovery', 'finish-recovery', 'revoke-certificate'] as const),
  ...(['buy-licence', 'approve-derivative', 'withdraw-approval', 'collect-path', 'withdraw'] as const),
  ...(['request-withdraw', 'cancel-withdraw', 'set-voucher-key', 'challenge', 'pay', 'claim-batch'] as const),
  ...(['bond', 'unbond', 'delegate', 'undelegate', 'release-bond', 'report-double-signing'] as const),
  'collect-reward',
];

/** One thing that somebody does. The numbers choose among what there is, and how it is bent. */
export interface Deed {
  readonly kind: Action['type'];
  readonly by: number;
  readonly to: number;
  readonly which: number;
  readonly bent: number;
  readonly amount: bigint;
}

const PAYERS: ReadonlySet<Action['type']> = new Set([
  ...(['request-close', 'cancel-close', 'withdraw', 'request-withdraw', 'cancel-withdraw'] as const),
  'set-voucher-key',
]);
const PAYEES: ReadonlySet<Action['type']> = new Set(['close-by-payee']);

interface KnownChannel {
  readonly id: Hash;
  readonly payer: Signer;
  readonly payee: Signer;
}

const at = <T>(list: readonly T[], index: number): T => list[index % list.length] as T;
const KEYS_EACH = 12;
const keyOf = (who: number, number: number): Signer =>
  person(`key ${number % KEYS_EACH} of ${who % PEOPLE.length}`);
const SIGNERS = new Map(
  [...PEOPLE, ...PEOPLE.flatMap((_, who) => Array.from({ length: KEYS_EACH }, (_, n) => keyOf(who, n)))].map(
    (one) => [toHex(one.publicKey), one],
  ),
);

/** How the world begins. */
export function worldGenesis(): Genesis {
  const accounts = PEOPLE.map(({ publicKey: owner }) => ({ owner, balance: 1_000_000n }));
  const faucet = { perAccount: 3_000n, supply: 12_000n };
  return testGenesis({ accounts, faucet, parameters: RULES });
}

/** What people have made so far, and how a deed becomes a transaction. */
export class World {
  readonly bench: Bench;
  /** A channel that is not theirs. */
  target: Hash | undefined;
  readonly #channels: KnownChannel[] = [];
  readonly #assets: Hash[] = [];
  readonly #rotated: number[] = PEOPLE.map(() => 0);
  #nonces = new Map<Signer, number>();

  private constructor(bench: Bench) {
    this.bench = bench;
  }

  static async create(genesis: Genesis = worldGenesis()): Promise<World> {
    return new World(await Bench.create(genesis));
  }

  get height(): number {
    return this.bench.chain.head().height;
  }

  /** To be told before each block. */
  begin(): void {
    this.#nonces = new Map(PEOPLE.map((one) => [one, this.bench.nonce(one)]));
  }

  /** The key that speaks for somebody at the head. */
  keyFor(who: Signer): Signer {
    const key = this.bench.queries.identity(who.publicKey)?.key ?? who.publicKey;
    return SIGNERS.get(toHex(key)) ?? who;
  }

  /** Signs what somebody does with the key that speaks for them; `key` is for who rotates. */
  sign(by: Signer, action: Action, key: Signer = this.keyFor(by)): Signed {
    const nonce = this.#nonces.get(by) ?? 0;
    this.#nonces.set(by, nonce + 1);
    return signAction(this.bench.network, key, nonce, action, {
      sender: by.publicKey,
      feeMax: RULES.transactionFee,
    });
  }

  /** A deed as a transaction, now and then with a fault that costs it its place. */
  message(deed: Deed): Signed {
    const by = this.#actor(deed);
    const nonce = this.#nonces.get(by) ?? 0;
    const action = this.#action(deed, by, nonce);
    const { network } = this.bench;
    const bare = { sender: by.publicKey, feeMax: RULES.transactionFee };
    if (deed.bent === 30) return signAction(network, by, nonce, action, { ...bare, version: 2 });
    if (deed.bent === 31) return signAction(network, by, nonce, action, { ...bare, network: 'other' });
    if (deed.bent === 32) return signAction(network, person('thief'), nonce, action, bare);
    if (deed.bent === 33) return signAction(network, this.keyFor(by), nonce + 5, action, bare);
    if (deed.bent === 34) return signAction(network, this.keyFor(by), nonce, action, { ...bare, feeMax: 0n });
    if (deed.bent === 35) return signAction(network, this.keyFor(by), Math.max(0, nonce - 1), action, bare);
    if (deed.bent === 36)
      return signAction(network, person('pauper'), 0, action, { feeMax: RULES.transactionFee });
    if (deed.bent === 37)
      return { ...signAction(network, by, nonce, action, bare), payload: Uint8Array.of(1) };
    const rotating = action.type === 'rotate-key' ? SIGNERS.get(toHex(action.key)) : undefined;
    return this.sign(by, action, rotating ?? this.keyFor(by));
  }

  /** Who does it: half of the deeds about a channel are by whom they are for. */
  #actor(deed: Deed): Signer {
    const { payer, payee } = this.#channel(deed);
    const [theirs, seen] = [PAYERS.has(deed.kind), PAYEES.has(deed.kind)];
    const party = theirs ? payer : payee;
    if (!(theirs || seen) || deed.bent % 4 === 3 || PEOPLE.indexOf(party) < 2) return at(PEOPLE, deed.by);
    return party;
  }

  #channel({ which }: Deed): KnownChannel {
    const nowhere = { id: new Uint8Array(32).fill(7), payer: at(PEOPLE, 2), payee: at(PEOPLE, 3) };
    // Of the honest line they have the name alone: no key of its two.
    if (which % 9 === 7 && this.target !== undefined) return { ...nowhere, id: this.target };
    // Most deeds are about channels of late.
    return which % 9 === 8 ? nowhere : (this.#channels[this.#channels.length - 1 - (which % 4)] ?? nowhere);
  }

  #asset(which: number): Hash {
    return which % 9 === 8
      ? new Uint8Array(32).fill(9)
      : (at(this.#assets, which) ?? new Uint8Array(32).fill(9));
  }

  /** Where a deed is about a lane: agents are their payees. */
  #place({ id, payer, payee }: KnownChannel, lane: number): LanePlace {
    return { network: this.bench.network, channel: id, lane, payer, payee, agent: payee };
  }

  #action(deed: Deed, by: Signer, nonce: number): Action {
    const { kind, to, which, bent, amount } = deed;
    const { network } = this.bench;
    const them = at(PEOPLE, to);
    const channel = this.#channel(deed);
    const own = { channel: channel.id };
    const role: BondRole = at(['provider', 'provider', 'validator', 'steward'] as const, which);
    switch (kind) {
      case 'transfer':
        return { type: kind, to: them.publicKey, amount, memo: undefined };
      case 'faucet':
        return { type: kind, to: them.publicKey, amount: amount % 2_000n };
      case 'register-asset':
        this.#assets.push(assetId(suite, network, by.publicKey, nonce));
        return this.#registered(deed, by);
      case 'open-channel':
        this.#channels.push({
          id: channelId(suite, network, by.publicKey, them.publicKey, nonce),
          payer: by,
          payee: them,
        });
        return { type: kind, payee: them.publicKey, deposit: amount };
      case 'top-up':
        return { type: kind, ...own, amount };
      case 'claim':
        return { type: kind, ...this.#claim(deed, channel) };
      case 'claim-batch': {
        const claims = Array.from({ length: bent % 4 }, (_, i) =>
          this.#claim({ ...deed, bent: bent + i }, channel),
        );
        return { type: kind, claims };
      }
      case 'close-by-payee':
        return {
          type: kind,
          ...own,
          claim:
            bent % 2 === 0
              ? undefined
              : this.#claim(deed, this.#channel({ ...deed, which: which + (bent % 3) })),
        };
      case 'request-close':
      case 'cancel-close':
      case 'cancel-withdraw':
        return { type: kind, ...own };
      case 'request-withdraw':
        return { type: kind, ...own, amount };
      case 'withdraw':
        return { type: kind, ...own, release: this.#release(deed, channel) };
      case 'set-voucher-key':
        return {
          type: kind,
          ...own,
          key:
            bent % 5 === 0 ? undefined : at([channel.payer, keyOf(which, 0), keyOf(to, 1)], bent).publicKey,
        };
      case 'challenge':
        return this.#challenge(deed, channel);
      case 'pay':
        return {
          type: kind,
          payee: them.publicKey,
          asset: bent % 2 ? this.#asset(which) : undefined,
          amount,
          reference: new Uint8Array(16).fill(which),
        };
      case 'collect':
        return { type: kind, asset: this.#asset(which) };
      case 'collect-path':
        return { type: kind, assets: Array.from({ length: bent % 4 }, (_, i) => this.#asset(which + i)) };
      case 'buy-licence':
        return { type: kind, asset: this.#asset(which) };
      case 'approve-derivative':
      case 'withdraw-approval':
        return { type: kind, asset: this.#asset(which), licensee: them.publicKey };
      case 'bond':
        return { type: kind, role, amount, commission: bent % 3 === 0 ? undefined : (bent % 7) * 100_000 };
      case 'unbond':
        return { type: kind, role, amount };
      case 'delegate':
      case 'undelegate':
        return { type: kind, did: them.publicKey, role, amount };
      case 'release-bond':
        return { type: kind, did: them.publicKey, role, owner: at([them, by], bent).publicKey };
      case 'report-double-signing': {
        const first = header(network, bent % 5 === 4 ? by : them, bent % 3);
        const second = header(network, them, bent % 3, { timeMs: bent % 4 });
        return {
          type: kind,
          first: bent % 7 === 6 ? { ...first, payload: Uint8Array.of(1) } : first,
          second: bent % 9 === 5 ? { ...second, signature: first.signature } : second,
        };
      }
      case 'collect-reward':
        return {
          type: kind,
          epoch: Math.max(0, Math.floor(this.height / RULES.epochBlocks) - (bent % 3)),
          did: them.publicKey,
        };
      default:
        return this.#keys(deed, by);
    }
  }

  /** What somebody does about keys: each person has a row of them. */
  #keys({ kind, by: who, to, which, bent }: Deed, by: Signer): Action {
    const place = who % PEOPLE.length;
    const number = this.#rotated[place] ?? 0;
    const them = at(PEOPLE, to);
    const wanted = keyOf(to, KEYS_EACH - 1 - (which % 2));
    switch (kind) {
      case 'register-identity': {
        const guardians = [at(PEOPLE, which), at(PEOPLE, which + 1 + (bent % 2))];
        const policy = guardedBy(guardians, 1 + (bent % 3), 3 + (bent % 2) - (bent % 11 === 10 ? 3 : 0));
        return register(bent % 9 === 8 ? by : keyOf(who, 0), policy);
      }
      case 'rotate-key':
        this.#rotated[place] = number + 1;
        return rotate(keyOf(who, number), keyOf(who, bent % 9 === 8 ? number : number + 1));
      case 'recover-identity': {
        const vote = recover(this.bench.network, them.publicKey, wanted, keyOf(to, KEYS_EACH - 3));
        return bent % 6 === 5 && vote.type === 'recover-identity'
          ? { ...vote, consent: new Uint8Array(64) }
          : vote;
      }
      case 'finish-recovery':
        return finish(them.publicKey, wanted, keyOf(to, KEYS_EACH - 3));
      case 'revoke-certificate':
        return { type: kind, serial: new Uint8Array(16).fill(which) };
      default:
        return { type: 'cancel-recovery' };
    }
  }

  #registered({ to, which, bent, amount }: Deed, by: Signer): RegisterAssetAction {
    const presets = Object.values(LICENCE_PRESETS);
    const grant = { price: amount % 500n, blocks: which % 3 };
    const terms: LicenceTerms = {
      ...at(presets, which),
      ...(bent % 4 === 3 ? { grant } : {}),
      ...(bent % 8 === 7
        ? { derivatives: 'by-approval', expiresAt: this.height + 5, territories: ['DE'], ceiling: 5n }
        : {}),
    };
    const relations = ['trained-on', 'retrieves-from', 'evaluated-on'] as const;
    const parent = {
      asset: this.#asset(to + which),
      relation: at(relations, which),
      ppm: (bent % 8) * 140_000,
    };
    return {
      type: 'register-asset',
      kind: 'dataset',
      name: bent % 29 === 28 ? '' : `number ${which}`,
      owners: [{ owner: by.publicKey, ppm: bent % 23 === 22 ? 3 : 1_000_000 }],
      parents: this.#assets.length > 1 && which % 3 > 0 ? [parent] : [],
      commitment: { scheme: 'sahara-chunks-1', root: new Uint8Array(32), sizeBytes: 1 },
      licence: '',
      terms: bent % 3 === 0 ? undefined : terms,
      replaces: bent % 5 === 4 ? this.#asset(which + to) : undefined,
      bounty: (bent % 3) * 5_000,
    };
  }

  #claim({ which, bent, amount }: Deed, { id, payer, payee }: KnownChannel): ClaimBody {
    const asset = bent % 3 === 0 ? new Uint8Array(32) : this.#asset(which);
    const amounts = [{ asset, amount }];
    const terms = {
      channel: id,
      payer: bent % 13 === 12 ? payee : this.keyFor(payer),
      payee: bent % 17 === 16 ? payer : this.keyFor(payee),
      ceiling: bent % 5 === 0 ? amount / 2n : amount,
      amounts: bent % 19 === 18 ? [...amounts, ...amounts] : amounts,
      lane: which % 3,
      ...(bent % 11 === 10 ? { chargeLane: 5 } : {}),
      ...(bent % 23 === 22 ? { total: amount + 1n } : {}),
      ...(bent % 29 === 28 ? { committed: [] } : {}),
    };
    const body = claimOf(this.bench.network, terms);
    return bent % 27 === 26 ? { ...body, charge: { ...body.charge, payload: Uint8Array.of(1) } } : body;
  }

  #release({ bent, amount, which }: Deed, { id, payer, payee }: KnownChannel): Signed {
    const known = this.bench.queries.channel(id);
    const sequence = (known?.revision ?? 0) + (bent % 7 === 6 ? 1 : 0);
    const depositAfter = amount % (2n + (known?.deposit ?? 0n));
    const terms = {
      network: this.bench.network,
      channel: which % 5 === 4 ? new Uint8Array(32) : id,
      depositAfter,
      sequence,
    };
    const payload = bent % 9 === 8 ? Uint8Array.of(1) : release.encode(terms);
    const signer = bent % 5 === 4 ? payer : this.keyFor(payee);
    return signOne(suite, signer, this.bench.network, { type: 'release', payload });
  }

  #challenge({ which, bent, amount }: Deed, channel: KnownChannel): Action {
    const place = {
      ...this.#place(channel, which % 3),
      payee: bent % 11 === 10 ? channel.payer : this.keyFor(channel.payee),
    };
    const first = chargeOf(place, countedFor(place, [amount + 1n]));
    const other = chargeOf(bent % 7 === 6 ? { ...place, lane: 9 } : place, countedFor(place, [amount / 2n]));
    const second = bent % 13 === 12 ? { ...other, payload: Uint8Array.of(1) } : other;
    const honest = bent % 6 === 5;
    const evidence = { type: 'two-charges', first, second: honest ? first : second } as const;
    return {
      type: 'challenge',
      channel: channel.id,
      evidence: (honest ? undefined : contradictionOf(suite, first, second)) ?? evidence,
    };
  }
}
