/**
 * The ledger as CometBFT sees it: an ABCI 2.0 application. A block of consensus becomes a block of the ledger when it has
 * transactions or offences, or when delays run and it is time for one; any other changes nothing, so an idle ledger
 * stays as it is. The application's hash is the hash of the ledger's last header, under which state, transactions and
 * results stand: whatever proves consensus on it proves them all. Nothing is written before Commit.
 */
import {
  type RequestFinalizeBlock,
  type RequestInitChain,
  type RequestPrepareProposal,
  type RequestProcessProposal,
  ResponseFinalizeBlock,
} from 'cosmjs-types/tendermint/abci/types';
import { ConsensusParams } from 'cosmjs-types/tendermint/types/params';
import { invariant, SaharaError } from '../../../base/errors.ts';
import type { Store } from '../../../base/store.ts';
import { type TransactionResult, transactionResult } from '../../../protocol/block.ts';
import type { Hash } from '../../../protocol/ids.ts';
import type { ExecutedBlock } from '../../blocks.ts';
import { isPaced } from '../../pace.ts';
import { readRules, rulesIn, versionAt } from '../../rules.ts';
import type { EngineCore } from '../core.ts';
import type { Checks } from './checks.ts';
import { decisionOperations, type Offender, progressIn, progressOperation } from './decisions.ts';
import { executeDecided, prepareBytes } from './execution.ts';
import { OFFENCES_PER_BLOCK_MAX } from './limits.ts';
import { chooseTransactions, isEarly, millisecondsOf, proposalFault } from './proposals.ts';
import type { PowerChange, ValidatorBook } from './validators.ts';

/** Parts of the application. */
export interface ApplicationParts {
  readonly core: EngineCore;
  /** The ledger's own store. */
  readonly store: Store;
  readonly checks: Checks;
  readonly validators: ValidatorBook;
  /** Blocks of consensus that CometBFT keeps, at least; 0: all. */
  readonly retainBlocks: number;
}

interface Pending {
  readonly height: number;
  /** Absent when the block of consensus makes none of the ledger. */
  readonly executed: ExecutedBlock | undefined;
  readonly offenders: readonly Offender[];
}

/** Where the application stands. */
export interface ApplicationInfo {
  /** Height of consensus. */
  readonly height: number;
  readonly appHash: Hash;
  /** Version of the rules that the ledger's next block has. */
  readonly version: number;
}

/** What the consensus connection asks. CometBFT asks for one thing at a time. */
export class CometApplication {
  readonly #parts: ApplicationParts;
  #pending: Pending | undefined;

  constructor(parts: ApplicationParts) {
    this.#parts = parts;
  }

  info(): ApplicationInfo {
    const { core, store } = this.#parts;
    const { chain } = core.parts;
    const { height, headerHash } = chain.head();
    const version = versionAt(readRules(chain.readState), height + 1);
    return { height: progressIn(store), appHash: headerHash, version };
  }

  /** The validators with which the chain begins. Throws `network-mismatch` for another network's chain. */
  initChain({ chainId, initialHeight }: RequestInitChain): readonly PowerChange[] {
    const { network } = this.#parts.core.parts;
    if (chainId !== network)
      throw new SaharaError('network-mismatch', { reason: `CometBFT begins ${chainId}, this is ${network}` });
    invariant(initialHeight === 1n, 'consensus begins at height 1');
    return this.#parts.validators.current();
  }

  prepare({ txs, time, maxTxBytes }: RequestPrepareProposal): readonly Uint8Array[] {
    const options = { timeMs: millisecondsOf(time), bytesMax: Number(maxTxBytes) };
    return chooseTransactions(this.#parts.core.parts, txs, options);
  }

  /** Whether this node votes for a block. */
  accepts({ txs, time, height }: RequestProcessProposal): boolean {
    const { parts } = this.#parts.core;
    const fault = proposalFault(parts, txs, millisecondsOf(time));
    if (fault !== undefined)
      parts.log.warn('not voting for a block', { height: Number(height), reason: fault });
    return fault === undefined;
  }

  /** Executes a decided block, in memory: as often as CometBFT asks, until the commit. */
  async finalize(request: RequestFinalizeBlock): Promise<ResponseFinalizeBlock> {
    const { core, store, validators } = this.#parts;
    const height = Number(request.height);
    invariant(height === progressIn(store) + 1, 'consensus decides on one height after the other');
    const timeMs = millisecondsOf(request.time);
    const offenders = this.#offenders(request);
    const makesBlock = request.txs.length > 0 || offenders.length > 0 || this.#isDue(timeMs);
    // What makes no block of the ledger has no rules, so consensus may go on to where an older program ends.
    if (makesBlock || core.upgradeNeeded() === undefined) core.demandRunning();
    if (!makesBlock) {
      this.#pending = { height, executed: undefined, offenders };
      return ResponseFinalizeBlock.fromPartial({ appHash: this.info().appHash });
    }
    const executed = await executeDecided(core.parts, {
      transactions: request.txs.map((bytes) => prepareBytes(core.parts, bytes)),
      timeMs,
      proposer: validators.didOf(request.proposerAddress),
      offenders,
      voters: () => validators.current(),
    });
    this.#pending = { height, executed, offenders };
    return {
      events: [],
      appHash: executed.headerHash,
      txResults: executed.results.map(asTxResult),
      validatorUpdates: validators.changes(executed.state).map(asUpdate),
      ...versionUpdate(executed),
    };
  }

  /** Writes what was executed; answers the lowest height of consensus whose block CometBFT still needs, 0 for all. */
  async commit(): Promise<number> {
    const { core, store, checks, validators, retainBlocks } = this.#parts;
    const pending = this.#pending;
    invariant(pending !== undefined, 'a commit follows a block');
    const { height, executed, offenders } = pending;
    await core.exclusive(async () => {
      if (executed === undefined) return store.batch([progressOperation(height)], { sync: true });
      const beside = decisionOperations(executed.header.height, { height, offenders });
      await core.commit(executed, undefined, beside);
      validators.adopt(executed.state);
    });
    this.#pending = undefined;
    checks.restart();
    return retainBlocks === 0 ? 0 : Math.max(0, height - retainBlocks);
  }

  #offenders({ misbehavior }: RequestFinalizeBlock): readonly Offender[] {
    const { validators } = this.#parts;
    return misbehavior.slice(0, OFFENCES_PER_BLOCK_MAX).flatMap(({ validator, height }) => {
      const did = validators.didOf(validator.address);
      return did === undefined ? [] : [{ did, height: Number(height) }];
    });
  }

  /** Whether an empty block is wanted at `timeMs`: delays run, and the network's interval has passed. */
  #isDue(timeMs: number): boolean {
    const { parts } = this.#parts.core;
    return isPaced(parts.chain.readState, parts.chain.head().height) && !isEarly(parts, timeMs);
  }
}

/** Tells consensus that its next blocks, and with them the ledger's next one, have another version of the rules. */
function versionUpdate({
  header,
  state,
}: ExecutedBlock): Pick<ResponseFinalizeBlock, 'consensusParamUpdates'> | undefined {
  const rules = rulesIn(state);
  const next = versionAt(rules, header.height + 1);
  if (next === rules.version) return undefined;
  return { consensusParamUpdates: ConsensusParams.fromPartial({ version: { app: BigInt(next) } }) };
}

/** CometBFT's hash of results covers code, data and gas: all of them follow from the ledger's own result. */
function asTxResult(result: TransactionResult): ResponseFinalizeBlock['txResults'][number] {
  return {
    code: result.code,
    data: transactionResult.encode(result),
    log: '',
    info: '',
    gasWanted: 0n,
    gasUsed: 0n,
    events: [],
    codespace: '',
  };
}

/** A change of the set as CometBFT takes it. */
export function asUpdate({ key, power }: PowerChange): ResponseFinalizeBlock['validatorUpdates'][number] {
  return { pubKey: { ed25519: key }, power: BigInt(power) };
}
