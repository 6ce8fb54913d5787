/** Vectors of headers that validators decided on: made chains with every lie about them, and what the real program made. */
import { readFileSync } from 'node:fs';
import { concat, equalBytes, fromHex, toHex } from '../../src/base/bytes.ts';
import { fetchConsensusBlock } from '../../src/ledger/engines/comet/light/json.ts';
import { inclusionProof } from '../../src/ledger/inclusion.ts';
import { type BlockHeader, blockHeader, headerHash, networkOf } from '../../src/protocol/block.ts';
import {
  type CertifiedHeader,
  certifiedHeader,
  type NetworkRoot,
  openCertified,
} from '../../src/protocol/certified-header.ts';
import {
  type ConsensusBlock,
  type ConsensusProof,
  type FirstValidator,
  firstValidatorsHash,
} from '../../src/protocol/consensus.ts';
import { consensusHash, votersHash } from '../../src/protocol/consensus-bytes.ts';
import { ED25519_ORDER, fromLittleEndian } from '../../src/protocol/ed25519.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import {
  CROOKED,
  chainOf,
  firstOf,
  type MadeChain,
  type MadeOptions,
  madeBlock,
  madeChain,
  nilVotes,
  nobodysVoter,
  steadyChain,
  tiltedVoter,
  voterAt,
} from '../../test/protocol/consensus-sample.ts';
import type { Vectors } from './file.ts';

interface Judged {
  readonly name: string;
  readonly root: NetworkRoot;
  readonly header: CertifiedHeader;
}

/** What a run of CometBFT 0.38 answered. */
interface Recorded {
  readonly genesis: string;
  readonly first: readonly { readonly did: string; readonly power: number }[];
  readonly proof: string;
  readonly decidedAt: number;
  readonly blocks: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const four = steadyChain(4);
const three = steadyChain(3);
const changing = madeChain(40);

function ledgerHeader(network: string, change: Partial<BlockHeader> = {}): Uint8Array {
  const hash = (text: string): Uint8Array => suite.sha256(new TextEncoder().encode(text));
  return blockHeader.encode({
    version: 1,
    network,
    height: 3,
    previous: hash('previous'),
    transactionsRoot: hash('transactions'),
    resultsRoot: hash('results'),
    stateRoot: hash('state'),
    proposer: new Uint8Array(32),
    timeMs: 1_760_000_000_000,
    ...change,
  });
}

const bare = { signature: new Uint8Array(0), sides: 0, siblings: [] };
const rootOf = (network: string, first: readonly FirstValidator[]): NetworkRoot => ({
  network,
  sequencer: firstValidatorsHash(suite, first),
});

/** A proof by the blocks of `heights`, the last of which certifies the header. */
function proved(chain: MadeChain, heights: readonly number[], last: MadeOptions = {}): Omit<Judged, 'name'> {
  const payload = ledgerHeader(chain.network);
  const first = firstOf(chain);
  const blocks = heights.map((height, i) =>
    madeBlock(
      chain,
      height,
      i === heights.length - 1 ? { appHash: headerHash(suite, payload), ...last } : {},
    ),
  );
  return { root: rootOf(chain.network, first), header: { payload, ...bare, consensus: { first, blocks } } };
}

/** The same with something changed in what certifies it. */
function bent(
  whole: Omit<Judged, 'name'>,
  change: (proof: ConsensusProof) => Partial<ConsensusProof>,
): Omit<Judged, 'name'> {
  const { consensus } = whole.header;
  if (consensus === undefined) throw new TypeError('no proof');
  return { ...whole, header: { ...whole.header, consensus: { ...consensus, ...change(consensus) } } };
}

/** The same with something changed in its last block. */
function bentLast(
  whole: Omit<Judged, 'name'>,
  change: (block: ConsensusBlock) => Partial<ConsensusBlock>,
): Omit<Judged, 'name'> {
  return bent(whole, ({ blocks }) => ({
    blocks: blocks.map((block, i) => (i === blocks.length - 1 ? { ...block, ...change(block) } : block)),
  }));
}

/** No x belongs to this y. */
const offCurve = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 2 : 0));
const stronger = ({ voters }: ConsensusBlock) =>
  voters.map((one, i) => (i === 0 ? { ...one, power: 100 } : one));
const whole = proved(four, [7]);

const commitment = CROOKED['a commitment with a component of order 8'];
const honest = [1, 2, 3].map(voterAt);
/** Of four voters one signs so that only the cofactored rule takes it, and one of the others is away: both are needed. */
const crooked = proved(chainOf([commitment(0), ...honest]), [7], { away: [awayBut(commitment(0))] });

/** The place of an honest one of four voters. */
function awayBut({ publicKey }: Signer): number {
  const all = chainOf([{ ...commitment(0), publicKey }, ...honest]).votersAt(1);
  return all.findIndex((one) => one.publicKey !== publicKey);
}

/** The same votes with S changed in the one that only the cofactored rule takes. */
function withS(change: (s: bigint) => bigint): Omit<Judged, 'name'> {
  const crookedAt = crooked.header.consensus?.blocks[0]?.voters.findIndex(({ key }) =>
    equalBytes(key, commitment(0).publicKey),
  );
  return bentLast(crooked, ({ votes }) => ({
    votes: votes.map((vote, i) => {
      if (i !== crookedAt || vote === undefined) return vote;
      const s = change(fromLittleEndian(vote.signature.subarray(32)));
      const bytes = Uint8Array.from({ length: 32 }, (_, at) => Number((s >> BigInt(8 * at)) & 0xffn));
      return { ...vote, signature: concat(vote.signature.subarray(0, 32), bytes) };
    }),
  }));
}

const wholeHash = headerHash(suite, ledgerHeader(changing.network));

/** A verifier who knows a block of the chain whose voters change. */
function named(height: number, options: MadeOptions = {}): NetworkRoot {
  const { header } = madeBlock(changing, height, options);
  const through = { height, hash: consensusHash(suite, changing.network, header) };
  return { ...rootOf(changing.network, firstOf(changing)), through };
}

const LIES: Readonly<Record<string, Omit<Judged, 'name'>>> = {
  'other validators at the beginning': bent(whole, ({ first }) => ({
    first: first.map((one, i) => (i === 0 ? { ...one, power: 2 } : one)),
  })),
  'a network of other validators': { ...whole, root: rootOf(four.network, firstOf(three)) },
  'no block': bent(whole, () => ({ blocks: [] })),
  'the same block twice': bent(whole, ({ blocks }) => ({ blocks: [...blocks, ...blocks] })),
  'blocks out of order': bent(proved(four, [5, 7]), ({ blocks }) => ({ blocks: blocks.toReversed() })),
  'height 0': proved(four, [0]),
  'a voter who counts more': bentLast(whole, (block) => ({ voters: stronger(block) })),
  'a voter who counts more, also by the header': bentLast(whole, (block) => ({
    voters: stronger(block),
    header: { ...block.header, votersHash: votersHash(suite, stronger(block)) },
  })),
  'a voter twice': bentLast(whole, ({ voters, votes }) => ({
    voters: [...voters, ...voters.slice(0, 1)],
    votes: [...votes, ...votes.slice(0, 1)],
  })),
  'a voter who counts nothing': bentLast(whole, ({ voters }) => ({
    voters: voters.map((one, i) => (i === 0 ? { ...one, power: 0 } : one)),
  })),
  'nobody votes': bentLast(whole, () => ({ voters: [], votes: [] })),
  'a voter left out': bentLast(whole, ({ voters, votes }) => ({
    voters: voters.slice(1),
    votes: votes.slice(1),
  })),
  'a vote too few': bentLast(whole, ({ votes }) => ({ votes: votes.slice(1) })),
  'one vote for two voters': bentLast(whole, ({ votes }) => ({
    votes: votes.map((vote, i) => votes[i === 1 ? 0 : i] ?? vote),
  })),
  'votes that changed places': bentLast(whole, ({ votes }) => ({ votes: votes.toReversed() })),
  'a vote of another time': bentLast(whole, ({ votes }) => ({
    votes: votes.map((vote, i) => (i === 0 && vote ? { ...vote, time: { seconds: 1, nanos: 0 } } : vote)),
  })),
  'a vote with a bit changed, though the others are enough': bentLast(whole, ({ votes }) => ({
    votes: votes.map((vote, i) =>
      i === 3 && vote
        ? { ...vote, signature: vote.signature.map((byte, at) => (at === 40 ? byte ^ 1 : byte)) }
        : vote,
    ),
  })),
  'votes of strangers': proved(four, [7], {
    signers: changing.votersAt(20).concat(changing.votersAt(30).slice(1, 2)),
  }),
  'votes on another network': {
    ...whole,
    header: {
      ...whole.header,
      consensus: {
        first: firstOf(four),
        blocks: [
          madeBlock(steadyChain(4, 'other-0123456789abcdef'), 7, {
            appHash: headerHash(suite, whole.header.payload),
          }),
        ],
      },
    },
  },
  'votes for another height': bentLast(whole, ({ header }) => ({ header: { ...header, height: 8 } })),
  'votes for another block': proved(four, [7], { voted: suite.sha256() }),
  'votes for no block': bentLast(whole, (block) => ({ votes: nilVotes(four, block) })),
  'votes of another round': bentLast(whole, () => ({ round: 1 })),
  'votes for other parts': bentLast(whole, ({ parts }) => ({ parts: { ...parts, total: 2 } })),
  'half of the voters away': proved(four, [7], { away: [0, 1] }),
  'two thirds of the voters, and no more': proved(three, [7], { away: [0] }),
  'a third of the voters before, and no more': proved(changing, [3]),
  'voters who all are new': proved(changing, [9]),
  'a next block with other voters than were named': bent(proved(changing, [2]), ({ blocks }) => ({
    blocks: [madeBlock(steadyChain(3), 1), ...blocks],
  })),
  'a block older than the one before': bent(proved(four, [5, 7]), ({ blocks }) => ({
    blocks: [madeBlock(four, 5, { atS: 1_760_000_100 }), ...blocks.slice(1)],
  })),
  'the header of another block': {
    ...whole,
    header: { ...whole.header, payload: ledgerHeader(four.network, { height: 4 }) },
  },
  'a header of another network': {
    ...whole,
    header: { ...whole.header, payload: ledgerHeader('other-0123456789abcdef') },
  },
  'a header of another version': {
    ...whole,
    header: { ...whole.header, payload: ledgerHeader(four.network, { version: 2 }) },
  },
  'a signature beside the proof': {
    ...whole,
    header: { ...whole.header, signature: new Uint8Array(64) },
  },
  'neither signature nor proof': { ...whole, header: { payload: whole.header.payload, ...bare } },
  'not by way of the block that was named': {
    ...whole,
    root: { ...whole.root, through: { height: 6, hash: suite.sha256() } },
  },
  'by way of another block of the height that was named': {
    ...whole,
    root: { ...whole.root, through: { height: 7, hash: suite.sha256() } },
  },
  'blocks to which nothing leads from the beginning': proved(changing, [20, 21, 22]),
  'blocks that do not follow from the one that was named': {
    ...proved(changing, [20, 30]),
    root: named(20),
  },
  'a block that was named, with a vote that is not for it': {
    ...bent(proved(changing, [20, 21]), ({ blocks }) => ({
      blocks: blocks.map((block, i) => (i === 0 ? { ...block, round: 1 } : block)),
    })),
    root: named(20),
  },
  'a vote by the cofactored rule, for another block': proved(chainOf([commitment(0), ...honest]), [7], {
    voted: suite.sha256(),
  }),
  'a vote by the cofactored rule with S beyond the order': withS((s) => s + ED25519_ORDER),
  'a vote by the cofactored rule with another S': withS((s) => s + 1n),
  'a vote by the cofactored rule, of somebody else': proved(chainOf([commitment(0), ...honest]), [7], {
    signers: chainOf([commitment(5), ...honest]).votersAt(7),
  }),
  'a vote whose commitment is no point': bentLast(crooked, ({ votes }) => ({
    votes: votes.map((vote) => vote && { ...vote, signature: concat(offCurve, vote.signature.subarray(32)) }),
  })),
  'votes from before 1970 with another such time': bentLast(
    proved(four, [7], { votedAtS: -62_135_596_800 }),
    ({ votes }) => ({ votes: votes.map((vote) => vote && { ...vote, time: { seconds: -1, nanos: 0 } }) }),
  ),
};

const between = madeBlock(changing, 2);

/** Blocks that CometBFT made: one alone, and each from the first on. */
async function recorded(): Promise<readonly Judged[]> {
  const path = new URL('../../test/ledger/testdata/comet-chain.json', import.meta.url);
  const run = JSON.parse(readFileSync(path, 'utf8')) as Recorded;
  const bytesOf = (text: string): Uint8Array => fromHex(text) ?? new Uint8Array(0);
  const first = run.first.map(({ did, power }) => ({ did: bytesOf(did), power }));
  const network = networkOf(suite, bytesOf(run.genesis));
  const never = (): never => {
    throw new TypeError('only single methods are asked for');
  };
  const call = async (method: string, params: object): Promise<unknown> =>
    run.blocks[String((params as { readonly height: string }).height)]?.[method];
  const rpc = { call, broadcast: never, broadcastAll: never, query: never, status: never };
  const { signal } = new AbortController();
  const { header } = inclusionProof.decode(bytesOf(run.proof));
  const all = Array.from({ length: run.decidedAt + 1 }, (_, i) => i + 1);
  const blocks = await Promise.all(all.map((height) => fetchConsensusBlock(rpc, height, { signal })));
  const by = (name: string, some: readonly ConsensusBlock[]): Judged => ({
    name,
    root: rootOf(network, first),
    header: { ...header, consensus: { first, blocks: some } },
  });
  return [by('made by CometBFT', blocks.slice(-1)), by('made by CometBFT, one after the other', blocks)];
}

const SOUND: readonly Judged[] = [
  { name: 'four of four', ...whole },
  { name: 'three of four', ...proved(four, [7], { away: [2] }) },
  { name: 'the first block', ...proved(four, [1]) },
  { name: 'by way of blocks at which voters changed', ...proved(changing, [2, 3, 4, 5, 6]) },
  {
    name: 'by way of a block that was named',
    ...proved(changing, [2, 3, 4]),
    root: {
      ...rootOf(changing.network, firstOf(changing)),
      through: { height: 2, hash: consensusHash(suite, changing.network, between.header) },
    },
  },
  ...(await recorded()),
  { name: 'one of three votes by the cofactored rule, as CometBFT counts', ...crooked },
  ...Object.entries(CROOKED).map(([name, kind]) => ({
    name: `every vote with ${name}`,
    ...proved(chainOf([0, 1, 2, 3].map(kind)), [7]),
  })),
  {
    name: 'voters whose keys have a component of order 8',
    ...proved(chainOf([tiltedVoter(0), tiltedVoter(1), ...honest.slice(0, 2)]), [7]),
  },
  {
    name: 'a voter whose key is of small order and not canonical',
    ...proved(chainOf([nobodysVoter(), ...honest]), [7]),
  },
  {
    name: 'from a block that was named, to which nothing leads from the beginning',
    ...proved(changing, [20, 21, 22]),
    root: named(20),
  },
  {
    name: 'by way of a block that was named, whatever came before it',
    ...proved(changing, [9, 20, 21]),
    root: named(20),
  },
  {
    name: 'the block itself that was named',
    ...proved(changing, [30], { appHash: wholeHash }),
    root: named(30, { appHash: wholeHash }),
  },
  {
    name: 'votes with the first time that there is',
    ...proved(four, [7], { votedAtS: -62_135_596_800 }),
  },
];

function given({ name, root, header }: Judged): Readonly<Record<string, unknown>> {
  const { network, sequencer, through } = root;
  return {
    name,
    network,
    sequencer: toHex(sequencer),
    ...(through && { through: { height: through.height, hash: toHex(through.hash) } }),
    header: toHex(certifiedHeader.encode(header)),
  };
}

/** The file `consensus.json`. */
export function consensusVectors(): Vectors<object, object> {
  return {
    about:
      'Headers that validators decided on (RCPT-85 to RCPT-91, ENG-66 to ENG-68), against what a genesis names in place of a sequencer and, where there is one, a block that the verifier knows.',
    valid: SOUND.map((one) => {
      const { header, decided } = openCertified(suite, one.root, one.header);
      if (decided === undefined) throw new TypeError('not decided');
      const { signed, voters, power, powerOfAll } = decided.decision;
      const votes = { signed, voters, power: Number(power), powerOfAll: Number(powerOfAll) };
      return { ...given(one), height: header.height, decidedAt: decided.height, ...votes };
    }),
    invalid: Object.entries(LIES).map(([name, one]) => given({ name, ...one })),
  };
}
