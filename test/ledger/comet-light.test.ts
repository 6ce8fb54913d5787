import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fromHex } from '../../src/base/bytes.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { stepsTo } from '../../src/ledger/engines/comet/light/client.ts';
import { fetchConsensusBlock } from '../../src/ledger/engines/comet/light/json.ts';
import type { CometRpc } from '../../src/ledger/engines/comet/rpc.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import { checkInclusion, inclusionProof } from '../../src/ledger/inclusion.ts';
import { genesis as genesisSchema } from '../../src/protocol/block.ts';
import { type ConsensusBlock, consensusBlock } from '../../src/protocol/consensus.ts';
import {
  followBlock,
  soundBlock,
  TRUST_RULES_DEFAULTS,
  type TrustedBlock,
  trustedBeginning,
} from '../../src/protocol/verify-consensus.ts';
import { firstOf, madeBlock, madeChain } from '../protocol/consensus-sample.ts';
import { suite } from './support.ts';

interface Recorded {
  readonly genesis: string;
  readonly first: readonly { readonly did: string; readonly power: number }[];
  readonly proof: string;
  readonly decidedAt: number;
  readonly blocks: Readonly<Record<string, { readonly commit: unknown; readonly validators: unknown }>>;
}

const recorded = JSON.parse(
  readFileSync(new URL('testdata/comet-chain.json', import.meta.url), 'utf8'),
) as Recorded;
const bytesOf = (text: string): Uint8Array => fromHex(text) ?? new Uint8Array(0);
const genesis = genesisSchema.decode(bytesOf(recorded.genesis));
const network = networkNameOf(suite, genesis);
const parts = { suite, network };
const { signal } = new AbortController();

/** Answers as the recorded node did. */
const rpc = {
  call: async (method: 'commit' | 'validators', params: { readonly height: string }) => {
    const found = recorded.blocks[params.height];
    if (found === undefined) throw new SaharaError('peer-unreachable');
    return structuredClone(found[method]);
  },
} as unknown as CometRpc;
const real = (height: number): Promise<ConsensusBlock> => fetchConsensusBlock(rpc, height, { signal });

// The first block has the time of the genesis.
const recordedAtMs = (await real(2)).header.time.seconds * 1000;
const first = recorded.first.map(({ did, power }) => ({ did: bytesOf(did), power }));
const beginning = trustedBeginning(parts, { first, timeMs: genesis.createdAtMs });
const rules = { ...TRUST_RULES_DEFAULTS, nowMs: recordedAtMs + 60_000 };
const failure = (
  from: TrustedBlock,
  block: ConsensusBlock,
  more?: typeof rules,
  held: Parameters<typeof followBlock>[0] = parts,
): string => {
  try {
    followBlock(held, from, block, more);
    return 'none';
  } catch (error) {
    return error instanceof SaharaError ? error.code : String(error);
  }
};

test('ENG-31: blocks of the real program follow from the genesis, one after the other and over some of them', async () => {
  let trusted = beginning;
  for (let height = 1; height <= 9; height++) {
    const block = await real(height);
    const next = followBlock(parts, trusted, block);
    expect(followBlock(parts, beginning, block)).toEqual(next);
    expect(consensusBlock.decode(consensusBlock.encode(block))).toEqual(block);
    trusted = next;
  }
  // A fifth was bonded on the way.
  expect(beginning.voters).toHaveLength(4);
  expect(trusted.voters).toHaveLength(5);
});

test('ENG-68: a vote with a time from before 1970 is read as it is; a block that has such a time is none', async () => {
  const early = (name: 'commit' | 'header', timestamp: string) =>
    ({
      call: async (method: 'commit' | 'validators', params: { readonly height: string }) => {
        const found = JSON.stringify(await rpc.call(method, params, { signal }));
        // Of the first vote, or of the header.
        const key = name === 'commit' ? '"timestamp"' : '"time"';
        const from = found.indexOf(key);
        const before = `${found.slice(0, from)}${key}:"${timestamp}"`;
        return JSON.parse(from < 0 ? found : before + found.slice(found.indexOf('Z"', from) + 2));
      },
    }) as unknown as CometRpc;
  const block = await fetchConsensusBlock(early('commit', '0001-01-01T00:00:00.5Z'), 2, { signal });
  expect(block.votes[0]?.time).toEqual({ seconds: -62_135_596_800, nanos: 500_000_000 });
  expect(consensusBlock.decode(consensusBlock.encode(block))).toEqual(block);
  // Its voter signed another time.
  expect(failure(beginning, block)).toBe('block-invalid');
  const wrong = fetchConsensusBlock(early('header', '1969-12-31T23:59:59Z'), 2, { signal });
  await expect(wrong).rejects.toMatchObject({ code: 'malformed' });
});

test('ENG-30: a block of consensus certifies the header of the ledger, and that the inclusion of a transaction', async () => {
  const proof = inclusionProof.decode(bytesOf(recorded.proof));
  const root = { network, sequencer: genesis.sequencer };
  const by = async (height: number) => {
    const consensus = { first, blocks: [await real(height)] };
    return { ...proof, header: { ...proof.header, consensus } };
  };
  const whole = await by(recorded.decidedAt + 1);
  expect(checkInclusion(suite, root, whole)).toMatchObject({ height: 1, network });
  expect(checkInclusion(suite, root, inclusionProof.decode(inclusionProof.encode(whole)))).toMatchObject({
    height: 1,
  });
  expect(checkInclusion(suite, root, await by(recorded.decidedAt))).toBe('header-signature');
  expect(checkInclusion(suite, root, proof)).toBe('header-signature');
  const other = { ...whole, result: { code: 17, moved: 0n } };
  expect(checkInclusion(suite, root, other)).toBe('result-path');
});

test('ENG-31: no header counts in which anything was altered', async () => {
  const block = await real(2);
  const altered = (change: Partial<ConsensusBlock['header']>): string =>
    failure(beginning, { ...block, header: { ...block.header, ...change } });
  expect(altered({})).toBe('none');
  const { header } = block;
  for (const [name, value] of Object.entries(header)) {
    const other =
      value instanceof Uint8Array
        ? value.map((byte, i) => (i === 0 ? byte ^ 1 : byte))
        : typeof value === 'number'
          ? value + 1
          : 'nanos' in value
            ? { ...value, nanos: value.nanos + 1 }
            : { ...value, total: value.total + 1 };
    expect(altered({ [name]: other }), name).toBe('block-invalid');
  }
  expect(failure(beginning, block, undefined, { suite, network: 'other-0' })).toBe('block-invalid');
  expect(failure(beginning, { ...block, voters: block.voters.slice(0, 3) })).toBe('block-invalid');
  const without = (count: number): string =>
    failure(beginning, { ...block, votes: block.votes.map((vote, i) => (i < count ? undefined : vote)) });
  // One of four may be away, two may not.
  expect([without(1), without(2)]).toEqual(['none', 'block-invalid']);
});

test('ENG-31: trust ends, and no block is believed from the future or the past', async () => {
  const block = await real(3);
  expect(failure(beginning, block, rules)).toBe('state-unproven');
  const longAgo = { ...rules, trustMs: rules.nowMs };
  expect(failure(beginning, block, longAgo)).toBe('none');
  expect(failure(beginning, block, { ...longAgo, nowMs: recordedAtMs - 60_000 })).toBe('block-invalid');
  const third = followBlock(parts, beginning, block);
  expect(failure(third, block)).toBe('block-invalid');
  expect(failure(third, await real(2))).toBe('block-invalid');
  expect(failure({ ...third, timeMs: third.timeMs + 3_600_000 }, await real(4))).toBe('block-invalid');
});

test('ENG-31: where too few voters stayed, blocks between lead there, and none is skipped that is needed', async () => {
  // Of three voters one goes and one comes with every block.
  const chain = madeChain(40);
  const begin = trustedBeginning({ suite }, { first: firstOf(chain, 1), timeMs: 0 });
  const asked: number[] = [];
  const fetch = async (height: number): Promise<ConsensusBlock> => {
    asked.push(height);
    return madeBlock(chain, height);
  };
  const held = { suite, network: chain.network };
  const steps = await stepsTo(async (at) => soundBlock(held, await fetch(at)), begin, {
    height: 30,
    signal,
  });
  expect(steps.at(-1)?.says.height).toBe(30);
  expect(asked[0]).toBe(30);
  expect(new Set(asked).size).toBeGreaterThan(15);
  // A block whose voters are all new is no way past those between.
  const judged = (block: ConsensusBlock): string => failure(begin, block, undefined, held);
  expect([4, 3, 2].map((height) => judged(madeBlock(chain, height)))).toEqual([
    'state-unproven',
    'state-unproven',
    'none',
  ]);
  expect(judged({ ...madeBlock(chain, 1), voters: madeBlock(chain, 2).voters })).toBe('block-invalid');
});
