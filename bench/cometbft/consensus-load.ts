/** Load by CometBFT's own RPC, the same for every application: handed in over HTTP, awaited in the blocks that a node tells of. */
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { nodeIdOf, writeCometFiles } from '../../src/daemon/comet/files.ts';
import { type CometProcess, superviseComet } from '../../src/daemon/comet/process.ts';
import { createCometRpc, fieldsOf } from '../../src/ledger/engines/comet/rpc.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import { COMMIT_MS, drive, type Place, type Sample, seedOf, until } from './shared.ts';

/** Requests to one node at a time. */
const REQUESTS = 16;

/** Puts load on the nodes of a network. */
export interface ConsensusLoad {
  load(messages: readonly Uint8Array[], inFlight: number): Promise<Sample>;
  stop(): void;
}

/** One node: its RPC, and what it says of its blocks. */
class Watched {
  readonly #rpc: ReturnType<typeof createCometRpc>;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<string, () => void>();
  readonly #queue: (() => void)[] = [];
  #busy = 0;

  constructor({ host, rpc }: Place) {
    this.#rpc = createCometRpc(fetch, `http://${host}:${rpc}`);
    this.#socket = new WebSocket(`ws://${host}:${rpc}/websocket`);
    this.#socket.addEventListener('message', ({ data }) => this.#hear(String(data)));
  }

  async open(): Promise<void> {
    await new Promise((resolve, reject) => {
      this.#socket.addEventListener('open', resolve);
      this.#socket.addEventListener('error', reject);
    });
    const params = { query: "tm.event='NewBlock'" };
    this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'subscribe', params }));
  }

  close(): void {
    this.#socket.close();
  }

  /** Resolves once a block has it and its application has committed. */
  async include(message: Uint8Array): Promise<void> {
    const name = Buffer.from(message).toString('base64');
    const included = new Promise<void>((resolve) => this.#waiting.set(name, resolve));
    await this.#slot();
    try {
      const outcome = await this.#rpc.broadcast(message, { signal: AbortSignal.timeout(60_000) });
      if (outcome.kind === 'refused') throw new Error(`a transaction was refused with code ${outcome.code}`);
    } finally {
      this.#busy--;
      this.#queue.shift()?.();
    }
    await included;
  }

  async #slot(): Promise<void> {
    while (this.#busy >= REQUESTS) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#busy++;
  }

  #hear(text: string): void {
    const event = fieldsOf(fieldsOf(fieldsOf(JSON.parse(text)).result).data);
    const { txs } = fieldsOf(fieldsOf(fieldsOf(event.value).block).data);
    for (const one of Array.isArray(txs) ? txs : []) {
      this.#waiting.get(String(one))?.();
      this.#waiting.delete(String(one));
    }
  }
}

/** Load over all of these nodes, each message at the one that its place names. */
export async function createConsensusLoad(all: readonly Place[]): Promise<ConsensusLoad> {
  const nodes = all.map((place) => new Watched(place));
  await Promise.all(nodes.map((node) => node.open()));
  return {
    load: (messages, inFlight) =>
      drive(messages, inFlight, async (message, index) => nodes[index % nodes.length]?.include(message)),
    stop() {
      for (const node of nodes) node.close();
    },
  };
}

/** Resolves once every node answers and is connected to all others. */
export async function isUp(all: readonly Place[]): Promise<void> {
  for (const { host, rpc: port } of all) {
    const rpc = createCometRpc(fetch, `http://${host}:${port}`);
    await until('a node of CometBFT', async () => {
      const options = { signal: AbortSignal.timeout(5_000) };
      const info = await rpc.call('net_info', {}, options).catch(() => ({}));
      const { height } = await rpc.status(options).catch(() => ({ height: 0 }));
      return Number(fieldsOf(info).n_peers) === all.length - 1 && height >= 1;
    });
  }
}

/** CometBFT with the key-value application that it brings, kept in its memory; its files are those of a node here. */
export async function startKvstore(
  program: string,
  folder: string,
  all: readonly Place[],
): Promise<readonly CometProcess[]> {
  const first = all.map((_, i) => ({ did: createSigner(seedOf(`validator ${i}`)).publicKey, power: 10 }));
  return Promise.all(
    all.map(async ({ host, p2p, rpc }, number) => {
      const home = join(folder, `kvstore${number}`);
      await writeCometFiles(
        home,
        { network: 'bench-kvstore', createdAtMs: 1_760_000_000_000, first },
        {
          ...{ abciAddress: 'kvstore', commitMs: COMMIT_MS },
          nodeSeed: seedOf(`node ${number}`),
          votingSeed: seedOf(`validator ${number}`),
          p2p: { host, port: p2p },
          rpc: { host, port: rpc },
          peers: all.flatMap((other, i) =>
            i === number ? [] : [`${nodeIdOf(seedOf(`node ${i}`))}@${other.host}:${other.p2p}`],
          ),
        },
      );
      return superviseComet({ program, folder: home, clock: systemClock, log: silentLog });
    }),
  );
}
