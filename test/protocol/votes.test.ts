import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { equalBytes } from '../../src/base/bytes.ts';
import { blockHeader, headerHash } from '../../src/protocol/block.ts';
import { certifiedHeader, openCertified } from '../../src/protocol/certified-header.ts';
import { firstValidatorsHash } from '../../src/protocol/consensus.ts';
import { consensusHash, voteBytes } from '../../src/protocol/consensus-bytes.ts';
import { COFACTORED_VOTES_MAX, CONSENSUS_BLOCKS_MAX } from '../../src/protocol/limits.ts';
import { signOne } from '../../src/protocol/signing.ts';
import type { Suite } from '../../src/protocol/suite.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import { portableSuite } from '../../src/protocol/suite-portable.ts';
import { soundBlock } from '../../src/protocol/verify-consensus.ts';
import { holdsCofactored, voteRule } from '../../src/protocol/vote-signature.ts';
import {
  CROOKED,
  chainOf,
  firstOf,
  type MadeChain,
  madeBlock,
  nobodysVoter,
  steadyChain,
  tiltedVoter,
  voterAt,
} from './consensus-sample.ts';
import { filled, suite } from './sample.ts';
import { bytesOf, type Case, vectors } from './vector-files.ts';

const message = new TextEncoder().encode('a vote');
const crooked = [
  ...Object.values(CROOKED).map((kind) => kind(0)),
  tiltedVoter(0),
  tiltedVoter(1),
  nobodysVoter(),
];

/** The suite, with what it was asked about signatures counted. */
function counting(): { readonly suite: Suite; readonly asked: () => number } {
  let asked = 0;
  const verify: Suite['verify'] = (...all) => {
    asked++;
    return suite.verify(...all);
  };
  return { suite: { ...suite, verify }, asked: () => asked };
}

/** A header that the blocks of `heights` certify. */
function certified(chain: MadeChain, heights: readonly number[]) {
  const { network } = chain;
  const hashes = { previous: filled(1), transactionsRoot: filled(2), resultsRoot: filled(3) };
  const rest = { ...hashes, stateRoot: filled(4), proposer: filled(5), timeMs: 1 };
  const payload = blockHeader.encode({ version: 1, network, height: 9, ...rest });
  const first = firstOf(chain);
  const appHash = headerHash(suite, payload);
  const blocks = heights.map((height) => madeBlock(chain, height, { appHash }));
  const header = {
    payload,
    signature: new Uint8Array(0),
    sides: 0,
    siblings: [],
    consensus: { first, blocks },
  };
  return { root: { network, sequencer: firstValidatorsHash(suite, first) }, header };
}

describe('a vote of consensus', () => {
  it('holds as CometBFT counts it where the strict rule says no, in both suites (ENG-66)', () => {
    for (const voter of crooked) {
      const vote = { key: voter.publicKey, message, signature: voter.sign(message) };
      for (const one of [suite, portableSuite]) {
        expect(one.verify(vote.key, message, vote.signature)).toBe(false);
        expect(voteRule(one, vote)).toBe('cofactored');
      }
      const other = { ...vote, message: filled(7) };
      // Whose key is of small order signed everything at once; CometBFT says so too.
      const anything = equalBytes(vote.key, nobodysVoter().publicKey);
      expect(voteRule(suite, other)).toBe(anything ? 'cofactored' : undefined);
      for (const length of [0, 63, 65]) {
        const signature = new Uint8Array(length);
        expect(voteRule(suite, { ...vote, signature })).toBeUndefined();
      }
    }
  });

  it('holds by the second rule whenever it does by the first (ENG-66)', () => {
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(bytes, fc.uint8Array({ maxLength: 200 }), (seed, text) => {
        const signer = createSigner(seed);
        const vote = { key: signer.publicKey, message: text, signature: signer.sign(text) };
        expect(voteRule(suite, vote)).toBe('strict');
        expect(holdsCofactored(vote)).toBe(true);
        const bent = vote.signature.slice();
        bent[40] = (bent[40] ?? 0) ^ 1;
        expect(voteRule(suite, { ...vote, signature: bent })).toBeUndefined();
      }),
      { numRuns: 20 },
    );
    const holds = (one: Case): boolean =>
      holdsCofactored({
        key: bytesOf(one, 'publicKey'),
        message: bytesOf(one, 'message'),
        signature: bytesOf(one, 'signature'),
      });
    const { valid, invalid } = vectors('ed25519');
    expect(valid.every(holds)).toBe(true);
    // The published cases of ZIP-215: it takes each pair of encodings of small order.
    const pairs = invalid.filter(({ name }) => name.startsWith('small-order A and R, S = 0'));
    expect(pairs).toHaveLength(14 * 14);
    expect(pairs.every(holds)).toBe(true);
  });

  it('is checked only after everything that costs nothing (ENG-31)', () => {
    const strangers = certified(steadyChain(4), [3, 9]);
    const { header } = certified(chainOf([20, 21, 22, 23].map(voterAt)), [9]);
    const [theirs] = header.consensus.blocks;
    const before = strangers.header.consensus;
    const blocks = [theirs, ...before.blocks.slice(1)].filter((block) => block !== undefined);
    const asked = counting();
    expect(() =>
      openCertified(asked.suite, strangers.root, {
        ...strangers.header,
        consensus: { ...before, blocks },
      }),
    ).toThrow('no more than a third of the voters with whom the network began signed block 9');
    expect(asked.asked()).toBe(0);
  });

  it('is one of at most 1,000 in a proof that only the second rule takes (ENG-67)', {
    timeout: 120_000,
  }, () => {
    const kind = CROOKED['a commitment that is not canonical'];
    const chain = chainOf(Array.from({ length: 67 }, (_, i) => kind(i)));
    const enough = Math.floor(COFACTORED_VOTES_MAX / 67);
    expect(enough + 1).toBeLessThan(CONSENSUS_BLOCKS_MAX);
    const { root, header } = certified(
      chain,
      Array.from({ length: enough + 1 }, (_, i) => i + 1),
    );
    const { first, blocks } = header.consensus;
    const shorter = { ...header, consensus: { first, blocks: blocks.slice(0, enough) } };
    const found = openCertified(suite, root, certifiedHeader.decode(certifiedHeader.encode(shorter)));
    expect(found.decided?.decision).toMatchObject({ signed: 67, cofactored: 67 });
    expect(() => openCertified(suite, root, header)).toThrow(
      'more than 1000 votes in the proof of the block hold by CometBFT’s rule alone',
    );
  });

  it('is left out of a proof that does without it (ENG-67)', () => {
    const chain = chainOf([CROOKED['a commitment that is not canonical'](0), ...[1, 2, 3].map(voterAt)]);
    const signed = (one: ReturnType<typeof madeBlock>): number =>
      soundBlock({ suite, network: chain.network }, one).block.votes.filter(Boolean).length;
    expect(signed(madeBlock(chain, 3))).toBe(3);
    const at = chain.votersAt(3).findIndex(({ publicKey }) => !equalBytes(publicKey, tilted()));
    expect(signed(madeBlock(chain, 3, { away: [at] }))).toBe(3);

    function tilted(): Uint8Array {
      return CROOKED['a commitment that is not canonical'](0).publicKey;
    }
  });

  it('has any time from year 1 on, with the bytes that CometBFT has for it (ENG-68, RCPT-91)', () => {
    const chain = steadyChain(1);
    const block = madeBlock(chain, 3, { votedAtS: -62_135_596_800 });
    const hash = consensusHash(suite, chain.network, block.header);
    const [vote] = block.votes;
    if (vote === undefined) throw new RangeError('no vote');
    const bytes = voteBytes(chain.network, { ...block, height: 3, hash }, vote);
    // `google.protobuf.Timestamp` of 0001-01-01T00:00:00Z is 08 80 92 b8 c3 98 fe ff ff ff 01.
    expect(Buffer.from(bytes).toString('hex')).toContain('088092b8c398feffffff01');
  });

  it('is the only thing that the second rule is for (ENG-66)', () => {
    const network = 'made-0123456789abcdef';
    for (const voter of crooked.slice(0, 2)) {
      const rest = { previous: filled(0), transactionsRoot: filled(2), resultsRoot: filled(3) };
      const payload = blockHeader.encode({
        ...{ version: 1, network, height: 1, stateRoot: filled(4), timeMs: 1 },
        ...rest,
        proposer: voter.publicKey,
      });
      const header = signOne(suite, voter, network, { type: 'block-header', payload });
      const root = { network, sequencer: voter.publicKey };
      expect(() => openCertified(suite, root, header)).toThrow('the signature of the block does not match');
    }
  });
});
