/**
 * The ledger as it was at its base, rebuilt from what it is now: a copy of the state, what each block above the base
 * changed put back as it was, and the tree over that. Its root has to be the one that the sequencer signed for the base.
 */
import { concat, equalBytes, toHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import { blockHeader, type Genesis, genesis as genesisSchema, headerHash } from '../protocol/block.ts';
import type { Signed } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import type { Chain } from './chain.ts';
import { supplyOf } from './genesis.ts';
import { BASE, chainBase, chainHead, GENESIS, HEAD, PAGES, STATE } from './layout.ts';
import type { SnapshotEntry } from './snapshot-form.ts';
import { STEP_RECORDS, writeRecords } from './snapshot-restore.ts';
import { buildTree } from './tree-build.ts';

/** What is rewound, and into what. */
export interface RewindParts {
  readonly suite: Suite;
  readonly genesis: Genesis;
  readonly chain: Chain;
  /** Empty. */
  readonly scratch: Store;
  /** Whether the header of the base is to be believed. */
  readonly vouches: (header: Signed) => boolean;
}

/**
 * Makes `scratch` hold the ledger as it was at the base, so that `openChain` opens it there. Throws `store-corrupt`
 * with what does not fit, and `cancelled`.
 */
export async function rewind(parts: RewindParts, signal?: AbortSignal): Promise<void> {
  const { suite, genesis, chain, scratch, vouches } = parts;
  const base = chain.base;
  const header = await chain.header(base);
  if (header === undefined || !vouches(header)) throw corrupt(base, 'the sequencer did not sign its header');
  await copyState(parts, signal);
  const held = await rebuild(parts, header, signal);
  if (held !== supplyOf(genesis))
    throw corrupt(base, `all money together was ${held} grains, the genesis says ${supplyOf(genesis)}`);
  const { height, stateRoot, timeMs } = blockHeader.decode(header.payload);
  const head = { height, headerHash: headerHash(suite, header.payload), stateRoot, timeMs };
  await scratch.batch([
    { type: 'put', key: GENESIS, value: genesisSchema.encode(genesis) },
    { type: 'put', key: BASE, value: chainBase.encode({ header }) },
    { type: 'put', key: HEAD, value: chainHead.encode(head) },
  ]);
}

async function copyState({ chain, scratch }: RewindParts, signal: AbortSignal | undefined): Promise<void> {
  const { head, entries } = await chain.pinned();
  let operations: StoreOperation[] = [];
  for await (const [key, value] of entries) {
    operations.push({ type: 'put', key: concat(STATE, key), value });
    if (operations.length < STEP_RECORDS) continue;
    demandGoingOn(signal);
    await scratch.batch(operations);
    operations = [];
  }
  await scratch.batch(operations);
  for (let height = head.height; height > chain.base; height--) {
    demandGoingOn(signal);
    const changes = await chain.undo(height);
    if (changes === undefined) throw corrupt(height, 'what it changed is missing');
    await scratch.batch(
      changes.map(({ key, value }): StoreOperation => {
        const full = concat(STATE, key);
        return value === undefined ? { type: 'del', key: full } : { type: 'put', key: full, value };
      }),
    );
  }
}

async function rebuild(
  { suite, chain, scratch }: RewindParts,
  header: Signed,
  signal: AbortSignal | undefined,
): Promise<bigint> {
  const parts = { suite, store: scratch };
  let held = 0n;
  let records: SnapshotEntry[] = [];
  for await (const [key, value] of scratch.entries({ gte: STATE, lt: PAGES })) {
    records.push({ key: key.slice(STATE.length), value });
    if (records.length < STEP_RECORDS) continue;
    demandGoingOn(signal);
    held += await writeRecords(parts, records);
    records = [];
  }
  held += await writeRecords(parts, records);
  const root = await buildTree(parts, signal);
  const { stateRoot } = blockHeader.decode(header.payload);
  if (!equalBytes(root, stateRoot))
    throw corrupt(chain.base, `its state gives the root ${toHex(root)}, its header says ${toHex(stateRoot)}`);
  return held;
}

function corrupt(height: number, reason: string): SaharaError {
  return new SaharaError('store-corrupt', { height, reason });
}

function demandGoingOn(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new SaharaError('cancelled');
}
