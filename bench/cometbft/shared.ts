/** What the measurements of consensus share: people with money, how load is put on something, and how figures are told. */
import { createServer } from 'node:net';
import { utf8 } from '../../src/base/bytes.ts';
import type { CometNetwork } from '../../src/ledger/engines/comet/ledger.ts';
import { createGenesis } from '../../src/ledger/genesis.ts';
import type { Genesis } from '../../src/protocol/block.ts';
import { firstValidatorsHash } from '../../src/protocol/consensus.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite as suite } from '../../src/protocol/suite-native.ts';

/** How long a block waits for further votes before the next one begins, as the daemon has it, milliseconds. */
export const COMMIT_MS = 200;
const PEOPLE = 1_000;
const CREATED_AT_MS = 1_760_000_000_000;

/** A private key that follows from its name. */
export const seedOf = (name: string): Uint8Array => suite.sha256(utf8(`bench ${name}`));

/** Who pays: as many as there are, none waits for itself. */
export const payers: readonly Signer[] = Array.from({ length: PEOPLE }, (_, i) =>
  createSigner(seedOf(`payer ${i}`)),
);

/** Who orders the embedded ledger. */
export const sequencer: Signer = createSigner(seedOf('sequencer'));

function genesisBy(who: Uint8Array): Genesis {
  const accounts = payers.map(({ publicKey }) => ({ owner: publicKey, balance: 1_000_000_000_000n }));
  return createGenesis({ sequencer: who, createdAtMs: CREATED_AT_MS }, { accounts });
}

/** The network of the embedded engine. */
export const embeddedGenesis: Genesis = genesisBy(sequencer.publicKey);

/** A network of as many validators. */
export function cometNetwork(validators: number): CometNetwork {
  const first = Array.from({ length: validators }, (_, i) => ({
    did: createSigner(seedOf(`validator ${i}`)).publicKey,
    power: 10,
  }));
  return { genesis: genesisBy(firstValidatorsHash(suite, first)), first };
}

/** Where a node's CometBFT is reached. */
export interface Place {
  readonly host: string;
  readonly p2p: number;
  readonly rpc: number;
}

async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('a server without a port');
  return address.port;
}

/** Places for as many nodes: 127.0.0.2 and on. */
export function places(count: number): Promise<readonly Place[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const host = `127.0.0.${i + 2}`;
      return { host, p2p: await freePort(host), rpc: await freePort(host) };
    }),
  );
}

/** What a load took. */
export interface Sample {
  readonly wallMs: number;
  /** From handing in to the block, for each one, milliseconds. */
  readonly latenciesMs: readonly number[];
}

/** Runs `job` on every item, at most `inFlight` at a time. */
export async function drive<T>(
  items: readonly T[],
  inFlight: number,
  job: (item: T, index: number) => Promise<void>,
): Promise<Sample> {
  let next = 0;
  const latenciesMs: number[] = [];
  const startMs = performance.now();
  const lane = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index];
      if (item === undefined) return;
      const fromMs = performance.now();
      await job(item, index);
      latenciesMs.push(performance.now() - fromMs);
    }
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, items.length) }, lane));
  return { wallMs: performance.now() - startMs, latenciesMs };
}

/** The value below which a part of all values is. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

/** Waits until `holds`, for at most ten minutes. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + 600_000;
  while (!(await holds())) {
    if (performance.now() > untilMs) throw new Error(`waited too long for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
