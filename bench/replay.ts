/**
 * What checking a whole ledger again costs: a chain of signed transfers, each to an account of its own, is made and then
 * replayed from its genesis as `sahara ledger verify` does, with every signature, result, state root and stored record
 * compared. Told are the transactions replayed a second and the processor time of each, against the raw verification of
 * such signatures in the same process; the most memory that the process held; and the disk that an account with its
 * transaction takes.
 * Run: `node bench/replay.ts [--accounts 20000]`. The last line is one line of JSON.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { u64be, utf8 } from '../src/base/bytes.ts';
import { openLevelStore } from '../src/base/level-store.ts';
import { type BlockParts, buildBlock } from '../src/ledger/blocks.ts';
import { type Chain, openChain } from '../src/ledger/chain.ts';
import { createGenesis, networkNameOf } from '../src/ledger/genesis.ts';
import { VERIFICATIONS_MAX } from '../src/ledger/limits.ts';
import { prepareTransaction } from '../src/ledger/prepare.ts';
import { createSignatureBook, type SignatureBook } from '../src/ledger/signatures.ts';
import { verifyChain } from '../src/ledger/verify.ts';
import { block } from '../src/protocol/block.ts';
import { PROTOCOL_VERSION } from '../src/protocol/ids.ts';
import { BLOCK_TRANSACTIONS_MAX } from '../src/protocol/limits.ts';
import { type Signed, signedBytes, signOne } from '../src/protocol/signing.ts';
import { createSigner, nativeSuite as suite } from '../src/protocol/suite-native.ts';
import { transaction } from '../src/protocol/transaction.ts';

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: { accounts: { ...text, default: '20000' }, phase: text, folder: text },
});
const accounts = Number(values.accounts);
if (!Number.isSafeInteger(accounts) || accounts < BLOCK_TRANSACTIONS_MAX)
  throw new RangeError(`--accounts takes a number from ${BLOCK_TRANSACTIONS_MAX} upwards`);

const sequencer = createSigner(suite.sha256(utf8('bench sequencer')));
const rich = createSigner(suite.sha256(utf8('bench rich')));
const genesis = createGenesis(
  { sequencer: sequencer.publicKey, createdAtMs: 1_760_000_000_000 },
  { accounts: [{ owner: rich.publicKey, balance: 10n ** 17n }], faucet: undefined },
);
const network = networkNameOf(suite, genesis);
const keyOf = (i: number): Uint8Array => suite.sha256(utf8('bench account'), u64be(BigInt(i)));
const folder = values.folder ?? (await mkdtemp(join(tmpdir(), 'sahara-bench-replay-')));
const round = (value: number, digits = 0): number => Number(value.toFixed(digits));

type Facts = Readonly<Record<string, number>>;

async function opened(work: (chain: Chain) => Promise<Facts>): Promise<Facts> {
  const store = await openLevelStore(join(folder, 'store'));
  const facts = await work(await openChain({ suite, store }, genesis));
  await store.close();
  return facts;
}

const partsOf = (chain: Chain, signatures: SignatureBook): BlockParts => ({
  ...{ suite, network, genesis, chain, signatures },
  recall: () => undefined,
});

/** Of what this process signed itself; the replay verifies every signature. */
const own: SignatureBook = { suite, verify: async () => true, check: () => true };

async function make(chain: Chain): Promise<Facts> {
  const startMs = performance.now();
  const parts = partsOf(chain, own);
  for (let from = 0; from < accounts; from += BLOCK_TRANSACTIONS_MAX) {
    const count = Math.min(BLOCK_TRANSACTIONS_MAX, accounts - from);
    const candidates = Array.from({ length: count }, (_, i) => {
      const action = { type: 'transfer', to: keyOf(from + i), amount: 1_000n, memo: undefined } as const;
      const said = {
        version: PROTOCOL_VERSION,
        network,
        sender: rich.publicKey,
        nonce: from + i,
        feeMax: 0n,
      };
      const unsigned = { type: 'transaction', payload: transaction.encode({ ...said, action }) };
      return prepareTransaction(suite, network, signOne(suite, rich, network, unsigned));
    });
    const { executed } = buildBlock(parts, sequencer, { candidates, timeMs: chain.head().timeMs + 1 });
    if (executed.transactions.length !== count) throw new Error('a transfer was left out');
    await chain.commit(executed);
  }
  return { madePerSecond: round((accounts * 1000) / (performance.now() - startMs)) };
}

interface Cost {
  readonly perSecond: number;
  readonly cpuUs: number;
}

async function costOf(count: number, work: () => Promise<void>): Promise<Cost> {
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: (count * 1000) / (performance.now() - startMs), cpuUs: (user + system) / count };
}

/** Verifies the signatures of `blocks` blocks alone, as many at a time as the ledger does. */
async function raw(chain: Chain, blocks: number): Promise<Cost> {
  const messages: Signed[] = [];
  for (let height = 1; height <= blocks; height++) {
    const wire = await chain.block(height);
    if (wire !== undefined) messages.push(...block.decode(wire).transactions);
  }
  const covered = messages.map((message) => signedBytes(suite, network, 'transaction', message));
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < messages.length; i = next++) {
      const [bytes, message] = [covered[i], messages[i]];
      const ok = bytes && message && (await suite.verifyAsync(rich.publicKey, bytes, message.signature));
      if (ok !== true) throw new Error('a valid signature was refused');
    }
  };
  return costOf(messages.length, async () => {
    await Promise.all(Array.from({ length: VERIFICATIONS_MAX }, lane));
  });
}

async function verify(chain: Chain): Promise<Facts> {
  const blocks = Math.min(chain.head().height, 10);
  // Before and after, so that what the machine does besides counts for both.
  const before = await raw(chain, blocks);
  const scratch = await openLevelStore(join(folder, 'scratch'));
  const replay = await costOf(accounts, async () => {
    const parts = partsOf(chain, createSignatureBook(suite, network));
    const { faults, transactions } = await verifyChain(parts, { scratch });
    if (faults.length > 0 || transactions !== accounts) throw new Error(faults.join('; '));
  });
  await scratch.close();
  const after = await raw(chain, blocks);
  const rawPerSecond = (before.perSecond + after.perSecond) / 2;
  const rawCpuUs = (before.cpuUs + after.cpuUs) / 2;
  return {
    replayedPerSecond: round(replay.perSecond),
    replayCpuUs: round(replay.cpuUs),
    rawVerifiedPerSecond: round(rawPerSecond),
    rawCpuUs: round(rawCpuUs),
    replayOverRawCpu: round(replay.cpuUs / rawCpuUs, 2),
    replayOverRawRate: round(replay.perSecond / rawPerSecond, 2),
  };
}

const PHASES: Readonly<Record<string, (chain: Chain) => Promise<Facts>>> = { make, verify };

/** Runs one phase in a process of its own; answers what it measured and the most memory that it held. */
function phase(name: string): Facts {
  const file = fileURLToPath(import.meta.url);
  const args = [file, '--accounts', String(accounts), '--phase', name, '--folder', folder];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name}: ${stderr}`);
  process.stderr.write(`${name}: ${stdout}`);
  return JSON.parse(stdout);
}

async function diskBytes(name: string): Promise<number> {
  let bytes = 0;
  for (const file of await readdir(join(folder, name))) bytes += (await stat(join(folder, name, file))).size;
  return bytes;
}

const work = values.phase === undefined ? undefined : PHASES[values.phase];
if (work !== undefined) {
  const facts = await opened(work);
  const { maxRSS } = process.resourceUsage();
  process.stdout.write(`${JSON.stringify({ ...facts, [`${values.phase}PeakMiB`]: round(maxRSS / 1024) })}\n`);
} else {
  try {
    const facts = Object.keys(PHASES).map(phase);
    const disk = { diskBytesPerAccount: round((await diskBytes('store')) / accounts) };
    process.stdout.write(`${JSON.stringify(Object.assign({ bench: 'replay', accounts }, disk, ...facts))}\n`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
