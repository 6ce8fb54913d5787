/** What reaches a ledger: transactions to execute, blocks to replay, gossip and questions of peers. */
import { equalBytes, toHex, utf8 } from '../../../src/base/bytes.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { SaharaError } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import { createMemoryStore } from '../../../src/base/store.ts';
import { BlockFault, buildBlock, type ExecutedBlock, replayBlock } from '../../../src/ledger/blocks.ts';
import { createEmbeddedLedger } from '../../../src/ledger/engines/embedded.ts';
import { blockMessage } from '../../../src/ledger/network.ts';
import { prepareTransaction } from '../../../src/ledger/prepare.ts';
import { heldIn } from '../../../src/ledger/records.ts';
import { BLOCKS_PROTOCOL, ledgerTopics } from '../../../src/ledger/sync.ts';
import { block, blockHeader } from '../../../src/protocol/block.ts';
import { BLOCK_BYTES_MAX, TRANSACTION_BYTES_MAX } from '../../../src/protocol/limits.ts';
import { bytesUpTo, list, schema } from '../../../src/protocol/schema.ts';
import { type Signed, signed, signOne } from '../../../src/protocol/signing.ts';
import type { Signer } from '../../../src/protocol/suite.ts';
import { type Action, transaction } from '../../../src/protocol/transaction.ts';
import { finish, guardedBy, recover, register, rotate } from '../../ledger/identity-support.ts';
import { createInProcessNetwork, ledgerNetwork } from '../../ledger/in-process.ts';
import {
  alice,
  Bench,
  bob,
  carol,
  claimOf,
  person,
  sequencer,
  signAction,
  suite,
  testGenesis,
} from '../../ledger/support.ts';
import { changedBytes } from '../bytes.ts';
import { vectorBytes } from '../corpus.ts';
import type { Random } from '../random.ts';
import { changedRecord } from '../records.ts';
import { decodeStrictly, holds, type Target, type TargetMaker } from '../target.ts';
import { channelActions, signedInside } from './channel-actions.ts';
import { stakeActions } from './stake-actions.ts';

const DEPOSIT = 1_000_000_000n;

interface Stage {
  readonly bench: Bench;
  readonly actions: readonly Action[];
  readonly channel: Uint8Array;
}

/** A ledger with an open channel from alice to bob, one that closes, and assets. */
async function createStage(): Promise<Stage> {
  const bench = await Bench.create();
  const owners = [{ owner: alice.publicKey, ppm: 1_000_000 }];
  const commitment = { scheme: 'sahara-chunks-1', root: new Uint8Array(32), sizeBytes: 10 };
  const plain = {
    type: 'register-asset' as const,
    kind: 'dataset' as const,
    owners,
    commitment,
    licence: 'CC0',
    terms: undefined,
    replaces: undefined,
    bounty: 0,
  };
  const docs: Action = { ...plain, name: 'docs', parents: [] };
  const open: Action = { type: 'open-channel', payee: bob.publicKey, deposit: DEPOSIT };
  await bench.run(alice, docs);
  await bench.run(alice, open);
  await bench.run(alice, open);
  const [asset] = bench.queries.assetsOf(alice.publicKey);
  const [first, second] = bench.queries.channelsOf(alice.publicKey);
  if (!asset || !first || !second) throw new TypeError('the stage is not set');
  await bench.run(alice, { type: 'request-close', channel: second.id });
  const amounts = [{ asset: asset.id, amount: 1_000n }];
  const terms = { channel: first.id, payer: alice, payee: bob, ceiling: 5_000n, amounts };
  const claim = claimOf(bench.network, terms);
  const parent = { asset: asset.id, relation: 'trained-on' as const, ppm: 250_000 };
  await bench.run(bob, { type: 'claim', ...claimOf(bench.network, { ...terms, lane: 1 }) });
  const actions: Action[] = [
    { type: 'transfer', to: bob.publicKey, amount: 5n, memo: 'hello' },
    { type: 'faucet', to: carol.publicKey, amount: 7n },
    docs,
    { ...plain, name: 'adapter', kind: 'adapter', parents: [parent] },
    open,
    { type: 'top-up', channel: first.id, amount: 9n },
    { type: 'claim', ...claim },
    { type: 'close-by-payee', channel: first.id, claim },
    { type: 'close-by-payee', channel: first.id, claim: undefined },
    { type: 'request-close', channel: first.id },
    { type: 'cancel-close', channel: second.id },
    { type: 'collect', asset: asset.id },
    ...(await identityActions(bench)),
    ...(await stakeActions(bench)),
    ...channelActions(bench.network, first.id, { deposit: DEPOSIT, other: second.id }),
  ];
  return { bench, actions, channel: first.id };
}

/** Actions on keys, after alice named another as her next and bob's guardian may vote for a new one of his. */
async function identityActions(bench: Bench): Promise<readonly Action[]> {
  await bench.run(alice, register(next));
  await bench.run(bob, register(next, guardedBy([alice], 1)));
  await bench.run(bob, { type: 'revoke-certificate', serial: new Uint8Array(16) });
  await bench.run(alice, recover(bench.network, bob.publicKey, person('found'), person('after')));
  return [
    register(next, guardedBy([bob, carol], 2)),
    rotate(next, person('after'), guardedBy([bob], 1)),
    recover(bench.network, bob.publicKey, person('other'), person('after')),
    { type: 'cancel-recovery' },
    finish(bob.publicKey, person('found'), person('after')),
    { type: 'revoke-certificate', serial: new Uint8Array(16).fill(1) },
  ];
}

const next = person('next');

/** Whoever has to sign an action of `sender`. */
function signerFor(sender: Signer, action: Action): Signer {
  return action.type === 'rotate-key' ? next : sender;
}

const SIGNERS: ReadonlyMap<string, Signer> = new Map(
  [alice, bob, carol, sequencer].map((signer) => [toHex(signer.publicKey), signer]),
);

function soundTransactions({ bench, actions }: Stage): readonly Uint8Array[] {
  return [alice, bob].flatMap((signer) =>
    actions.map((one) => {
      const changes = { sender: signer.publicKey };
      const nonce = bench.nonce(signer);
      return signed.encode(signAction(bench.network, signerFor(signer, one), nonce, one, changes));
    }),
  );
}

/** Bends the body and signs it again, vouchers and charges inside it too, so that it reaches execution. */
function bendTransaction(
  network: string,
  seed: Uint8Array,
  random: Random,
  others: readonly Uint8Array[],
): Uint8Array {
  if (random.once(4)) return changedRecord(seed, random, others);
  try {
    const donors = others.map((other) => signed.decode(other).payload);
    return signed.encode(signedAgain(network, changedRecord(signed.decode(seed).payload, random, donors)));
  } catch (error) {
    if (!(error instanceof SaharaError)) throw error;
    return changedRecord(seed, random, others);
  }
}

function signedAgain(network: string, payload: Uint8Array): Signed {
  const said = transaction.decode(payload);
  const { action } = said;
  const signer = signerFor(SIGNERS.get(toHex(said.sender)) ?? alice, action);
  const body = transaction.encode({ ...said, action: signedInside(network, action) });
  return signOne(suite, signer, network, { type: 'transaction', payload: body });
}

/** Money in what a block changed, after it less before it. */
function moneyMade({ bench }: Stage, { changes }: ExecutedBlock): bigint {
  let sum = 0n;
  for (const { key, value } of changes) {
    const before = bench.chain.readState(key);
    if (before !== undefined) sum -= heldIn(key, before);
    if (value !== undefined) sum += heldIn(key, value);
  }
  return sum;
}

async function transactionTarget(): Promise<Target> {
  const stage = await createStage();
  const { bench } = stage;
  return {
    name: 'ledger-transaction',
    sizeBytesMax: TRANSACTION_BYTES_MAX,
    corpus: soundTransactions(stage),
    bend: (seed, random, corpus) => bendTransaction(bench.network, seed, random, corpus),
    async take(input) {
      const prepared = prepareTransaction(suite, bench.network, decodeStrictly(signed, input));
      const proposal = { candidates: [prepared], timeMs: bench.chain.head().timeMs + 1 };
      const { executed } = buildBlock(bench.parts, sequencer, proposal);
      holds(moneyMade(stage, executed) === 0n, 'a transaction made or destroyed money');
      const again = await replayBlock(bench.parts, executed.wire, decodeStrictly(block, executed.wire));
      holds(equalBytes(again.headerHash, executed.headerHash), 'a block replays to another one');
      if (executed.results[0]?.code !== 0) throw new SaharaError('tx-refused');
    },
  };
}

async function soundBlocks(stage: Stage): Promise<readonly Uint8Array[]> {
  const { bench, actions } = stage;
  const make = (ones: readonly Action[]): Uint8Array => {
    const candidates = ones.map((one, i) =>
      prepareTransaction(suite, bench.network, signAction(bench.network, alice, bench.nonce(alice) + i, one)),
    );
    const proposal = { candidates, timeMs: bench.chain.head().timeMs + 1 };
    return buildBlock(bench.parts, sequencer, proposal).executed.wire;
  };
  return [make([]), ...actions.map((one) => make([one])), make(actions)];
}

function headerAgain(network: string, wire: Uint8Array): Uint8Array {
  const said = block.decode(wire);
  const { payload } = said.header;
  const header = signOne(suite, sequencer, network, { type: 'block-header', payload });
  return block.encode({ ...said, header });
}

async function blockTarget(): Promise<Target> {
  const stage = await createStage();
  const { bench } = stage;
  return {
    name: 'ledger-block',
    sizeBytesMax: BLOCK_BYTES_MAX,
    corpus: await soundBlocks(stage),
    bend(seed, random, corpus) {
      const bent = changedRecord(seed, random, corpus);
      try {
        return random.once(2) ? headerAgain(bench.network, bent) : bent;
      } catch {
        return bent;
      }
    },
    async take(input) {
      const content = decodeStrictly(block, input);
      blockHeader.decode(content.header.payload);
      try {
        const executed = await replayBlock(bench.parts, input, content);
        holds(moneyMade(stage, executed) === 0n, 'a block made or destroyed money');
      } catch (error) {
        // How a replay says that a block is not what its header says.
        if (error instanceof BlockFault) throw new SaharaError('block-invalid');
        throw error;
      }
    },
  };
}

const blocksAnswer = schema('blocks', list(bytesUpTo(BLOCK_BYTES_MAX), 64));
const turn = (): Promise<void> => new Promise((resume) => setImmediate(resume));
const VERDICTS: readonly string[] = ['accept', 'ignore', 'reject', 'too-large'];

/** A follower among peers that say whatever they like; nothing here is signed by the sequencer but what is sound. */
async function syncTarget(): Promise<Target> {
  const stage = await createStage();
  const genesis = testGenesis();
  const { network: name } = stage.bench;
  const mesh = createInProcessNetwork();
  const liar = mesh.join('liar');
  const parts = { suite, clock: systemClock, log: silentLog, store: createMemoryStore() };
  const network = ledgerNetwork(mesh.join('follower'), name);
  const follower = await createEmbeddedLedger({ ...parts, network }, genesis, { pollIntervalMs: 3_600_000 });
  let told: Uint8Array = new Uint8Array(0);
  liar.serve(BLOCKS_PROTOCOL, {
    requestBytesMax: 8,
    answerBytesMax: BLOCK_BYTES_MAX,
    concurrencyMax: 1,
    handle: async () => told,
  });
  const topics = ledgerTopics(name);
  const transactions = soundTransactions(stage);
  const blocks = await soundBlocks(stage);
  const news = blocks.map((wire) => blockMessage.encode({ type: 'block', block: wire.subarray(0, 8_000) }));
  const vectors = vectorBytes('ledger/chain', ['wire']);
  const protocols = [BLOCKS_PROTOCOL, '/sahara/transactions/1'];
  const corpus = [
    ...[...transactions, ...blocks, ...news, ...vectors],
    blocksAnswer.encode(vectors),
    new Uint8Array(8),
    utf8('1'),
  ];
  return {
    name: 'ledger-sync',
    // An unknown protocol and a busy peer are answers too.
    also: ['unavailable'],
    sizeBytesMax: BLOCK_BYTES_MAX,
    corpus,
    bend: (seed, random, all) =>
      random.once(6) ? changedBytes(seed, random) : changedRecord(seed, random, all),
    async take(input) {
      told = input;
      mesh.verdicts.length = 0;
      await liar.publish(topics.transactions, input);
      await liar.publish(topics.blocks, input);
      mesh.introduce();
      for (let i = 0; i < 6; i++) await turn();
      holds(
        mesh.verdicts.every((verdict) => VERDICTS.includes(verdict)),
        `a verdict of ${mesh.verdicts.join()}`,
      );
      const { height, halted } = follower.head();
      holds(halted === undefined, `halted by a peer: ${halted}`);
      holds(height === 0, 'took a block that the sequencer did not sign');
      const answers = protocols.map((one) =>
        liar.request('follower', one, input, { answerBytesMax: BLOCK_BYTES_MAX }),
      );
      const reasons = (await Promise.allSettled(answers)).flatMap((answer) =>
        answer.status === 'rejected' ? [answer.reason] : [],
      );
      // Any defect counts; a refusal only when nobody took the input.
      const defect = reasons.find((reason) => !(reason instanceof SaharaError) || reason.kind === 'internal');
      if (defect !== undefined || reasons.length === answers.length) throw defect ?? reasons[0];
    },
    stop: () => follower.stop(),
  };
}

/** The ledger. */
export const LEDGER_TARGETS: readonly TargetMaker[] = [
  { name: 'ledger-transaction', create: transactionTarget },
  { name: 'ledger-block', create: blockTarget },
  { name: 'ledger-sync', create: syncTarget },
];
