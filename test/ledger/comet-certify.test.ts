import { expect, test } from 'vitest';
import { equalBytes } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { Certifier } from '../../src/ledger/engines/comet/certify.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import { blockHeader, headerHash } from '../../src/protocol/block.ts';
import { checkpointOf, openCertified } from '../../src/protocol/certified-header.ts';
import { type ConsensusBlock, firstValidatorsHash } from '../../src/protocol/consensus.ts';
import { consensusHash } from '../../src/protocol/consensus-bytes.ts';
import type { Signed } from '../../src/protocol/signing.ts';
import {
  CROOKED,
  chainOf,
  firstOf,
  type MadeChain,
  madeBlock,
  steadyChain,
  voterAt,
} from '../protocol/consensus-sample.ts';
import { suite, testGenesis } from './support.ts';

const { signal } = new AbortController();

/** A chain all of whose voters are others with every `every` blocks, `turns` times. */
function turningChain(every: number, network: string, turns = 9): MadeChain {
  const all = steadyChain(4 * (turns + 1), network).votersAt(1);
  const votersAt = (height: number) => {
    const at = 4 * Math.floor(height / every);
    // In the order of the chain with everybody, which is that of their addresses.
    return all.slice(at, at + 4);
  };
  return { network, votersAt };
}

/** A network whose ledger's block n is made by block n of consensus. */
function network(chainOf: (name: string) => MadeChain) {
  const first = firstOf(chainOf('any'));
  const genesis = { ...testGenesis(), sequencer: firstValidatorsHash(suite, first) };
  const name = networkNameOf(suite, genesis);
  const chain = chainOf(name);
  const header = (height: number): Signed => ({
    payload: blockHeader.encode({
      ...{ version: 1, network: name, height, timeMs: 0, proposer: new Uint8Array(32) },
      ...{ previous: suite.sha256(), transactionsRoot: suite.sha256(), resultsRoot: suite.sha256() },
      stateRoot: suite.sha256(),
    }),
    signature: new Uint8Array(0),
    sides: 0,
    siblings: [],
  });
  const block = (height: number): ConsensusBlock =>
    madeBlock(chain, height, { appHash: headerHash(suite, header(height - 1).payload) });
  return { first, name, header, block, root: { network: name, sequencer: genesis.sequencer } };
}

function certifierOf(
  { first, name, block }: ReturnType<typeof network>,
  seen: (block: ConsensusBlock) => ConsensusBlock = (one) => one,
): Certifier {
  return new Certifier({
    ...{ suite, clock: systemClock, network: name, first },
    fetch: async (height) => seen(block(height)),
    decidedAt: (height) => height,
  });
}

test('ENG-67: a vote that nobody takes is left out, so one validator spoils no proof', async () => {
  const made = network((name) => steadyChain(4, name));
  const spoilt = (count: number) => (one: ConsensusBlock) => ({
    ...one,
    votes: one.votes.map((vote, i) =>
      vote && i < count ? { ...vote, signature: new Uint8Array(64).fill(7) } : vote,
    ),
  });
  const certified = await certifierOf(made, spoilt(1)).header(made.header(5), signal);
  expect(openCertified(suite, made.root, certified).decided?.decision).toMatchObject({
    signed: 3,
    voters: 4,
  });
  await expect(certifierOf(made, spoilt(2)).header(made.header(5), signal)).rejects.toMatchObject({
    code: 'state-unproven',
  });
});

test('ENG-66, ENG-67: a block with a vote that CometBFT alone takes has a proof, and without that vote where it can', async () => {
  const tilted = CROOKED['a commitment with a component of order 8'](0);
  const made = network((name) => chainOf([tilted, ...[1, 2, 3].map(voterAt)], name));
  const at = made.block(6).voters.findIndex(({ key }) => equalBytes(key, tilted.publicKey));
  const away = (count: number) => (one: ConsensusBlock) => {
    const honest = one.votes.map((_, i) => i).filter((i) => i !== at);
    const gone = honest.slice(0, count);
    return { ...one, votes: one.votes.map((vote, i) => (gone.includes(i) ? undefined : vote)) };
  };
  const decision = async (count: number) => {
    const certified = await certifierOf(made, away(count)).header(made.header(5), signal);
    return openCertified(suite, made.root, certified).decided?.decision;
  };
  expect(await decision(0)).toMatchObject({ signed: 3, voters: 4, cofactored: 0 });
  expect(await decision(1)).toMatchObject({ signed: 3, voters: 4, cofactored: 1 });
  await expect(decision(2)).rejects.toMatchObject({ code: 'state-unproven' });
});

test('ENG-30: where all voters change at once, again and again, a proof has two blocks for each time', async () => {
  const made = network((name) => turningChain(1_000, name));
  const certifier = certifierOf(made);
  for (let turn = 1; turn <= 8; turn++) {
    const certified = await certifier.header(made.header(1_000 * turn + 20), signal);
    expect(openCertified(suite, made.root, certified).decided?.height).toBe(1_000 * turn + 21);
    expect(certified.consensus?.blocks).toHaveLength(2 * turn + 1);
  }
});

test('ENG-70: a proof for somebody who believes a block is made once, and none asks twice for a block of consensus', async () => {
  const made = network((name) => turningChain(1_000, name));
  const asked: number[] = [];
  const certifier = certifierOf(made, (one) => {
    asked.push(one.header.height);
    return one;
  });
  const heights = async (height: number, from: number | undefined): Promise<readonly number[]> => {
    const certified = await certifier.header(made.header(height), signal, from);
    return certified.consensus?.blocks.map(({ header }) => header.height) ?? [];
  };
  const expected = [500, 999, 1_000, 1_999, 2_000, 2_021];
  expect(await heights(2_020, 500)).toEqual(expected);
  const before = asked.length;
  expect(await heights(2_020, 500)).toEqual(expected);
  expect(asked).toHaveLength(before);
  // The way to another block goes over the same ones, and its proof is another one than that from the beginning.
  expect(await heights(2_030, 500)).toEqual([500, 999, 1_000, 1_999, 2_000, 2_031]);
  expect(await heights(2_030, undefined)).toEqual([999, 1_000, 1_999, 2_000, 2_031]);
  expect(new Set(asked).size).toBe(asked.length);
});

test('ENG-70: a block that has too few votes is asked for again', async () => {
  const made = network((name) => steadyChain(4, name));
  let short = true;
  const certifier = certifierOf(made, (one) =>
    short ? { ...one, votes: one.votes.map((vote, i) => (i < 2 ? vote : undefined)) } : one,
  );
  await expect(certifier.header(made.header(5), signal)).rejects.toMatchObject({ code: 'state-unproven' });
  short = false;
  const certified = await certifier.header(made.header(5), signal);
  expect(openCertified(suite, made.root, certified).decided?.height).toBe(6);
});

test('ENG-71: where validators changed too often for one proof, it holds the latest blocks, for who knows the first of them', async () => {
  const made = network((name) => turningChain(10, name, 40));
  const certifier = certifierOf(made);
  const whole = await certifier.header(made.header(10 * 31 + 5), signal);
  expect(whole.consensus?.blocks).toHaveLength(63);
  expect(checkpointOf(suite, whole)).toBeUndefined();
  expect(openCertified(suite, made.root, whole).decided?.height).toBe(10 * 31 + 6);
  const late = await certifier.header(made.header(10 * 38 + 5), signal);
  expect(late.consensus?.blocks).toHaveLength(64);
  const through = checkpointOf(suite, late);
  expect(through).toEqual({
    height: late.consensus?.blocks[0]?.header.height,
    hash: through && consensusHash(suite, made.name, made.block(through.height).header),
  });
  expect(() => openCertified(suite, made.root, late)).toThrow(
    'no more than a third of the voters with whom the network began signed block',
  );
  const found = openCertified(suite, { ...made.root, through }, late);
  expect(found.decided).toMatchObject({ height: 10 * 38 + 6, decision: { signed: 4, voters: 4 } });
  // Another block of that height is none.
  const other = through && { ...through, hash: suite.sha256() };
  expect(() => openCertified(suite, { ...made.root, through: other }, late)).toThrow('as it was named');
  // Somebody who believes a later block than the beginning gets a way from there.
  const near = await certifier.header(made.header(10 * 38 + 5), signal, 10 * 30);
  expect(near.consensus?.blocks[0]?.header.height).toBe(10 * 30);
  const far = certifier.header(made.header(10 * 38 + 5), signal, 1);
  await expect(far).rejects.toMatchObject({
    code: 'state-unproven',
    facts: { reason: expect.stringContaining('name a newer one') },
  });
});

test('ENG-41: a node that lacks the block that an asker believes shows the way from the beginning', async () => {
  const made = network((name) => steadyChain(4, name));
  const dropped = (one: ConsensusBlock): ConsensusBlock => {
    if (one.header.height < 50) throw new SaharaError('peer-unreachable');
    return one;
  };
  const plain = {
    headers: async () => [made.header(80)],
    state: () => Promise.reject(new Error('not asked')),
  };
  const heights = async (consensusFrom: number): Promise<readonly number[]> => {
    const { headers } = certifierOf(made, dropped).answers(plain, signal);
    const [found] = await headers({ fromHeight: 80, count: 1, consensusFrom });
    return found?.consensus?.blocks.map(({ header }) => header.height) ?? [];
  };
  expect(await heights(60)).toEqual([60, 81]);
  expect(await heights(90)).toEqual([90]);
  expect(await heights(10)).toEqual([81]);
});
