/**
 * Who takes part in consensus, as a function of the state: nothing else is kept, so a node that was restarted, or began
 * from a snapshot, has the set of everybody else. The network begins with validators that its genesis commits to; what is
 * staked for the role adds to them or makes new ones. The key that votes is the one that signs for the validator's DID.
 */
import { compareBytes, equalBytes } from '../../../base/bytes.ts';
import { BOND_ROLES } from '../../../protocol/actions-stake.ts';
import type { FirstValidator } from '../../../protocol/consensus.ts';
import { addressOf } from '../../../protocol/consensus-bytes.ts';
import type { IdentityRecord } from '../../../protocol/identity.ts';
import type { PublicKey } from '../../../protocol/ids.ts';
import { VALIDATOR_POWER_MAX, VALIDATORS_MAX } from '../../../protocol/limits.ts';
import type { Suite } from '../../../protocol/suite.ts';
import type { Chain } from '../../chain.ts';
import { readIdentity } from '../../identities.ts';
import { nameOf } from '../../names.ts';
import { BONDS, type BondRecord, OFFENCES } from '../../records-stake.ts';
import type { StakeRules } from '../../rewards.ts';
import { stands } from '../../stake.ts';
import type { State } from '../../state.ts';

/** Who votes, with which key and weight. */
export interface Validator extends FirstValidator {
  readonly key: PublicKey;
}

/** A change of the set: a key and what it counts from now on, 0 for one that votes no more. */
export interface PowerChange {
  readonly key: PublicKey;
  readonly power: number;
}

interface Stakes {
  /** Bonds for the role, by the DID's name. */
  readonly bonds: ReadonlyMap<string, { readonly did: PublicKey; readonly bond: BondRecord }>;
  /** Names of DIDs that were punished in the role: the place that the genesis gave them is lost. */
  readonly offenders: ReadonlySet<string>;
}

type KeysOf = (did: PublicKey) => Pick<IdentityRecord, 'key' | 'retired'> | undefined;

const ROLE = BOND_ROLES.indexOf('validator');
const DID_BYTES = 32;

/** Parts of a book of validators. */
export interface ValidatorParts {
  readonly suite: Suite;
  readonly chain: Chain;
  readonly genesis: StakeRules['genesis'];
  readonly first: readonly FirstValidator[];
}

/** The validators of the committed state, and what a block in progress makes of them. */
export class ValidatorBook {
  readonly #parts: ValidatorParts;
  #stakes: Stakes;

  private constructor(parts: ValidatorParts, stakes: Stakes) {
    this.#parts = parts;
    this.#stakes = stakes;
  }

  /** Reads the stakes of the committed state. */
  static async open(parts: ValidatorParts): Promise<ValidatorBook> {
    return new ValidatorBook(parts, await readStakes(parts.chain));
  }

  /** Reads the stakes again, of a state that was put in the place of the one before. */
  async reread(): Promise<void> {
    this.#stakes = await readStakes(this.#parts.chain);
  }

  /** The set of the committed state, the strongest first. */
  current(): readonly Validator[] {
    return this.#setOf(this.#stakes, (did) => readIdentity(this.#parts.chain.readState, did));
  }

  /** How a block changes the set. */
  changes(state: State): readonly PowerChange[] {
    const before = this.current();
    const after = this.#setOf(changed(this.#stakes, state), (did) => state.identities.get(did));
    const gone = before.filter(({ key }) => !after.some((one) => equalBytes(one.key, key)));
    const moved = after.filter(
      ({ key, power }) => !before.some((one) => equalBytes(one.key, key) && one.power === power),
    );
    return [
      ...gone.map(({ key }) => ({ key, power: 0 })),
      ...moved.map(({ key, power }) => ({ key, power })),
    ];
  }

  /** Takes over what a block changed, once it is written. */
  adopt(state: State): void {
    this.#stakes = changed(this.#stakes, state);
  }

  /**
   * Whose consensus address this is, by a key of now or a retired one: of all who have, or had, something at stake, the
   * lowest DID.
   */
  didOf(address: Uint8Array): PublicKey | undefined {
    const { suite, chain, first } = this.#parts;
    const dids = [
      ...first.map(({ did }) => did),
      ...Array.from(this.#stakes.bonds.values(), ({ did }) => did),
    ];
    // In an order that every node has, however it came by its stakes.
    return dids.sort(compareBytes).find((did) => {
      const known = readIdentity(chain.readState, did);
      const keys = [did, ...(known === undefined ? [] : [known.key, ...known.retired.map(({ key }) => key)])];
      return keys.some((key) => equalBytes(addressOf(suite, key), address));
    });
  }

  #setOf({ bonds, offenders }: Stakes, keysOf: KeysOf): readonly Validator[] {
    const { genesis, first } = this.#parts;
    const powers = new Map<string, FirstValidator>();
    for (const one of first) if (!offenders.has(nameOf(one.did))) powers.set(nameOf(one.did), one);
    for (const [name, { did, bond }] of bonds) {
      if (!stands(bond, { genesis })) continue;
      const staked = Number((bond.own + bond.delegated) / genesis.parameters.bondMin);
      powers.set(name, { did, power: (powers.get(name)?.power ?? 0) + staked });
    }
    const counting = [...powers.values()].filter(({ power }) => power > 0);
    // Consensus cannot go on without anybody: then those of the genesis are back.
    const chosen = (counting.length === 0 ? first : counting).map(({ did, power }) => ({
      did,
      power: Math.min(power, VALIDATOR_POWER_MAX),
      key: keysOf(did)?.key ?? did,
    }));
    const sorted = chosen.sort((a, b) => b.power - a.power || compareBytes(a.did, b.did));
    // A key of one DID may be a DID of its own: it votes once.
    const keys = new Set<string>();
    const distinct = sorted.filter(({ key }) => !keys.has(nameOf(key)) && keys.add(nameOf(key)));
    return distinct.slice(0, VALIDATORS_MAX);
  }
}

async function readStakes(chain: Chain): Promise<Stakes> {
  const bonds = new Map<string, { readonly did: PublicKey; readonly bond: BondRecord }>();
  for await (const [key, value] of chain.stateEntries(BONDS.tag)) {
    if (key[1 + DID_BYTES] !== ROLE) continue;
    const did = key.slice(1, 1 + DID_BYTES);
    bonds.set(nameOf(did), { did, bond: BONDS.schema.decode(value) });
  }
  const offenders = new Set<string>();
  for await (const [, value] of chain.stateEntries(OFFENCES.tag)) {
    const { did, role } = OFFENCES.schema.decode(value);
    if (role === 'validator') offenders.add(nameOf(did));
  }
  return { bonds, offenders };
}

function changed(stakes: Stakes, state: State): Stakes {
  const bonds = new Map(stakes.bonds);
  for (const { id, now } of state.stakes.bonds.changed()) {
    if (id[DID_BYTES] !== ROLE) continue;
    const did = id.slice(0, DID_BYTES);
    if (now === undefined) bonds.delete(nameOf(did));
    else bonds.set(nameOf(did), { did, bond: now });
  }
  const offenders = new Set(stakes.offenders);
  for (const { now } of state.stakes.offences.changed()) {
    if (now?.role === 'validator') offenders.add(nameOf(now.did));
  }
  return { bonds, offenders };
}
