/**
 * What a light client believes of a network of several validators: the latest block of consensus by which it believes
 * others. It begins with the validators of the genesis, or with a block that a person names, goes on with every header
 * that is taken, and ends when nothing came for longer than voters can be held to what they sign.
 */
import { equalBytes } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import type { Store, StoreOperation } from '../../base/store.ts';
import { type Genesis, headerHash } from '../../protocol/block.ts';
import {
  type CertifiedHeader,
  checkpointOf,
  type NamedBlock,
  openCertified,
} from '../../protocol/certified-header.ts';
import { type ConsensusProof, firstValidatorsHash } from '../../protocol/consensus.ts';
import { consensusHash } from '../../protocol/consensus-bytes.ts';
import { VALIDATOR_POWER_MAX, VALIDATORS_MAX } from '../../protocol/limits.ts';
import { bytes, list, record, type Schema, uint } from '../../protocol/schema.ts';
import type { Suite } from '../../protocol/suite.ts';
import {
  followBlock,
  openBlock,
  TRUST_RULES_DEFAULTS,
  type TrustedBlock,
  type TrustRules,
  trustedBeginning,
} from '../../protocol/verify-consensus.ts';

/** Who has a clock, and what a person says. */
export interface TrustSettings {
  /** Tells how old something is. */
  readonly clock: Pick<Clock, 'nowMs'>;
  /** A block of consensus that a person names; counts while nothing later is believed. */
  readonly named?: NamedBlock | undefined;
  readonly rules?: Partial<TrustRules>;
}

/** A believed block as it is kept: who decided it is of no use later. */
type Kept = Omit<TrustedBlock, 'decision'>;

const kept: Schema<Kept> = record('light-trusted', {
  height: uint(),
  timeMs: uint(),
  hash: bytes(32),
  appHash: bytes(32),
  voters: list(record('light-voter', { key: bytes(32), power: uint(VALIDATOR_POWER_MAX) }), VALIDATORS_MAX),
  nextVotersHash: bytes(32),
});

/** Key of the block that is believed, in the store of headers. */
const TRUSTED = Uint8Array.of(3);

/** Whether a store of headers has one that validators decided on. */
export function beganByConsensus(store: Store): boolean {
  return store.getSync(TRUSTED) !== undefined;
}

/** What is believed of consensus. */
export class ConsensusTrust {
  readonly #parts: { readonly suite: Suite; readonly genesis: Genesis; readonly network: string };
  readonly #settings: TrustSettings | undefined;
  #latest: TrustedBlock | undefined;

  constructor(
    parts: {
      readonly suite: Suite;
      readonly genesis: Genesis;
      readonly network: string;
      readonly store: Store;
    },
    settings: TrustSettings | undefined,
  ) {
    this.#parts = parts;
    this.#settings = settings;
    const stored = parts.store.getSync(TRUSTED);
    if (stored !== undefined) this.#latest = kept.decode(stored);
  }

  /** The latest block that is believed; `undefined` while there is none but the beginning. */
  get latest(): TrustedBlock | undefined {
    return this.#latest;
  }

  /** The height of consensus at which a proof for this client has to begin; `undefined`: the beginning. */
  get from(): number | undefined {
    return this.#named()?.height ?? this.#latest?.height;
  }

  /** Until when others are believed by the latest block; `undefined` while nothing is, or without a clock. */
  get untilMs(): number | undefined {
    const { trustMs } = { ...TRUST_RULES_DEFAULTS, ...this.#settings?.rules };
    return this.#settings && this.#latest && this.#latest.timeMs + trustMs;
  }

  /**
   * The block of consensus that certifies a header; `undefined` when it is not later than what is believed, and certified
   * only by what the validators of the genesis lead to. Throws `block-invalid` when nobody certifies it, and
   * `state-unproven` when what is believed does not lead there: it is too old, or too few voters stayed, so that blocks
   * between are needed.
   */
  judge(message: CertifiedHeader, consensus: ConsensusProof, height: number): TrustedBlock | undefined {
    const { suite, network, genesis } = this.#parts;
    const bare = message.signature.length === 0 && message.sides === 0 && message.siblings.length === 0;
    const ours = equalBytes(firstValidatorsHash(suite, consensus.first), genesis.sequencer);
    if (!bare || !ours) throw invalid(height, 'The proof of its header begins with other validators');
    const last = consensus.blocks.at(-1);
    if (last === undefined) throw invalid(height, 'The proof of its header has no block');
    const start = this.#start(consensus);
    const checkpoint = start.height === 0 ? checkpointOf(suite, message) : undefined;
    if (checkpoint !== undefined) throw tooManyTurns(checkpoint);
    const hash = consensusHash(suite, network, last.header);
    const past = last.header.height <= start.height && !equalBytes(hash, start.hash);
    if (past) return this.#demandCertified(message, height);
    const decided = this.#follow(start, consensus);
    if (!equalBytes(decided.appHash, headerHash(suite, message.payload)))
      throw invalid(height, `The validators of ${network} decided on another header`);
    return decided;
  }

  /** What to write when a header is taken that `decided` certifies; takes it over at once. */
  adopt(decided: TrustedBlock): readonly StoreOperation[] {
    if (decided.height === 0 || decided.height < (this.#latest?.height ?? 0)) return [];
    this.#latest = decided;
    return [{ type: 'put', key: TRUSTED, value: kept.encode(decided) }];
  }

  #named(): NamedBlock | undefined {
    const named = this.#settings?.named;
    return named !== undefined && named.height > (this.#latest?.height ?? 0) ? named : undefined;
  }

  /** Where the way begins that a proof shows. */
  #start({ first, blocks }: ConsensusProof): TrustedBlock {
    const { suite, network, genesis } = this.#parts;
    const named = this.#named();
    if (named === undefined)
      return this.#latest ?? trustedBeginning({ suite }, { first, timeMs: genesis.createdAtMs });
    const block = blocks.find(({ header }) => header.height === named.height);
    if (block === undefined || !equalBytes(consensusHash(suite, network, block.header), named.hash))
      throw new SaharaError('state-unproven', {
        reason: `Its proof does not come by way of block ${named.height} of consensus, which was named here`,
      });
    return openBlock({ suite, network }, block);
  }

  #follow(start: TrustedBlock, { blocks }: ConsensusProof): TrustedBlock {
    const { suite, network } = this.#parts;
    const settings = this.#settings;
    const rules = settings && {
      ...TRUST_RULES_DEFAULTS,
      ...settings.rules,
      nowMs: settings.clock.nowMs(),
    };
    let at = start;
    for (const block of blocks) {
      if (block.header.height < start.height) continue;
      if (block.header.height === start.height) {
        if (equalBytes(consensusHash(suite, network, block.header), start.hash)) continue;
        throw invalid(start.height, `Another block ${start.height} of consensus is believed here`);
      }
      if (rules !== undefined && at.timeMs + rules.trustMs <= rules.nowMs) throw tooOld(at);
      at = followBlock({ suite, network }, at, block, rules);
    }
    return at;
  }

  #demandCertified(message: CertifiedHeader, height: number): undefined {
    const { suite, network, genesis } = this.#parts;
    try {
      openCertified(suite, { network, sequencer: genesis.sequencer }, message);
    } catch (error) {
      throw invalid(height, String(asSaharaError(error).facts.reason));
    }
    return undefined;
  }
}

function tooOld({ height, timeMs }: TrustedBlock): SaharaError {
  const since = new Date(timeMs).toISOString().slice(0, 10);
  const what =
    height === 0 ? 'The beginning of the network' : `The block ${height} of consensus that is believed`;
  return new SaharaError('state-unproven', {
    reason: `${what}, of ${since}, is too old to believe others by it. Name a newer block: sahara network join FILE --light --trust HEIGHT:HASH`,
  });
}

/** The block's hash is not told: only what others say is worth anything. */
function tooManyTurns({ height }: NamedBlock): SaharaError {
  return new SaharaError('state-unproven', {
    reason: `Its proof begins with block ${height} of consensus, and nothing leads there from the beginning: validators changed too often since. Name a newer block, from somebody you trust: sahara network join FILE --light --trust HEIGHT:HASH`,
  });
}

function invalid(height: number, reason: string): SaharaError {
  return new SaharaError('block-invalid', { height, reason });
}
