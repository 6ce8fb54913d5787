/**
 * The chain of headers as a light client knows it: the latest one that it verified, kept on disk. A run of headers
 * is taken by its links and what certifies its last one, which commits to all before it: the sequencer's signature, or
 * what validators decided. Two headers of one height that the sequencer signed end it for good, for nobody else can say which
 * counts. Of two that validators decided on it keeps the one that it followed, for keys that voted once sign anything later
 * (ENG-69). Either way both are kept as evidence.
 */
import { equalBytes } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { point } from '../../base/points.ts';
import type { Store } from '../../base/store.ts';
import { type BlockHeader, blockHeader, type Genesis, headerHash } from '../../protocol/block.ts';
import {
  type CertifiedHeader,
  certifiedHeader,
  type TwoCertified,
  twoCertified,
} from '../../protocol/certified-header.ts';
import { type Hash, PROTOCOL_VERSION } from '../../protocol/ids.ts';
import { checkSigned } from '../../protocol/signing.ts';
import type { Suite } from '../../protocol/suite.ts';
import type { TrustedBlock } from '../../protocol/verify-consensus.ts';
import { applyGenesis, networkNameOf } from '../genesis.ts';
import type { LedgerHead } from '../ledger.ts';
import { State } from '../state.ts';
import { createStateTree } from '../tree.ts';
import { ConsensusTrust, type TrustSettings } from './consensus.ts';

const LATEST = Uint8Array.of(1);
const EVIDENCE = Uint8Array.of(2);

/** A header of this network. */
export interface OpenedHeader {
  readonly message: CertifiedHeader;
  readonly header: BlockHeader;
  readonly hash: Hash;
  /** The block of consensus that certifies it, where validators decide and it was asked for. */
  readonly decided?: TrustedBlock;
}

/** The latest verified header. */
export interface HeaderChain {
  readonly network: string;
  /** Before the first block. */
  readonly start: LedgerHead;
  head(): LedgerHead;
  /** The header of the head; `undefined` before the first block. */
  latest(): OpenedHeader | undefined;
  /** What is believed of consensus. */
  readonly consensus: Pick<ConsensusTrust, 'latest' | 'from' | 'untilMs'>;
  /** The proof that two blocks of one height were certified, once it is known. */
  evidence(): TwoCertified | undefined;
  /**
   * The header of `message` if it is this network's and certified. Throws `block-invalid`, and `state-unproven` when what
   * is believed of consensus does not lead to what certifies it.
   */
  open(message: CertifiedHeader): OpenedHeader;
  /**
   * Demands that two headers of one height, of which `one` is known, are the same. Throws `ledger-halted` for two that the
   * sequencer signed, and halts; `block-invalid` where validators decide, and stays with the one that is known.
   */
  same(one: OpenedHeader, other: OpenedHeader): Promise<void>;
  /**
   * Takes headers that begin with the head's own, or with the first block's, or with a later one where the node has none
   * before. With `target`, the run's header of
   * that height has to be it; answers whether it came. Throws `block-invalid`, `state-unproven`, `ledger-halted`.
   */
  take(run: readonly CertifiedHeader[], target?: OpenedHeader): Promise<boolean>;
}

/** Opens the chain of headers in `store`. Throws `network-mismatch` when it holds another network's. */
export function openHeaderChain(parts: {
  readonly suite: Suite;
  readonly genesis: Genesis;
  readonly store: Store;
  /** Where a clock is to judge what validators decided. */
  readonly trust?: TrustSettings | undefined;
}): HeaderChain {
  const { suite, genesis, store } = parts;
  const network = networkNameOf(suite, genesis);
  const consensus = new ConsensusTrust({ suite, genesis, network, store }, parts.trust);
  const start: LedgerHead = {
    height: 0,
    headerHash: new Uint8Array(32),
    stateRoot: genesisRoot(suite, genesis),
    timeMs: genesis.createdAtMs,
  };
  // Where validators decide, the header that they certified commits to who proposed those before.
  const read = (message: CertifiedHeader, decided: boolean): OpenedHeader => {
    const header = blockHeader.decode(message.payload);
    const ours = header.version === PROTOCOL_VERSION && header.network === network && header.height > 0;
    if (!ours || (!decided && !equalBytes(header.proposer, genesis.sequencer)))
      throw invalid(header.height, 'It is no header of this network');
    return { message, header, hash: headerHash(suite, message.payload) };
  };
  const open = (message: CertifiedHeader): OpenedHeader => {
    const opened = read(message, message.consensus !== undefined);
    if (message.consensus !== undefined) {
      const known = latest !== undefined && equalBytes(latest.hash, opened.hash);
      if (known) return opened;
      const decided = consensus.judge(message, message.consensus, opened.header.height);
      return decided === undefined ? opened : { ...opened, decided };
    }
    if (checkSigned(suite, network, 'block-header', genesis.sequencer, message))
      throw invalid(opened.header.height, 'The sequencer did not sign its header');
    return opened;
  };
  let latest: OpenedHeader | undefined;
  // What validators decided was judged when it was taken, by what was believed then.
  latest = readLatest(store, (message) =>
    message.consensus === undefined ? open(message) : read(message, true),
  );
  const stored = store.getSync(EVIDENCE);
  let evidence = stored && twoCertified.decode(stored);

  const head = (): LedgerHead => {
    const { header, hash } = latest ?? {};
    const at = header && hash ? { ...pick(header), headerHash: hash } : start;
    return evidence === undefined || conflicts(evidence) ? at : { ...at, halted: SIGNED_TWO };
  };
  const same = async (one: OpenedHeader, other: OpenedHeader): Promise<void> => {
    if (equalBytes(one.hash, other.hash)) return;
    const { height } = one.header;
    // Of a run that validators decided on only the last header carries a proof.
    if (one.message.consensus !== undefined && other.message.consensus === undefined)
      throw invalid(height, `Another block of height ${height} is believed here`);
    // Taken by its links alone, one of them may carry no signature of its own.
    const both = { one: open(one.message).message, other: open(other.message).message };
    evidence ??= both;
    await store.batch([{ type: 'put', key: EVIDENCE, value: twoCertified.encode(evidence) }], { sync: true });
    if (!conflicts(both)) throw new SaharaError('ledger-halted', { reason: SIGNED_TWO, height });
    throw invalid(
      height,
      `Validators decided on two blocks of height ${height}, and the other one is believed here`,
    );
  };
  return {
    network,
    start,
    head,
    latest: () => latest,
    evidence: () => evidence,
    consensus,
    open,
    same,
    async take(run, target) {
      const decided = run.at(-1)?.consensus !== undefined;
      const [first, ...others] = run.map((one) => read(one, decided));
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
      const certified = open(last.message);
      if (decided && certified.decided === undefined)
        throw invalid(last.header.height, 'It was decided on before the block of consensus that is believed');
      const reached = following.find(({ header }) => header.height === target?.header.height);
      if (target && reached) await same(target, reached);
      const stored = { type: 'put' as const, key: LATEST, value: certifiedHeader.encode(last.message) };
      const believed = certified.decided ? consensus.adopt(certified.decided) : [];
      await store.batch([stored, ...believed], { sync: true });
      point('light:headed');
      latest = last;
      return target !== undefined && reached !== undefined;
    },
  };
}

const SIGNED_TWO = 'The sequencer signed two different blocks of one height';

/** Whether validators decided on the two, so that they end nothing. */
export function conflicts({ one }: TwoCertified): boolean {
  return one.consensus !== undefined;
}

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

function readLatest(
  store: Store,
  open: (message: CertifiedHeader) => OpenedHeader,
): OpenedHeader | undefined {
  const stored = store.getSync(LATEST);
  if (stored === undefined) return undefined;
  try {
    return open(certifiedHeader.decode(stored));
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
