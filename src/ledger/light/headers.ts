/**
 * The chain of headers as a light client knows it: the latest one that it verified, kept on disk. A run of headers
 * is taken by its links and the signature under its last one, which commits to all before it. Two headers of one
 * height, both signed by the sequencer, end it for good: both are kept as evidence.
 */
import { equalBytes } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { point } from '../../base/points.ts';
import type { Store } from '../../base/store.ts';
import { type BlockHeader, blockHeader, type Genesis, headerHash } from '../../protocol/block.ts';
import { type Hash, PROTOCOL_VERSION } from '../../protocol/ids.ts';
import { record, type Schema } from '../../protocol/schema.ts';
import { checkSigned, type Signed, signed } from '../../protocol/signing.ts';
import type { Suite } from '../../protocol/suite.ts';
import { applyGenesis, networkNameOf } from '../genesis.ts';
import type { LedgerHead } from '../ledger.ts';
import { State } from '../state.ts';
import { createStateTree } from '../tree.ts';

const LATEST = Uint8Array.of(1);
const EVIDENCE = Uint8Array.of(2);

/** Two headers of one height, both signed by the sequencer. */
export interface Equivocation {
  readonly one: Signed;
  readonly other: Signed;
}

const equivocation: Schema<Equivocation> = record('equivocation', { one: signed, other: signed });

/** A header that the sequencer signed. */
export interface OpenedHeader {
  readonly message: Signed;
  readonly header: BlockHeader;
  readonly hash: Hash;
}

/** The latest verified header. */
export interface HeaderChain {
  readonly network: string;
  /** Before the first block. */
  readonly start: LedgerHead;
  head(): LedgerHead;
  /** The header of the head; `undefined` before the first block. */
  latest(): OpenedHeader | undefined;
  /** The proof that the sequencer said two things, once it is known. */
  evidence(): Equivocation | undefined;
  /** The header of `message` if it is this network's and the sequencer signed it. Throws `block-invalid`. */
  open(message: Signed): OpenedHeader;
  /** Halts unless two headers of one height are the same. Throws `ledger-halted`. */
  same(one: OpenedHeader, other: OpenedHeader): Promise<void>;
  /**
   * Takes headers that begin with the head's own, or with the first block's, or with a later one where the node has none
   * before. With `target`, the run's header of
   * that height has to be it; answers whether it came. Throws `block-invalid`, `ledger-halted`.
   */
  take(run: readonly Signed[], target?: OpenedHeader): Promise<boolean>;
}

/** Opens the chain of headers in `store`. Throws `network-mismatch` when it holds another network's. */
export function openHeaderChain(parts: {
  readonly suite: Suite;
  readonly genesis: Genesis;
  readonly store: Store;
}): HeaderChain {
  const { suite, genesis, store } = parts;
  const network = networkNameOf(suite, genesis);
  const start: LedgerHead = {
    height: 0,
    headerHash: new Uint8Array(32),
    stateRoot: genesisRoot(suite, genesis),
    timeMs: genesis.createdAtMs,
  };
  const read = (message: Signed): OpenedHeader => {
    const header = blockHeader.decode(message.payload);
    const ours = header.version === PROTOCOL_VERSION && header.network === network && header.height > 0;
    if (!ours || !equalBytes(header.proposer, genesis.sequencer))
      throw invalid(header.height, 'It is no header of this network');
    return { message, header, hash: headerHash(suite, message.payload) };
  };
  const open = (message: Signed): OpenedHeader => {
    const opened = read(message);
    if (checkSigned(suite, network, 'block-header', genesis.sequencer, message))
      throw invalid(opened.header.height, 'The sequencer did not sign its header');
    return opened;
  };
  let latest = readLatest(store, open);
  const stored = store.getSync(EVIDENCE);
  let evidence = stored && equivocation.decode(stored);

  const head = (): LedgerHead => {
    const { header, hash } = latest ?? {};
    const at = header && hash ? { ...pick(header), headerHash: hash } : start;
    return evidence === undefined ? at : { ...at, halted: REASON };
  };
  const same = async (one: OpenedHeader, other: OpenedHeader): Promise<void> => {
    if (equalBytes(one.hash, other.hash)) return;
    // Taken by its links alone, one of them may carry no signature of its own.
    const both = { one: open(one.message).message, other: open(other.message).message };
    evidence ??= both;
    await store.batch([{ type: 'put', key: EVIDENCE, value: equivocation.encode(evidence) }], { sync: true });
    throw new SaharaError('ledger-halted', { reason: REASON, height: one.header.height });
  };
  return {
    network,
    start,
    head,
    latest: () => latest,
    evidence: () => evidence,
    open,
    same,
    async take(run, target) {
      const [first, ...others] = run.map(read);
      if (first === undefined) return false;
      const known = latest;
      const at = head();
      // A node that began from a snapshot has no earlier ones: the sequencer's signature is what its state rests on.
      const jumps = first.header.height > at.height + (known === undefined ? 1 : 0);
      if (!jumps && known !== undefined) {
        if (first.header.height !== known.header.height)
          throw invalid(first.header.height, 'It is not the header that was asked for');
        await same(known, first);
      }
      if (jumps && first.header.timeMs < at.timeMs)
        throw invalid(first.header.height, 'It is older than the header before');
      const following = known === undefined || jumps ? [first, ...others] : others;
      const last = following.at(-1);
      if (last === undefined) return false;
      let before = at;
      for (const { header, hash } of following) {
        if (!jumps || header !== first.header) demandLink(before, header);
        before = { ...pick(header), headerHash: hash };
      }
      open(last.message);
      const reached = following.find(({ header }) => header.height === target?.header.height);
      if (target && reached) await same(target, reached);
      await store.batch([{ type: 'put', key: LATEST, value: signed.encode(last.message) }], { sync: true });
      point('light:headed');
      latest = last;
      return target !== undefined && reached !== undefined;
    },
  };
}

const REASON = 'The sequencer signed two different blocks of one height';

function pick({ height, stateRoot, timeMs }: BlockHeader): Omit<LedgerHead, 'headerHash'> {
  return { height, stateRoot, timeMs };
}

function demandLink(before: LedgerHead, header: BlockHeader): void {
  const { height, previous, timeMs } = header;
  if (height !== before.height + 1) throw invalid(height, 'It does not follow the header before');
  if (!equalBytes(previous, before.headerHash))
    throw invalid(height, 'It names another header as the one before');
  if (timeMs < before.timeMs) throw invalid(height, 'It is older than the header before');
}

function invalid(height: number, reason: string): SaharaError {
  return new SaharaError('block-invalid', { height, reason });
}

function readLatest(store: Store, open: (message: Signed) => OpenedHeader): OpenedHeader | undefined {
  const stored = store.getSync(LATEST);
  if (stored === undefined) return undefined;
  try {
    return open(signed.decode(stored));
  } catch (error) {
    throw new SaharaError(
      'network-mismatch',
      { reason: 'the store holds headers of another network' },
      { cause: error },
    );
  }
}

/** The root of the state that a genesis begins with. */
function genesisRoot(suite: Suite, genesis: Genesis): Hash {
  const state = new State(() => undefined);
  applyGenesis(state, genesis);
  return createStateTree(suite, () => undefined).update(state.changes()).root;
}
