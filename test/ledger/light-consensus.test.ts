import { expect, test } from 'vitest';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import { createLightClient } from '../../src/ledger/light/client.ts';
import type { TrustSettings } from '../../src/ledger/light/consensus.ts';
import { type HeaderChain, openHeaderChain } from '../../src/ledger/light/headers.ts';
import { headersAnswer, headersQuestion } from '../../src/ledger/light/messages.ts';
import { reportOf } from '../../src/ledger/light/report.ts';
import { blockHeader, headerHash } from '../../src/protocol/block.ts';
import type { CertifiedHeader } from '../../src/protocol/certified-header.ts';
import { type ConsensusBlock, firstValidatorsHash } from '../../src/protocol/consensus.ts';
import { consensusHash } from '../../src/protocol/consensus-bytes.ts';
import {
  firstOf,
  type MadeChain,
  type MadeOptions,
  madeBlock,
  madeChain,
} from '../protocol/consensus-sample.ts';
import { suite, testGenesis } from './support.ts';

const DAY_MS = 86_400_000;
// Of three voters one goes and one comes with every block of consensus.
const first = firstOf(madeChain(40));
const base = testGenesis();
const genesis = { ...base, createdAtMs: 1_760_000_000_000, sequencer: firstValidatorsHash(suite, first) };
const network = networkNameOf(suite, genesis);
const chain: MadeChain = madeChain(40, network);
const at = (height: number): number => 1_760_000_000_000 + height * 1_000;

/** A header of the ledger; `told` makes another of the same height. */
function header(height: number, told = 'one'): CertifiedHeader {
  const hash = (text: string): Uint8Array => suite.sha256(new TextEncoder().encode(text));
  const previous = height === 1 ? new Uint8Array(32) : headerHash(suite, header(height - 1).payload);
  const payload = blockHeader.encode({
    version: 1,
    network,
    height,
    previous,
    transactionsRoot: hash(`transactions ${height}`),
    resultsRoot: hash('results'),
    stateRoot: hash(told),
    proposer: new Uint8Array(32),
    timeMs: at(0),
  });
  return { payload, signature: new Uint8Array(0), sides: 0, siblings: [] };
}

/** The block of consensus of a height: the ledger's block n is made by block 2n - 1, and certified by the next two. */
function real(height: number, more: MadeOptions = {}): ConsensusBlock {
  const before = Math.floor(height / 2);
  const appHash = before === 0 ? new Uint8Array(32) : headerHash(suite, header(before).payload);
  return madeBlock(chain, height, { appHash, ...more });
}

/** A header of the ledger with every block of consensus from one on to that which certifies it. */
function decided(
  height: number,
  from = 1,
  more: MadeOptions = {},
  bare: CertifiedHeader = header(height),
): CertifiedHeader {
  const last = 2 * height;
  const ways = Array.from({ length: Math.max(0, last - from) }, (_, i) => real(from + i));
  return { ...bare, consensus: { first, blocks: [...ways, real(last, more)] } };
}

/** A chain of headers by a clock that stands `afterMs` after the beginning. */
function headers(
  afterMs = 60_000,
  settings: Partial<TrustSettings> = {},
  store: Store = createMemoryStore(),
): HeaderChain {
  const clock = { nowMs: () => at(0) + afterMs };
  return openHeaderChain({ suite, genesis, store, trust: { clock, ...settings } });
}

test('ENG-42: headers that validators decided on are taken from the genesis on, and go on from what is believed', async () => {
  const store = createMemoryStore();
  const known = headers(60_000, {}, store);
  expect(known.consensus.from).toBeUndefined();
  await known.take([header(1), decided(2)]);
  expect(known.head()).toMatchObject({ height: 2 });
  expect(known.consensus).toMatchObject({
    from: 4,
    latest: { height: 4 },
    untilMs: at(4) + 250 + 7 * DAY_MS,
  });
  // Over a restart too, and from there on, though by these blocks alone nothing leads to it from the beginning.
  const again = headers(60_000, {}, store);
  expect(again.head()).toEqual(known.head());
  await again.take([header(2), decided(3, 5)]);
  await again.take([header(3), header(4), decided(5, 6)]);
  expect(again.consensus.latest?.height).toBe(10);
  expect(() => headers().open(decided(5, 6))).toThrow(
    /state-unproven .*Its proof begins with block 6 of consensus, .* --trust HEIGHT:HASH/,
  );
  // The same header is known, whoever certifies it how.
  expect(again.open(decided(5, 10)).header.height).toBe(5);
});

test('ENG-42: nothing is taken that too few signed, or that certifies another header', async () => {
  const known = headers();
  await known.take([decided(1)]);
  const wrong = [
    decided(2, 3, { away: [0] }),
    decided(2, 3, { appHash: suite.sha256() }),
    decided(2, 3, { signers: chain.votersAt(30) }),
    { ...header(2), consensus: { first: first.slice(1), blocks: [real(3), real(4)] } },
    { ...header(2), consensus: { first, blocks: [] } },
    { ...decided(2, 3), signature: new Uint8Array(64) },
    header(2),
  ];
  for (const one of wrong)
    await expect(known.take([header(1), one])).rejects.toMatchObject({ code: 'block-invalid' });
  expect(known.head().height).toBe(1);
  // What was decided on before what is believed moves nothing.
  await known.take([header(1), header(2), decided(3, 3)]);
  const past = { ...header(4), consensus: decided(1).consensus };
  await expect(known.take([header(3), past])).rejects.toMatchObject({ code: 'block-invalid' });
  expect(known.head().height).toBe(3);
  expect(known.open(decided(1)).decided).toBeUndefined();
});

test('ENG-43: nothing is believed by what is older than a week, until a person names a newer block', async () => {
  const store = createMemoryStore();
  await headers(60_000, {}, store).take([decided(1)]);
  const failed = await headers(8 * DAY_MS, {}, store)
    .take([header(1), decided(2, 3)])
    .catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: 'state-unproven' });
  expect(String(failed)).toMatch(/block 2 of consensus .* is too old .* --light --trust HEIGHT:HASH/);
  expect(() => headers(8 * DAY_MS).open(decided(1))).toThrow(
    /The beginning of the network, of 2025-10-09, is too old/,
  );
  expect(() => headers(-DAY_MS).open(decided(1))).toThrow('its time is still to come');
  await headers(8 * DAY_MS, { rules: { trustMs: 30 * DAY_MS } }, store).take([header(1), decided(2, 3)]);
  // One that is named, later than what is believed: every proof begins with it.
  const named = { height: 20, hash: consensusHash(suite, network, real(20).header) };
  const told = headers(60_000, { named }, store);
  expect(told.consensus.from).toBe(20);
  for (const one of [
    decided(3, 5),
    { ...decided(11, 20), consensus: { first, blocks: [real(20, { atS: 1 }), real(21), real(22)] } },
  ])
    await expect(told.take([one])).rejects.toMatchObject({
      code: 'state-unproven',
      facts: { reason: expect.stringContaining('block 20 of consensus, which was named here') },
    });
  await told.take([decided(11, 20)]);
  expect(told.consensus).toMatchObject({ from: 22, latest: { height: 22 } });
  // What is believed by now is later than what was named.
  expect(headers(60_000, { named }, store).consensus.from).toBe(22);
});

test('ENG-69: of two headers of one height that validators decided on it keeps what it followed, with both as evidence, and goes on', async () => {
  const store = createMemoryStore();
  const known = headers(60_000, {}, store);
  await known.take([header(1), decided(2)]);
  const latest = known.latest();
  if (latest === undefined) throw new RangeError('no header');
  const two = header(2, 'two');
  const forked = known.open(decided(2, 1, { appHash: headerHash(suite, two.payload) }, two));
  await expect(known.same(latest, forked)).rejects.toMatchObject({
    code: 'block-invalid',
    facts: { reason: expect.stringContaining('two blocks of height 2, and the other one is believed here') },
  });
  const again = headers(60_000, {}, store);
  expect(again.evidence()).toEqual({ one: latest.message, other: forked.message });
  expect(again.head()).toMatchObject({ height: 2, headerHash: latest.hash });
  expect(again.head()).not.toHaveProperty('halted');
  // A chain that goes on from the other one is refused; nothing certifies its header of that height by itself.
  const other = { ...header(3), payload: followOn(two) };
  const certified = decided(3, 5, { appHash: headerHash(suite, other.payload) }, other);
  await expect(again.take([two, certified])).rejects.toMatchObject({
    code: 'block-invalid',
    facts: { reason: 'Another block of height 2 is believed here' },
  });
  await again.take([header(2), decided(3, 5)]);
  expect(again.head().height).toBe(3);

  function followOn({ payload }: CertifiedHeader): Uint8Array {
    return blockHeader.encode({
      ...blockHeader.decode(header(3).payload),
      previous: headerHash(suite, payload),
    });
  }
});

test('ENG-69: who holds the keys of validators that left long ago stops no client', async () => {
  const { world, client } = among({ honest: {} });
  world.height = 12;
  await client.follow();
  const latest = client.head();
  // Those with whom the network began sign one block of consensus of the height 1 more, for another block 12.
  const false12 = header(12, 'false');
  const by = real(1, { appHash: headerHash(suite, false12.payload) });
  const forged = { ...false12, consensus: { first, blocks: [by] } };
  await expect(client.hear(forged)).rejects.toMatchObject({ code: 'block-invalid' });
  expect(client.head()).toEqual(latest);
  expect(client.evidence()?.other).toEqual(forged);
  const report = reportOf(
    { client, suite, nowMs: 0 },
    { proved: { height: 12, atMs: 0, fault: undefined }, patienceMs: 1, channels: 0 },
  );
  expect(report.conflict).toMatch(
    /^Validators decided on two different blocks 12: .* the one that it followed$/,
  );
  expect(report.evidence).toHaveLength(2);
  world.height = 14;
  expect(await client.follow()).toMatchObject({ height: 14 });
  expect(client.head()).not.toHaveProperty('halted');
});

/** Peers of whom some lie about who signed; the ledger has `height` blocks. */
function among(peers: Readonly<Record<string, MadeOptions>>) {
  const world = { height: 2, asked: new Set<number | undefined>() };
  const ask = {
    peers: () => Object.keys(peers).map((peerId) => ({ peerId })),
    async request(peerId: string, _protocol: string, body: Uint8Array): Promise<Uint8Array> {
      const { fromHeight, consensusFrom } = headersQuestion.decode(body);
      world.asked.add(consensusFrom);
      const run = Array.from({ length: world.height }, (_, i) => header(i + 1));
      run[world.height - 1] = decided(world.height, consensusFrom, peers[peerId]);
      return headersAnswer.encode(run.slice(fromHeight - 1));
    },
  };
  const clock = { nowMs: () => at(60) };
  const client = createLightClient({ suite, genesis, ask, store: createMemoryStore(), trust: { clock } });
  return { world, client };
}

test('ENG-41, ENG-44, ENG-45: where voters changed a peer shows the way; who lies is passed over and named, and others hold', async () => {
  const { world, client } = among({ liar: { away: [0, 1] }, honest: {} });
  expect((await client.follow()).height).toBe(2);
  expect(client.peers()).toMatchObject({ connected: 2, answering: 1, faultOf: 'liar' });
  expect(client.peers().fault).toMatch(
    /voters who count 1 of 3 signed it, which is not more than two thirds/,
  );
  world.height = 12;
  expect((await client.follow()).height).toBe(12);
  expect(world.asked).toContain(4);
  expect(client.consensus.latest?.height).toBe(24);
  // News of a block where nothing leads to yet is neither believed nor a reason for blame.
  await expect(client.hear(decided(19, 38))).rejects.toMatchObject({ code: 'state-unproven' });
  expect(await client.hear(decided(13, 25))).toBe('later');
  const alone = among({ liar: { away: [0] } });
  await expect(alone.client.follow()).rejects.toMatchObject({ code: 'state-unproven' });
  expect(alone.client.head().height).toBe(0);
});
