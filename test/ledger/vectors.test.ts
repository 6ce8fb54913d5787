import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { BlockFault, replayBlock } from '../../src/ledger/blocks.ts';
import type { LaneRecord } from '../../src/ledger/records.ts';
import { splitPayment } from '../../src/ledger/settle.ts';
import { createStateTree } from '../../src/ledger/tree.ts';
import { block, genesis } from '../../src/protocol/block.ts';
import {
  evidence,
  evidenceId,
  laneOf,
  openEvidence,
  provenTotal,
} from '../../src/protocol/evidence-channel.ts';
import { dueToKeepers, dueToOwners, dueToParents } from '../../src/protocol/revenue.ts';
import { stateProof, verifyStateProof } from '../../src/protocol/state-proof.ts';
import { type PathAsset, type PathStep, playPaths } from './path-world.ts';
import { Bench, suite } from './support.ts';

function vectors<T>(name: string): T {
  // The file's shape is what its test names.
  return JSON.parse(
    readFileSync(new URL(`../../spec/vectors/ledger/${name}.json`, import.meta.url), 'utf8'),
  ) as T;
}

function bytes(hex: string): Uint8Array {
  const read = fromHex(hex);
  if (read === undefined) throw new Error(`not hexadecimal: ${hex}`);
  return read;
}

interface Proof {
  readonly key: string;
  readonly value: string | null;
  readonly proof: string;
}

interface TreeCase {
  readonly entries: readonly (readonly [string, string])[];
  readonly root: string;
  readonly valid: readonly Proof[];
  readonly invalid: readonly Proof[];
}

test('LEDGER-30 LEDGER-31 LEDGER-32: state trees and proofs', () => {
  const { cases } = vectors<{ cases: readonly TreeCase[] }>('state-tree');
  expect(cases.length).toBeGreaterThan(5);
  for (const { entries, root, valid, invalid } of cases) {
    const store = createMemoryStore();
    const tree = createStateTree(suite, (path) => store.getSync(path));
    const update = tree.update(entries.map(([key, value]) => ({ key: bytes(key), value: bytes(value) })));
    expect(toHex(update.root)).toBe(root);
    const holds = ({ key, value, proof }: Proof): boolean => {
      const entry = { key: bytes(key), value: value === null ? undefined : bytes(value) };
      return verifyStateProof(suite, bytes(root), entry, stateProof.decode(bytes(proof)));
    };
    expect(valid.map(holds)).toEqual(valid.map(() => true));
    expect(invalid.map(holds)).toEqual(invalid.map(() => false));
  }
});

interface Settlement {
  readonly claims: readonly {
    readonly amounts: readonly string[];
    readonly payment: string;
    readonly credits: readonly string[];
  }[];
  readonly shares: { readonly parentsPpm: readonly number[]; readonly ownersPpm: readonly number[] };
  readonly collects: readonly {
    readonly bountyPpm: number;
    readonly received: string;
    readonly parents: readonly string[];
    readonly owners: readonly string[];
    readonly bounty: string;
  }[];
  readonly paths: readonly {
    readonly assets: readonly PathAsset[];
    readonly steps: readonly (PathStep & { readonly moved: string })[];
    readonly received: readonly string[];
    readonly earned: readonly string[];
  }[];
}

test('LEDGER-20 LEDGER-24 LEDGER-87: splitting and dues', () => {
  const { claims, shares, collects } = vectors<Settlement>('settlement');
  const id = (i: number): Uint8Array => new Uint8Array(32).fill(i + 1);
  let lane: LaneRecord = { paid: 0n, total: 0n, parts: [], frozen: undefined };
  for (const { amounts, payment, credits } of claims) {
    const parts = amounts.map((amount, i) => ({ asset: id(i), amount: BigInt(amount) }));
    const split = splitPayment(lane, parts, BigInt(payment));
    const given = parts.map(
      ({ asset }) => split?.credits.find((one) => toHex(one.asset) === toHex(asset))?.amount ?? 0n,
    );
    expect(given.map(String)).toEqual(credits);
    lane = split?.lane ?? lane;
  }
  const parents = shares.parentsPpm.map((ppm, i) => ({ asset: id(i), relation: 'trained-on' as const, ppm }));
  const owners = shares.ownersPpm.map((ppm, i) => ({ owner: id(i), ppm }));
  for (const due of collects) {
    expect(dueToParents(BigInt(due.received), parents).map(String)).toEqual(due.parents);
    const all = { parents, owners, bounty: due.bountyPpm };
    expect(dueToOwners(BigInt(due.received), all).map(String)).toEqual(due.owners);
    expect(String(dueToKeepers(BigInt(due.received), all))).toBe(due.bounty);
  }
});

test('LEDGER-87 LEDGER-88: paths, and who collects them', async () => {
  const { paths } = vectors<Settlement>('settlement');
  expect(paths.length).toBeGreaterThan(0);
  for (const { assets, steps, received, earned } of paths) {
    const moved = steps.map((step) => step.moved);
    expect(await playPaths(assets, steps)).toEqual({ moved, received, earned });
  }
});

interface EvidenceVectors {
  readonly network: string;
  readonly channel: string;
  readonly payee: string;
  readonly cases: readonly {
    readonly name: string;
    readonly evidence: string;
    readonly lane: number | null;
    readonly total: string | null;
    readonly id: string;
  }[];
}

test('LEDGER-107 LEDGER-108 LEDGER-110: evidence, what it proves and what proves nothing', () => {
  const { network, channel, payee, cases } = vectors<EvidenceVectors>('evidence');
  const place = { network, channel: bytes(channel), payee: bytes(payee) };
  expect(cases.filter(({ lane, total }) => lane !== null && total !== null).length).toBeGreaterThan(4);
  for (const { name, evidence: wire, lane, total, id } of cases) {
    const read = evidence.decode(bytes(wire));
    expect(toHex(evidence.encode(read))).toBe(wire);
    const opened = openEvidence(read);
    if (opened === undefined) throw new TypeError(name);
    expect(laneOf(opened, place) ?? null, name).toBe(lane);
    expect(provenTotal(suite, opened)?.toString() ?? null, name).toBe(total);
    expect(toHex(evidenceId(suite, network, opened)), name).toBe(id);
  }
});

interface Chain {
  readonly genesis: string;
  readonly network: string;
  readonly genesisRoot: string;
  readonly blocks: readonly {
    readonly wire: string;
    readonly headerHash: string;
    readonly transactionIds: readonly string[];
    readonly results: readonly (readonly [number, string])[];
    readonly changes: readonly (readonly [string, string | null])[];
    readonly stateRoot: string;
  }[];
}

test.each([
  ['chain', () => vectors<Chain>('chain')],
  ['stake', () => vectors<{ chain: Chain }>('stake').chain],
])(
  'LEDGER-1 LEDGER-5: the recorded network of %s replays to the same results, records and roots',
  async (_, read) => {
    const recorded = read();
    const bench = await Bench.create(genesis.decode(bytes(recorded.genesis)));
    expect(bench.network).toBe(recorded.network);
    expect(toHex(bench.chain.head().stateRoot)).toBe(recorded.genesisRoot);
    for (const { wire, headerHash, transactionIds, results, changes, stateRoot } of recorded.blocks) {
      const content = block.decode(bytes(wire));
      const made = await replayBlock(bench.parts, bytes(wire), content);
      expect(toHex(made.headerHash)).toBe(headerHash);
      expect(made.transactions.map(({ id }) => toHex(id))).toEqual(transactionIds);
      expect(made.results.map(({ code, moved }) => [code, String(moved)])).toEqual(results);
      expect(made.changes.map(({ key, value }) => [toHex(key), value ? toHex(value) : null])).toEqual(
        changes,
      );
      expect(toHex(made.header.stateRoot)).toBe(stateRoot);
      if (content.transactions.length > 0) {
        const short = { ...content, transactions: content.transactions.slice(1) };
        await expect(replayBlock(bench.parts, block.encode(short), short)).rejects.toBeInstanceOf(BlockFault);
      }
      await bench.chain.commit(made);
    }
    const kinds = recorded.blocks.flatMap(({ results }) => results.map(([code]) => code));
    expect(new Set(kinds).size).toBeGreaterThan(2);
  },
);
