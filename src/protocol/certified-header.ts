/**
 * A header of the ledger with what makes it believed: the signature of the network's sequencer, or, where several
 * validators order transactions, a proof that they decided on it. Whoever has the genesis alone can check either.
 */
import { equalBytes } from '../base/bytes.ts';
import { asSaharaError } from '../base/errors.ts';
import { type BlockHeader, blockHeader, headerHash } from './block.ts';
import {
  type ConsensusBlock,
  type ConsensusProof,
  consensusProof,
  firstValidatorsHash,
} from './consensus.ts';
import { consensusHash } from './consensus-bytes.ts';
import { must, mustMatch, refuse } from './evidence.ts';
import type { Hash, PublicKey } from './ids.ts';
import { BATCH_DEPTH_MAX, COFACTORED_VOTES_MAX } from './limits.ts';
import { bytes, bytesUpTo, later, list, record, type Schema, uint } from './schema.ts';
import { checkSigned, PAYLOAD_BYTES_MAX, type Signed } from './signing.ts';
import type { Suite } from './suite.ts';
import {
  type Decision,
  followBlock,
  openBlock,
  type TrustedBlock,
  trustedBeginning,
  votersFollow,
} from './verify-consensus.ts';

/** A header, signed by the sequencer, or without a signature and with a proof by consensus. */
export interface CertifiedHeader extends Signed {
  readonly consensus?: ConsensusProof | undefined;
}

/** The wire form of a header with what makes it believed: that of a signed one, or one field more. */
export const certifiedHeader: Schema<CertifiedHeader> = record('certified-header', {
  payload: bytesUpTo(PAYLOAD_BYTES_MAX),
  signature: bytesUpTo(64),
  sides: uint(2 ** BATCH_DEPTH_MAX - 1),
  siblings: list(bytes(32), BATCH_DEPTH_MAX),
  consensus: later(consensusProof),
});

/** Two headers of one height, both certified: what a light client keeps as evidence. */
export interface TwoCertified {
  /** The one that was believed first. */
  readonly one: CertifiedHeader;
  readonly other: CertifiedHeader;
}

/** The wire form of two certified headers of one height. */
export const twoCertified: Schema<TwoCertified> = record('two-certified', {
  one: certifiedHeader,
  other: certifiedHeader,
});

/** A block of consensus that a person names: its height and its header's hash. */
export interface NamedBlock {
  readonly height: number;
  readonly hash: Hash;
}

/** What is trusted: who orders the network's transactions, as its genesis says. */
export interface NetworkRoot {
  /** Full name, which is bound to the genesis. */
  readonly network: string;
  /** The genesis' sequencer: a key, or the hash of the validators with whom the network began. */
  readonly sequencer: PublicKey;
  /** A block of consensus by way of which everything has to be proved, from there on; then no sequencer is believed. Default: none. */
  readonly through?: NamedBlock | undefined;
}

/** A header that is believed. */
export interface OpenedHeader {
  readonly header: BlockHeader;
  /** The block of consensus that certifies it; absent where a sequencer signed it. */
  readonly decided?: TrustedBlock & { readonly decision: Decision };
}

/**
 * The header in `message`, once it is of this network and certified. `what` names it in reasons: "the block". Throws
 * `bundle-invalid` with the reason in words, `malformed` for what is no header.
 */
export function openCertified(
  suite: Suite,
  root: NetworkRoot,
  message: CertifiedHeader,
  what = 'the block',
): OpenedHeader {
  const header = blockHeader.decode(message.payload);
  const { network, sequencer, through } = root;
  must(header.version === 1, `${what} is of another version`);
  must(header.network === network, `${what} is of another network`);
  if (message.consensus === undefined) {
    // Anybody can make a network of their own, and whoever names a block means the network that has it.
    must(through === undefined, `${what} comes by way of no block of consensus: a sequencer signed it`);
    mustMatch(header.proposer, sequencer, `${what} is not of the network’s sequencer`);
    const fault = checkSigned(suite, network, 'block-header', sequencer, message);
    must(fault === undefined, `the signature of ${what} does not match`);
    return { header };
  }
  const { signature, sides, siblings, consensus } = message;
  const bare = signature.length === 0 && sides === 0 && siblings.length === 0;
  must(bare, `${what} has a signature beside its proof by consensus`);
  const decided = decidedBy(suite, root, consensus, what);
  const certified = equalBytes(decided.appHash, headerHash(suite, message.payload));
  must(certified, `the validators decided on another header than that of ${what}`);
  return { header, decided };
}

/** The block of consensus that a proof leads to. */
function decidedBy(
  suite: Suite,
  { network, sequencer, through }: NetworkRoot,
  { first, blocks }: ConsensusProof,
  what: string,
): TrustedBlock & { readonly decision: Decision } {
  mustMatch(
    firstValidatorsHash(suite, first),
    sequencer,
    `the proof of ${what} begins with other validators than the network`,
  );
  const named = blocks.findIndex((block) => isNamed(suite, network, block, through));
  must(
    through === undefined || named >= 0,
    `the proof of ${what} does not come by way of block ${through?.height} of consensus as it was named`,
  );
  let at: TrustedBlock = trustedBeginning({ suite }, { first, timeMs: 0 });
  let cofactored = 0;
  for (const [i, block] of blocks.entries()) {
    // Nobody from before the block that is named is believed.
    if (i < named) continue;
    try {
      at = i === named ? openBlock({ suite, network }, block) : followBlock({ suite, network }, at, block);
      cofactored += at.decision?.cofactored ?? 0;
    } catch (error) {
      const { code, facts } = asSaharaError(error);
      if (code !== 'block-invalid' && code !== 'state-unproven') throw error;
      const { height } = block.header;
      refuse(`the proof of ${what} fails at block ${height} of consensus: ${String(facts.reason)}`);
    }
    must(
      cofactored <= COFACTORED_VOTES_MAX,
      `more than ${COFACTORED_VOTES_MAX} votes in the proof of ${what} hold by CometBFT’s rule alone`,
    );
  }
  const { decision } = at;
  return decision === undefined ? refuse(`the proof of ${what} has no block`) : { ...at, decision };
}

function isNamed(
  suite: Suite,
  network: string,
  { header }: ConsensusBlock,
  named: NamedBlock | undefined,
): boolean {
  if (named === undefined || header.height !== named.height) return false;
  return equalBytes(consensusHash(suite, network, header), named.hash);
}

/**
 * The block with which a header's proof begins, where nothing leads to it from those with whom the network began: whoever
 * verifies it has to know that block. Absent for every other header; nothing of it is verified.
 */
export function checkpointOf(suite: Suite, message: CertifiedHeader): NamedBlock | undefined {
  const { consensus, payload } = message;
  const [begun] = consensus?.blocks ?? [];
  if (consensus === undefined || begun === undefined) return undefined;
  const { network } = blockHeader.decode(payload);
  if (votersFollow(trustedBeginning({ suite }, { first: consensus.first, timeMs: 0 }), begun))
    return undefined;
  return { height: begun.header.height, hash: consensusHash(suite, network, begun.header) };
}

/** Who stands behind a header that is believed, in words: "signed by the network's sequencer". */
export function certifiedBy({ decided }: OpenedHeader): string {
  if (decided === undefined) return 'signed by the network’s sequencer';
  const { signed, voters, power, powerOfAll } = decided.decision;
  return `decided by ${signed} of ${voters} validators, who count ${power} of ${powerOfAll}`;
}
