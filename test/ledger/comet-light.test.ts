import { readFileSync } from 'node:fs';
import { Header, LightBlock } from 'cosmjs-types/tendermint/types/types';
import { expect, test } from 'vitest';
import { compareBytes, fromHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { checkCertifiedInclusion, createCometLight } from '../../src/ledger/engines/comet/light/client.ts';
import { consensusHash, voteBytes, votersHash } from '../../src/ledger/engines/comet/light/header.ts';
import { fetchLightBlock } from '../../src/ledger/engines/comet/light/json.ts';
import {
  LIGHT_RULES_DEFAULTS,
  type TrustedBlock,
  trustedBeginning,
  verifyLightBlock,
} from '../../src/ledger/engines/comet/light/verify.ts';
import type { CometRpc } from '../../src/ledger/engines/comet/rpc.ts';
import { addressOf } from '../../src/ledger/engines/comet/validators.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import { inclusionProof } from '../../src/ledger/inclusion.ts';
import { genesis as genesisSchema } from '../../src/protocol/block.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { timeOf } from './comet-support.ts';
import { person, suite } from './support.ts';

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
const real = (height: number): Promise<LightBlock> => fetchLightBlock(rpc, height, { signal });

// The first block has the time of the genesis.
const second = await real(2);
const recordedAtMs = Number(second.signedHeader?.header?.time.seconds) * 1000;
const beginning = trustedBeginning(parts, {
  voters: recorded.first.map(({ did, power }) => ({ key: bytesOf(did), power: BigInt(power) })),
  timeMs: genesis.createdAtMs,
});
const rules = { ...LIGHT_RULES_DEFAULTS, nowMs: recordedAtMs + 60_000 };
const longAgo = { ...rules, trustMs: rules.nowMs };
const failure = (from: TrustedBlock, light: LightBlock, more = longAgo): string => {
  try {
    verifyLightBlock(parts, from, light, more);
    return 'none';
  } catch (error) {
    return error instanceof SaharaError ? error.code : String(error);
  }
};

test('ENG-31: blocks of the real program follow from the genesis, one after the other and over some of them', async () => {
  let trusted = beginning;
  for (let height = 1; height <= 9; height++) {
    const light = await real(height);
    const next = verifyLightBlock(parts, trusted, light, longAgo);
    expect(verifyLightBlock(parts, beginning, light, longAgo)).toEqual(next);
    trusted = next;
  }
  // A fifth was bonded on the way.
  expect(beginning.voters).toHaveLength(4);
  expect(trusted.voters).toHaveLength(5);
});

test('ENG-30: a block of consensus certifies the header of the ledger, and that the inclusion of a transaction', async () => {
  const proof = inclusionProof.decode(bytesOf(recorded.proof));
  const at = async (height: number) => verifyLightBlock(parts, beginning, await real(height), longAgo);
  const certifying = await at(recorded.decidedAt + 1);
  expect(checkCertifiedInclusion(parts, certifying, proof)).toMatchObject({ height: 1, network });
  expect(checkCertifiedInclusion(parts, await at(recorded.decidedAt), proof)).toBe('header-signature');
  const other = { ...proof, result: { code: 17, moved: 0n } };
  expect(checkCertifiedInclusion(parts, certifying, other)).toBe('result-path');
});

test('ENG-31: no header counts in which anything was altered', async () => {
  const light = await real(2);
  const alter = (change: (copy: LightBlock) => void): string => {
    const copy = LightBlock.decode(LightBlock.encode(light).finish());
    change(copy);
    return failure(beginning, copy);
  };
  expect(alter(() => {})).toBe('none');
  const header = (copy: LightBlock): Header => copy.signedHeader?.header ?? Header.fromPartial({});
  const hashes = [
    'lastCommitHash',
    'dataHash',
    'validatorsHash',
    'nextValidatorsHash',
    'consensusHash',
  ] as const;
  for (const name of [...hashes, 'appHash', 'lastResultsHash', 'evidenceHash', 'proposerAddress'] as const)
    expect(
      alter((copy) => header(copy)[name].set([255], 0)),
      name,
    ).toBe('block-invalid');
  expect(alter((copy) => (header(copy).height += 1n))).toBe('block-invalid');
  expect(alter((copy) => (header(copy).time.nanos += 1))).toBe('block-invalid');
  expect(alter((copy) => (header(copy).chainId = 'other-0'))).toBe('block-invalid');
  expect(alter((copy) => void copy.validatorSet?.validators.pop())).toBe('block-invalid');
  expect(alter((copy) => delete copy.signedHeader)).toBe('block-invalid');
  const votes = (copy: LightBlock) => copy.signedHeader?.commit?.signatures ?? [];
  // One vote may be missing or wrong, two of four may not; by those that stay more than a third of the trusted signed.
  const spoil = (count: number): string =>
    alter((copy) => {
      for (const vote of votes(copy).slice(0, count)) vote.signature = new Uint8Array(64);
    });
  expect([spoil(1), spoil(2)]).toEqual(['none', 'block-invalid']);
});

test('ENG-31: trust ends, and no block is believed from the future or the past', async () => {
  const light = await real(3);
  expect(failure(beginning, light, rules)).toBe('state-unproven');
  expect(failure(beginning, light, { ...longAgo, nowMs: recordedAtMs - 60_000 })).toBe('block-invalid');
  const third = verifyLightBlock(parts, beginning, light, longAgo);
  expect(failure(third, light)).toBe('block-invalid');
  expect(failure(third, await real(2))).toBe('block-invalid');
  expect(failure({ ...third, timeMs: third.timeMs + 3_600_000 }, await real(4))).toBe('block-invalid');
});

/** A chain whose voters change with every block: of three, one goes and one comes. */
const people = Array.from({ length: 40 }, (_, i) => person(`voter ${i}`));
const place = ({ publicKey }: Signer): Uint8Array => addressOf(suite, publicKey);
const votersAt = (height: number): readonly Signer[] =>
  people.slice(height, height + 3).sort((a, b) => compareBytes(place(a), place(b)));
const asVoters = (signers: readonly Signer[]) => signers.map(({ publicKey: key }) => ({ key, power: 1n }));

function made(height: number): LightBlock {
  const signers = votersAt(height);
  const header = Header.fromPartial({
    chainId: network,
    height: BigInt(height),
    time: timeOf(recordedAtMs + height),
    validatorsHash: votersHash(suite, asVoters(signers)),
    nextValidatorsHash: votersHash(suite, asVoters(votersAt(height + 1))),
    appHash: new Uint8Array(32).fill(height),
  });
  const blockId = {
    hash: consensusHash(suite, header),
    partSetHeader: { total: 1, hash: new Uint8Array(32) },
  };
  const commit = { height: BigInt(height), round: 0, blockId, signatures: [] };
  const signatures = signers.map((one) => {
    const vote = {
      blockIdFlag: 2,
      validatorAddress: addressOf(suite, one.publicKey),
      timestamp: header.time,
    };
    const signature = one.sign(voteBytes(network, commit, { ...vote, signature: new Uint8Array(0) }));
    return { ...vote, signature };
  });
  const validators = signers.map(({ publicKey }) => ({
    address: addressOf(suite, publicKey),
    pubKey: { ed25519: publicKey },
    votingPower: 1n,
    proposerPriority: 0n,
  }));
  return {
    signedHeader: { header, commit: { ...commit, signatures } },
    validatorSet: { validators, totalVotingPower: 3n },
  };
}

test('ENG-31: where too few voters stayed, blocks between lead there, and none is skipped that is needed', async () => {
  const begin = trustedBeginning(parts, { voters: asVoters(votersAt(1)), timeMs: recordedAtMs });
  const asked: number[] = [];
  const fetch = async (height: number): Promise<LightBlock> => {
    asked.push(height);
    return made(height);
  };
  const clock = { ...systemClock, nowMs: () => recordedAtMs + 60_000 };
  const light = createCometLight({ ...parts, clock, fetch }, begin);
  expect((await light.advance(30, { signal })).height).toBe(30);
  expect(asked[0]).toBe(30);
  expect(new Set(asked).size).toBeGreaterThan(15);
  // A block whose voters are all new is no way past those between.
  expect(failure(begin, made(4), rules)).toBe('state-unproven');
  expect(failure(begin, made(3), rules)).toBe('state-unproven');
  expect(failure(begin, made(2), rules)).toBe('none');
  const forged = made(1);
  const stolen = made(2).validatorSet;
  expect(failure(begin, { ...forged, ...(stolen && { validatorSet: stolen }) }, rules)).toBe('block-invalid');
});
