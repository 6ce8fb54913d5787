/** How a ledger begins: the genesis record and the state that follows from it. */
import { toHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { type Genesis, genesis, type LedgerParameters, networkOf } from '../protocol/block.ts';
import { PROTOCOL_VERSION, type PublicKey } from '../protocol/ids.ts';
import { PPM } from '../protocol/limits.ts';
import { GRAINS_MAX } from '../protocol/schema.ts';
import type { Suite } from '../protocol/suite.ts';
import { ONLY } from './records.ts';
import type { State } from './state.ts';

/** Rules that a local network starts with, unless told otherwise. */
const LOCAL_PARAMETERS: Omit<LedgerParameters, 'unbondDelayBlocks'> = {
  /** Fee of one transaction, grains. Default 0: on a local network nothing is scarce. */
  transactionFee: 0n,
  /** Least deposit of a channel, grains. Default 1,000,000 (a thousandth of a SAHARA). */
  depositMin: 1_000_000n,
  /** Blocks between request and end of a channel, so that a payee that is down meanwhile loses nothing. Default 3,600: an hour. */
  closeDelayBlocks: 3_600,
  /** Time between blocks while channels are closing, milliseconds. Default 1,000. */
  blockIntervalMs: 1_000,
  /** Least bond for a role, grains. Default 1,000,000,000: a SAHARA. */
  bondMin: 1_000_000_000n,
  /** What an offence costs of a bond beyond the compensation, parts per million. Default 500,000: half. */
  slashPpm: 500_000,
  /** Part of each fee that is shared as rewards, parts per million. Default 500,000: half. */
  rewardPpm: 500_000,
  /** Blocks of an epoch. Default 3,600. */
  epochBlocks: 3_600,
};

/** Least blocks between taking back a bond and getting it, unless told otherwise; twice `closeDelayBlocks` where that is more. */
const LOCAL_UNBOND_DELAY_BLOCKS = 7_200;

/** Options of `createGenesis`. */
export interface GenesisOptions {
  /** What people call the network: letters, digits and dashes, at most 32. Default `local`. */
  readonly name?: string;
  readonly parameters?: Partial<LedgerParameters>;
  /** Faucet of a local network, or none. Default: 1,000 SAHARA an account out of half of all that can exist. */
  readonly faucet?: Genesis['faucet'];
  /** Accounts that start with money. Default none. */
  readonly accounts?: Genesis['accounts'];
}

const GRAINS_PER_SAHARA = 1_000_000_000n;

/** Faucet of a local network, unless told otherwise. */
const LOCAL_FAUCET: { readonly perAccount: bigint; readonly supply: bigint } = {
  perAccount: 1_000n * GRAINS_PER_SAHARA,
  supply: GRAINS_MAX / 2n,
};

/** The genesis of a local network whose blocks `sequencer` signs. `config-invalid` when its parts do not fit. */
export function createGenesis(
  parts: { readonly sequencer: PublicKey; readonly createdAtMs: number },
  options: GenesisOptions = {},
): Genesis {
  const made: Genesis = {
    version: PROTOCOL_VERSION,
    name: options.name ?? 'local',
    createdAtMs: parts.createdAtMs,
    sequencer: parts.sequencer,
    parameters: completed(options.parameters),
    faucet: 'faucet' in options ? options.faucet : LOCAL_FAUCET,
    accounts: options.accounts ?? [],
  };
  const fault = genesisFault(made);
  if (fault !== undefined) throw new SaharaError('config-invalid', { reason: fault });
  return made;
}

function completed(given: Partial<LedgerParameters> = {}): LedgerParameters {
  const all = { ...LOCAL_PARAMETERS, ...given };
  const unbondDelayBlocks = Math.max(LOCAL_UNBOND_DELAY_BLOCKS, 2 * all.closeDelayBlocks);
  return { unbondDelayBlocks, ...all };
}

/** Why a genesis cannot start a network, if it cannot. */
export function genesisFault(made: Genesis): string | undefined {
  if (made.version !== PROTOCOL_VERSION) return `version ${made.version} is not known`;
  if (!/^[a-z0-9-]{1,32}$/.test(made.name))
    return 'the name is not made of lower-case letters, digits and dashes';
  const fault = parametersFault(made.parameters);
  if (fault !== undefined) return fault;
  const owners = new Set(made.accounts.map(({ owner }) => toHex(owner)));
  if (owners.size !== made.accounts.length) return 'an account is named twice';
  return supplyOf(made) > GRAINS_MAX ? 'the supply exceeds 10^18 grains' : undefined;
}

function parametersFault(rules: LedgerParameters): string | undefined {
  if (rules.closeDelayBlocks < 1) return 'closeDelayBlocks is 0';
  if (rules.blockIntervalMs < 1) return 'blockIntervalMs is 0';
  if (rules.depositMin < 1n) return 'depositMin is 0';
  if (rules.unbondDelayBlocks <= rules.closeDelayBlocks)
    return 'unbondDelayBlocks does not exceed closeDelayBlocks: a bond could leave before its offence is proved';
  if (rules.bondMin < 1n) return 'bondMin is 0';
  if (rules.slashPpm > PPM) return 'slashPpm exceeds 1,000,000';
  if (rules.rewardPpm > PPM) return 'rewardPpm exceeds 1,000,000';
  return rules.epochBlocks < 1 ? 'epochBlocks is 0' : undefined;
}

/** All money of a network, grains. It never changes. */
export function supplyOf(made: Genesis): bigint {
  return made.accounts.reduce((sum, { balance }) => sum + balance, made.faucet?.supply ?? 0n);
}

/** Puts a genesis' accounts and faucet into an empty state. */
export function applyGenesis(state: State, made: Genesis): void {
  for (const { owner, balance } of made.accounts) {
    state.accounts.set(owner, { balance, nonce: 0, drawn: 0n });
  }
  if (made.faucet !== undefined) state.faucets.set(ONLY, { left: made.faucet.supply });
}

/** The network's full name. */
export function networkNameOf(suite: Suite, made: Genesis): string {
  return networkOf(suite, genesis.encode(made));
}
