/** What asks a ledger as CometBFT does: requests over the real socket, blocks one after the other. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeepPartial } from 'cosmjs-types/helpers';
import { Request, Response } from 'cosmjs-types/tendermint/abci/types';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { encodeFrame, FrameReader } from '../../src/ledger/engines/comet/frames.ts';
import {
  type CometLedger,
  type CometLedgerOptions,
  type CometNetwork,
  createCometLedger,
} from '../../src/ledger/engines/comet/ledger.ts';
import { createCometRpc } from '../../src/ledger/engines/comet/rpc.ts';
import type { GenesisOptions } from '../../src/ledger/genesis.ts';
import { firstValidatorsHash } from '../../src/protocol/consensus.ts';
import { addressOf } from '../../src/protocol/consensus-bytes.ts';
import { type Signed, signed } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { person, suite, testGenesis } from './support.ts';

export const vera: Signer = person('vera');
export const viktor: Signer = person('viktor');

/** A network that begins with vera, who counts 10, and viktor, who counts 5. */
export function cometNetwork(options: GenesisOptions = {}): CometNetwork {
  const first = [
    { did: vera.publicKey, power: 10 },
    { did: viktor.publicKey, power: 5 },
  ];
  return { genesis: { ...testGenesis(options), sequencer: firstValidatorsHash(suite, first) }, first };
}

/** A connection to an ABCI socket. */
export class AbciClient {
  readonly socket: Socket;
  readonly #frames = new FrameReader();
  readonly #waiting: ((response: Response) => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (piece) => {
      for (const frame of this.#frames.take(piece)) this.#waiting.shift()?.(Response.decode(frame));
    });
    socket.on('error', () => {});
  }

  static async connect(address: string): Promise<AbciClient> {
    const socket = connect(address.replace('unix://', ''));
    await once(socket, 'connect');
    return new AbciClient(socket);
  }

  ask(request: DeepPartial<Request>): Promise<Response> {
    const answer = new Promise<Response>((resolve) => this.#waiting.push(resolve));
    this.socket.write(encodeFrame(Request.encode(Request.fromPartial(request)).finish()));
    return answer;
  }
}

/** A block for the application: its bytes, and what else consensus says of it. */
export interface DrivenBlock {
  readonly messages?: readonly (Signed | Uint8Array)[];
  /** After the ledger's last block. Default: a second. */
  readonly afterMs?: number;
  readonly proposer?: Signer;
  readonly offenders?: readonly { readonly by: Signer; readonly height: number }[];
}

/** A ledger with the test in the place of CometBFT. */
export class DrivenLedger {
  readonly ledger: CometLedger;
  readonly client: AbciClient;
  readonly store: Store;
  readonly folder: string;
  height: number;

  private constructor(parts: { ledger: CometLedger; client: AbciClient; store: Store; folder: string }) {
    this.ledger = parts.ledger;
    this.client = parts.client;
    this.store = parts.store;
    this.folder = parts.folder;
    this.height = parts.ledger.consensusHeight();
  }

  static async open(
    network: CometNetwork,
    store: Store = createMemoryStore(),
    options: Partial<CometLedgerOptions> & { readonly shelf?: Store; readonly url?: string } = {},
  ): Promise<DrivenLedger> {
    const { shelf = createMemoryStore(), url = 'http://127.0.0.1:1' } = options;
    const folder = await mkdtemp(join(tmpdir(), 'sahara-abci-'));
    // Unless a test says where, nobody answers: nothing is handed in.
    const rpc = createCometRpc(fetch, url);
    const parts = { store, shelf, suite, clock: systemClock, log: silentLog, rpc };
    const listen = { path: join(folder, 'abci.sock') };
    const ledger = await createCometLedger({ ...parts, listen }, network, options);
    const client = await AbciClient.connect(ledger.abciAddress);
    return new DrivenLedger({ ledger, client, store, folder });
  }

  async finalize(block: DrivenBlock = {}): Promise<NonNullable<Response['finalizeBlock']>> {
    const { messages = [], afterMs = 1_000, proposer = vera, offenders = [] } = block;
    const { finalizeBlock, exception } = await this.client.ask({
      finalizeBlock: {
        txs: messages.map((one) => (one instanceof Uint8Array ? one : signed.encode(one))),
        height: BigInt(this.height + 1),
        time: timeOf(this.ledger.head().timeMs + afterMs),
        proposerAddress: addressOf(suite, proposer.publicKey),
        misbehavior: offenders.map(({ by, height }) => ({
          type: 1,
          validator: { address: addressOf(suite, by.publicKey), power: 1n },
          height: BigInt(height),
        })),
      },
    });
    if (finalizeBlock === undefined) throw new TypeError(exception?.error ?? 'no answer to the block');
    return finalizeBlock;
  }

  async commit(): Promise<void> {
    await this.client.ask({ commit: {} });
    this.height++;
  }

  /** Decides on a block and has it written. */
  async block(block: DrivenBlock = {}): Promise<NonNullable<Response['finalizeBlock']>> {
    const answer = await this.finalize(block);
    await this.commit();
    return answer;
  }

  async checks(message: Signed | Uint8Array): Promise<number | undefined> {
    const tx = message instanceof Uint8Array ? message : signed.encode(message);
    return (await this.client.ask({ checkTx: { tx } })).checkTx?.code;
  }

  async close(): Promise<void> {
    this.client.socket.destroy();
    await this.ledger.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

export function timeOf(ms: number): { readonly seconds: bigint; readonly nanos: number } {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
}
