/** What strangers hand to a ledger besides blocks: snapshots, exported ledgers, answers to a light client, its questions. */
import { concat, equalBytes } from '../../../src/base/bytes.ts';
import { SaharaError } from '../../../src/base/errors.ts';
import { createMemoryStore } from '../../../src/base/store.ts';
import { exportChain, importChain, readChainFile } from '../../../src/ledger/chain-file.ts';
import { createLightAnswers } from '../../../src/ledger/light/answers.ts';
import { createLightClient } from '../../../src/ledger/light/client.ts';
import {
  HEADERS_PROTOCOL,
  headersAnswer,
  headersQuestion,
  stateAnswer,
  stateQuestion,
} from '../../../src/ledger/light/messages.ts';
import { ACCOUNTS, stateKey } from '../../../src/ledger/records.ts';
import { createSnapshot } from '../../../src/ledger/snapshot.ts';
import { snapshotChunk, snapshotManifest } from '../../../src/ledger/snapshot-form.ts';
import { restoreSnapshot } from '../../../src/ledger/snapshot-restore.ts';
import { snapshotQuestion } from '../../../src/ledger/snapshot-transfer.ts';
import { alice, Bench, bob, carol, suite, testGenesis } from '../../ledger/support.ts';
import { changedBytes } from '../bytes.ts';
import { changedRecord } from '../records.ts';
import { decodeStrictly, holds, type Target, type TargetMaker } from '../target.ts';

const SIZE_BYTES_MAX = 65_536;

async function createBench(): Promise<Bench> {
  const bench = await Bench.create();
  for (const to of [bob, carol, bob])
    await bench.run(alice, { type: 'transfer', to: to.publicKey, amount: 5n, memo: undefined });
  return bench;
}

/** A manifest with sound chunks, or a first chunk that the manifest vouches for. */
async function snapshotTarget(bent: 'manifest' | 'chunk'): Promise<Target> {
  const bench = await createBench();
  const chunks: Uint8Array[] = [];
  const put = async (_: number, chunk: Uint8Array): Promise<void> => void chunks.push(chunk);
  const made = await createSnapshot(bench.parts, put, { chunkBytesMax: 150 });
  const [, ...others] = made.chunks;
  const genesis = testGenesis();
  const vouched = (chunk: Uint8Array): Uint8Array => {
    const records = decodeStrictly(snapshotChunk, chunk).length;
    const first = { hash: suite.sha256(chunk), sizeBytes: chunk.length, records };
    return snapshotManifest.encode({ ...made, chunks: [first, ...others] });
  };
  return {
    name: `ledger-snapshot-${bent}`,
    sizeBytesMax: SIZE_BYTES_MAX,
    corpus: bent === 'manifest' ? [snapshotManifest.encode(made)] : chunks.slice(0, 1),
    bend: changedRecord,
    async take(input) {
      const store = createMemoryStore();
      const manifest = bent === 'manifest' ? input : vouched(input);
      const chunk = async (i: number): Promise<Uint8Array | undefined> =>
        i === 0 && bent === 'chunk' ? input : chunks[i];
      try {
        const head = await restoreSnapshot({ suite, store, genesis }, { manifest, chunk });
        holds(equalBytes(head.stateRoot, bench.chain.head().stateRoot), 'restored another state');
      } catch (error) {
        for await (const _ of store.entries()) holds(false, 'a refused snapshot left something behind');
        throw error;
      }
    },
  };
}

async function fileTarget(): Promise<Target> {
  const bench = await createBench();
  const pieces: Uint8Array[] = [];
  for await (const piece of exportChain(bench.parts)) pieces.push(piece);
  return {
    name: 'ledger-file',
    sizeBytesMax: SIZE_BYTES_MAX,
    corpus: [concat(...pieces), concat(...pieces.slice(0, 3))],
    bend: changedBytes,
    async take(input) {
      const store = createMemoryStore();
      const file = await readChainFile(
        (async function* () {
          for (let at = 0; at < input.length; at += 500) yield input.subarray(at, at + 500);
        })(),
      );
      const { height } = await importChain({ suite, store }, file);
      holds(height <= bench.chain.head().height, 'took a block that the sequencer did not sign');
    },
  };
}

/** A light client whose only peer says whatever it likes. */
async function lightTarget(): Promise<Target> {
  const bench = await createBench();
  const answers = createLightAnswers(bench.parts, (job) => job());
  const keys = [alice, bob].map(({ publicKey }) => stateKey(ACCOUNTS, publicKey));
  const id = bench.last?.transactions[0]?.id ?? new Uint8Array(32);
  const corpus = [
    headersAnswer.encode(await answers.headers({ fromHeight: 1, count: 9 })),
    stateAnswer.encode(await answers.state({ type: 'records', height: 0, keys })),
    stateAnswer.encode(await answers.state({ type: 'records', height: 0, keys: keys.slice(0, 1) })),
    stateAnswer.encode(await answers.state({ type: 'inclusion', id })),
  ];
  const honest = corpus[0] ?? new Uint8Array(0);
  return {
    name: 'ledger-light',
    also: ['unavailable'],
    sizeBytesMax: SIZE_BYTES_MAX,
    corpus,
    bend: changedRecord,
    async take(input) {
      let headers: Uint8Array = input;
      const ask = {
        peers: () => [{ peerId: 'liar' }],
        request: async (_: string, protocol: string) =>
          (protocol === HEADERS_PROTOCOL ? headers : input).slice(),
      };
      const client = createLightClient({ suite, genesis: testGenesis(), ask, store: createMemoryStore() });
      const followed = await Promise.allSettled([client.follow()]);
      headers = honest;
      const asked = await Promise.allSettled([
        client.account(alice.publicKey),
        client.read((read) => [alice, bob].map(({ publicKey }) => read(ACCOUNTS, publicKey)?.balance)),
        client.inclusion(id),
      ]);
      const { height, halted } = client.head();
      holds(halted === undefined, `halted by a peer: ${halted}`);
      holds(height <= bench.chain.head().height, 'took a header that the sequencer did not sign');
      const [account] = asked;
      if (account.status === 'fulfilled')
        holds(account.value.value.balance === bench.balance(alice), 'believed a balance that is none');
      const reasons = [...followed, ...asked].flatMap((one) =>
        one.status === 'rejected' ? [one.reason] : [],
      );
      const defect = reasons.find((reason) => !(reason instanceof SaharaError) || reason.kind === 'internal');
      if (defect !== undefined || reasons.length === followed.length + asked.length)
        throw defect ?? reasons[0];
    },
  };
}

/** What anybody may ask a node that keeps the ledger. */
async function headersQuestionTarget(): Promise<Target> {
  const bench = await createBench();
  const answers = createLightAnswers(bench.parts, (job) => job());
  return {
    name: 'ledger-headers-question',
    sizeBytesMax: SIZE_BYTES_MAX,
    corpus: [headersQuestion.encode({ fromHeight: 1, count: 9 })],
    bend: changedRecord,
    async take(input) {
      const found = await answers.headers(decodeStrictly(headersQuestion, input));
      holds(found.length <= bench.chain.head().height, 'more headers than there are');
      return headersAnswer.encode(found);
    },
  };
}

async function stateQuestionTarget(): Promise<Target> {
  const bench = await createBench();
  const answers = createLightAnswers(bench.parts, (job) => job());
  const keys = [alice, bob].map(({ publicKey }) => stateKey(ACCOUNTS, publicKey));
  return {
    name: 'ledger-state-question',
    also: ['unavailable'],
    sizeBytesMax: SIZE_BYTES_MAX,
    corpus: [
      stateQuestion.encode({ type: 'records', height: 1, keys }),
      stateQuestion.encode({ type: 'inclusion', id: new Uint8Array(32) }),
      stateQuestion.encode({ type: 'listing', kind: 1, key: alice.publicKey }),
      stateQuestion.encode({ type: 'claim', channel: new Uint8Array(32), lane: 0, count: 1 }),
    ],
    bend: changedRecord,
    take: async (input) => stateAnswer.encode(await answers.state(decodeStrictly(stateQuestion, input))),
  };
}

async function snapshotQuestionTarget(): Promise<Target> {
  return {
    name: 'ledger-snapshot-question',
    sizeBytesMax: SIZE_BYTES_MAX,
    corpus: [
      snapshotQuestion.encode({ type: 'manifest', height: 1 }),
      snapshotQuestion.encode({ type: 'chunk', hash: new Uint8Array(32) }),
    ],
    bend: changedRecord,
    take: async (input) => snapshotQuestion.encode(decodeStrictly(snapshotQuestion, input)),
  };
}

/** Files and light clients of the ledger. */
export const LEDGER_FILE_TARGETS: readonly TargetMaker[] = [
  { name: 'ledger-snapshot-manifest', create: () => snapshotTarget('manifest') },
  { name: 'ledger-snapshot-chunk', create: () => snapshotTarget('chunk') },
  { name: 'ledger-file', create: fileTarget },
  { name: 'ledger-light', create: lightTarget },
  { name: 'ledger-headers-question', create: headersQuestionTarget },
  { name: 'ledger-state-question', create: stateQuestionTarget },
  { name: 'ledger-snapshot-question', create: snapshotQuestionTarget },
];
