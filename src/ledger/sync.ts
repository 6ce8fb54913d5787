/**
 * Joins a ledger to a mesh: transactions and news of blocks by gossip, whole blocks and large transactions by
 * request. Only what changes nothing without a valid signature travels here.
 */
import { readU64be, u64be } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { block } from '../protocol/block.ts';
import { malformed } from '../protocol/codec.ts';
import { BLOCK_BYTES_MAX, TRANSACTION_BYTES_MAX } from '../protocol/limits.ts';
import { bytesUpTo, list, type Schema, schema } from '../protocol/schema.ts';
import { serveLight } from './light/answers.ts';
import {
  BLOCK_REQUESTS_SERVED_MAX,
  BLOCKS_ANSWER_BYTES_MAX,
  BLOCKS_ANSWERED_MAX,
  GOSSIP_BODY_BYTES_MAX,
  PEERS_ASKED_MAX,
} from './limits.ts';
import { type BlockNews, blockMessage, type LedgerNetwork, type Verdict } from './network.ts';
import { type SnapshotShelf, serveSnapshots } from './snapshot-transfer.ts';

/** Asks for blocks from a height (8 bytes, big-endian) upwards. */
export const BLOCKS_PROTOCOL = '/sahara/blocks/1';
/** Hands over one transaction that is too large for gossip; the answer is empty. */
const TRANSACTIONS_PROTOCOL = '/sahara/transactions/1';

/** Room that a gossip message needs beside the body that it carries, bytes. */
const GOSSIP_FRAME_BYTES = 64;
const GOSSIP_BYTES_MAX = GOSSIP_BODY_BYTES_MAX + GOSSIP_FRAME_BYTES;

/** What a ledger uses of a mesh. */
export interface LedgerMesh {
  subscribe(
    topic: string,
    handler: {
      readonly sizeBytesMax: number;
      validate(message: Uint8Array, from: string): Verdict | Promise<Verdict>;
      deliver(message: Uint8Array, from: string): void;
    },
  ): () => void;
  publish(topic: string, message: Uint8Array): Promise<{ readonly recipients: number }>;
  request(
    peerId: string,
    protocol: string,
    body: Uint8Array,
    options: { readonly signal?: AbortSignal; readonly timeoutMs?: number; readonly answerBytesMax: number },
  ): Promise<Uint8Array>;
  serve(
    protocol: string,
    handler: {
      readonly requestBytesMax: number;
      readonly answerBytesMax: number;
      readonly concurrencyMax: number;
      handle(body: Uint8Array, from: string, signal: AbortSignal): Promise<Uint8Array>;
    },
  ): () => void;
  peers(): readonly { readonly peerId: string }[];
  onPeers(listener: (event: { readonly peerId: string; readonly connected: boolean }) => void): () => void;
}

/** Parts of a ledger's joining to a mesh. */
export interface LedgerSyncParts {
  readonly mesh: LedgerMesh;
  readonly clock: Clock;
  readonly log: Log;
  /** Where the snapshot that is served stands. Absent: none is served. */
  readonly shelf?: SnapshotShelf;
}

/** Options of a ledger's joining to a mesh. */
export interface LedgerSyncOptions {
  /** The network's full name, part of the topics' names. */
  readonly network: string;
  /** How long one peer may take to answer, milliseconds. Default 15,000. */
  readonly requestTimeoutMs?: number;
  /** How long news wait that the mesh would not take, milliseconds. Default 500. */
  readonly retryMs?: number;
}

const blockList: Schema<readonly Uint8Array[]> = schema(
  'blocks',
  list(bytesUpTo(BLOCK_BYTES_MAX), BLOCKS_ANSWERED_MAX),
);

/** Bytes of the answer besides the blocks: a head for the list and one for each. */
const BLOCK_LIST_BYTES_MAX = BLOCKS_ANSWER_BYTES_MAX + 16 * (BLOCKS_ANSWERED_MAX + 1);

/** The topics of a network's ledger. */
export function ledgerTopics(network: string): { readonly transactions: string; readonly blocks: string } {
  return { transactions: `/sahara/1/${network}/transactions`, blocks: `/sahara/1/${network}/blocks` };
}

/** A ledger's network over a mesh. `stop` ends what still waits; what was joined ends with the ledger. */
export function createLedgerSync(
  parts: LedgerSyncParts,
  options: LedgerSyncOptions,
): LedgerNetwork & { stop(): void } {
  const { mesh, log } = parts;
  const topics = ledgerTopics(options.network);
  const news = createNewsPublisher(parts, { topic: topics.blocks, retryMs: options.retryMs ?? 500 });
  const timeoutMs = options.requestTimeoutMs ?? 15_000;
  let turn = 0;

  const push = (wire: Uint8Array, except?: string): void => {
    for (const { peerId } of nextPeers(mesh, PEERS_ASKED_MAX, turn++)) {
      if (peerId === except) continue;
      mesh.request(peerId, TRANSACTIONS_PROTOCOL, wire, { timeoutMs, answerBytesMax: 1 }).catch((error) => {
        log.debug('transaction not handed over', { peerId, code: asSaharaError(error).code });
      });
    }
  };

  return {
    publishTransaction(wire) {
      if (wire.length > GOSSIP_BODY_BYTES_MAX) return push(wire);
      // Gossip that reached nobody, or was told once already, is dropped by the mesh: then it is handed over.
      mesh.publish(topics.transactions, wire).then(
        ({ recipients }) => recipients === 0 && push(wire),
        (error) => {
          log.debug('transaction not gossiped', { code: asSaharaError(error).code });
          push(wire);
        },
      );
    },
    publishBlock: (wire) => news.publish(messageOf(wire)),
    announce(header) {
      const message = blockMessage.encode({ type: 'announcement', header });
      if (message.length <= GOSSIP_BYTES_MAX) news.publish(message);
    },
    async fetchBlocks(fromHeight, { signal }) {
      for (const { peerId } of nextPeers(mesh, PEERS_ASKED_MAX, turn++)) {
        signal.throwIfAborted();
        try {
          const limits = { signal, timeoutMs, answerBytesMax: BLOCK_LIST_BYTES_MAX };
          const answer = await mesh.request(peerId, BLOCKS_PROTOCOL, u64be(BigInt(fromHeight)), limits);
          const blocks = blockList.decode(answer);
          if (blocks.length > 0) return blocks;
        } catch (error) {
          log.debug('blocks not fetched', { peerId, code: asSaharaError(error).code });
        }
      }
      return [];
    },
    onTransaction(take) {
      const leaveTopic = mesh.subscribe(topics.transactions, {
        sizeBytesMax: GOSSIP_BODY_BYTES_MAX,
        validate: take,
        deliver: () => {},
      });
      const leaveRequests = mesh.serve(TRANSACTIONS_PROTOCOL, {
        requestBytesMax: TRANSACTION_BYTES_MAX,
        answerBytesMax: 1,
        concurrencyMax: BLOCK_REQUESTS_SERVED_MAX,
        async handle(body, from) {
          const verdict = await take(body);
          if (verdict === 'reject')
            throw new SaharaError('tx-invalid', { reason: 'refused by its receiver' });
          if (verdict === 'accept') push(body, from);
          return new Uint8Array(0);
        },
      });
      return () => {
        leaveTopic();
        leaveRequests();
      };
    },
    onBlock: (take) =>
      mesh.subscribe(topics.blocks, {
        sizeBytesMax: GOSSIP_BYTES_MAX,
        validate: (message) => judgeNews(message, take),
        deliver: () => {},
      }),
    onPeer: (tell) => mesh.onPeers(({ connected }) => connected && tell()),
    serveBlocks: (answer) =>
      mesh.serve(BLOCKS_PROTOCOL, {
        requestBytesMax: 8,
        answerBytesMax: BLOCK_LIST_BYTES_MAX,
        concurrencyMax: BLOCK_REQUESTS_SERVED_MAX,
        handle: async (body) => blockList.encode(await answer(heightOf(body))),
      }),
    serveLight: (answers) => serveLight(mesh, answers),
    ...(parts.shelf && snapshotsFrom(mesh, parts.shelf)),
    stop: () => news.stop(),
  };
}

function snapshotsFrom(
  mesh: LedgerMesh,
  shelf: SnapshotShelf,
): Required<Pick<LedgerNetwork, 'serveSnapshots'>> {
  return { serveSnapshots: (making) => serveSnapshots(mesh, { ...shelf, ...making }) };
}

function heightOf(body: Uint8Array): number {
  if (body.length !== 8) throw malformed('a height has 8 bytes');
  const height = readU64be(body);
  if (height > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('height out of range');
  return Number(height);
}

/** Up to `max` peers, another one first each turn. */
function nextPeers(mesh: LedgerMesh, max: number, turn: number): readonly { readonly peerId: string }[] {
  const peers = mesh.peers();
  const first = peers.length === 0 ? 0 : turn % peers.length;
  return [...peers.slice(first), ...peers.slice(0, first)].slice(0, max);
}

function messageOf(wire: Uint8Array): Uint8Array {
  if (wire.length <= GOSSIP_BODY_BYTES_MAX) return blockMessage.encode({ type: 'block', block: wire });
  return blockMessage.encode({ type: 'announcement', header: block.decode(wire).header });
}

async function judgeNews(message: Uint8Array, take: (news: BlockNews) => Promise<Verdict>): Promise<Verdict> {
  try {
    const said = blockMessage.decode(message);
    if (said.type === 'announcement') return await take({ header: said.header, block: undefined });
    return await take({ header: block.decode(said.block).header, block: said.block });
  } catch (error) {
    return asSaharaError(error).code === 'malformed' ? 'reject' : 'ignore';
  }
}

/** Publishes news; when the mesh will not take them, only the latest matter and are told later. */
function createNewsPublisher(
  { mesh, clock, log }: LedgerSyncParts,
  options: { readonly topic: string; readonly retryMs: number },
): { publish(message: Uint8Array): void; stop(): void } {
  let latest: Uint8Array | undefined;
  let cancel: (() => void) | undefined;
  const send = (message: Uint8Array): void => {
    mesh.publish(options.topic, message).then(
      () => {
        if (latest === message) latest = undefined;
      },
      (error) => {
        log.debug('block not announced', { code: asSaharaError(error).code });
        cancel ??= clock.after(options.retryMs, () => {
          cancel = undefined;
          if (latest !== undefined) send(latest);
        });
      },
    );
  };
  return {
    publish(message) {
      latest = message;
      send(message);
    },
    stop() {
      cancel?.();
      latest = undefined;
    },
  };
}
