/**
 * Signed transfers per second through the embedded ledger (parsing, admission, execution, state tree, results,
 * synced blocks on disk) against the raw rate at which node:crypto verifies the same signatures, both in one run
 * and interleaved. Run: `node bench/ledger.ts`. The last line is one line of JSON.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { utf8 } from '../src/base/bytes.ts';
import { systemClock } from '../src/base/clock.ts';
import { openLevelStore } from '../src/base/level-store.ts';
import { silentLog } from '../src/base/log.ts';
import { createEmbeddedLedger } from '../src/ledger/engines/embedded.ts';
import { createGenesis, networkNameOf } from '../src/ledger/genesis.ts';
import { VERIFICATIONS_MAX } from '../src/ledger/limits.ts';
import { PROTOCOL_VERSION } from '../src/protocol/ids.ts';
import { type Signed, signedBytes, signOne } from '../src/protocol/signing.ts';
import { createSigner, nativeSuite as suite } from '../src/protocol/suite-native.ts';
import { transaction } from '../src/protocol/transaction.ts';

const ACCOUNTS = 500;
const ROUNDS = 8;
/** The first rounds do not count: the code that runs often is still being compiled, which takes processor time of its own. */
const ROUNDS_BEFORE = 3;
const PER_ACCOUNT_AND_ROUND = 8;
const TRANSFERS_IN_FLIGHT = 2_000;

const signers = Array.from({ length: ACCOUNTS }, (_, i) => createSigner(suite.sha256(utf8(`bench ${i}`))));
const sequencer = createSigner(suite.sha256(utf8('bench sequencer')));
const genesis = createGenesis(
  { sequencer: sequencer.publicKey, createdAtMs: 1_760_000_000_000 },
  { accounts: signers.map(({ publicKey }) => ({ owner: publicKey, balance: 1_000_000_000n })) },
);
const network = networkNameOf(suite, genesis);

interface Cost {
  readonly perSecond: number;
  /** Processor time of all threads per item, microseconds. */
  readonly cpuUs: number;
}

interface Item {
  readonly publicKey: Uint8Array;
  readonly message: Signed;
}

function signRound(round: number): readonly Item[] {
  const items: Item[] = [];
  for (let turn = 0; turn < PER_ACCOUNT_AND_ROUND; turn++) {
    for (const [i, signer] of signers.entries()) {
      const to = signers[(i * 7 + turn + 1) % ACCOUNTS]?.publicKey ?? sequencer.publicKey;
      const action = { type: 'transfer', to, amount: 1n, memo: undefined } as const;
      const nonce = round * PER_ACCOUNT_AND_ROUND + turn;
      const body = {
        version: PROTOCOL_VERSION,
        network,
        sender: signer.publicKey,
        nonce,
        feeMax: 0n,
        action,
      };
      const unsigned = { type: 'transaction', payload: transaction.encode(body) };
      items.push({ publicKey: signer.publicKey, message: signOne(suite, signer, network, unsigned) });
    }
  }
  return items;
}

/** Runs `job` on every item, at most `inFlight` at a time; answers wall and processor seconds per item. */
async function measure(
  items: readonly Item[],
  inFlight: number,
  job: (item: Item) => Promise<void>,
): Promise<Cost> {
  let next = 0;
  const cpu = process.cpuUsage();
  const start = performance.now();
  const lane = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await job(item);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  const wallMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: (1000 * items.length) / wallMs, cpuUs: (user + system) / items.length };
}

/** Verifies as many at a time as the ledger does. */
async function raw(items: readonly Item[]): Promise<Cost> {
  const covered = new Map(
    items.map(({ message }) => [message, signedBytes(suite, network, 'transaction', message)]),
  );
  return measure(items, VERIFICATIONS_MAX, async ({ publicKey, message }) => {
    const bytes = covered.get(message) ?? new Uint8Array(0);
    if (!(await suite.verifyAsync(publicKey, bytes, message.signature)))
      throw new Error('a valid signature was refused');
  });
}

const folder = await mkdtemp(join(tmpdir(), 'sahara-bench-ledger-'));
const store = await openLevelStore(folder);
const ledger = await createEmbeddedLedger(
  { store, suite, clock: systemClock, log: silentLog, signer: sequencer },
  genesis,
);

const transfers = (items: readonly Item[]): Promise<Cost> =>
  measure(items, TRANSFERS_IN_FLIGHT, async ({ message }) => {
    await ledger.submit(message);
  });

const rawCosts: Cost[] = [];
const ledgerCosts: Cost[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const items = signRound(round);
  const verification = await raw(items);
  const transfer = await transfers(items);
  const say = ({ perSecond, cpuUs }: Cost): string =>
    `${Math.round(perSecond)}/s (${Math.round(cpuUs)} us of processor)`;
  console.log(`round ${round}: raw verification ${say(verification)}, ledger transfers ${say(transfer)}`);
  if (round < ROUNDS_BEFORE) continue;
  rawCosts.push(verification);
  ledgerCosts.push(transfer);
}
const height = ledger.head().height;
const report = await ledger.verify();
if (report.faults.length > 0) throw new Error(report.faults.join('; '));
await ledger.stop();
await store.close();
await rm(folder, { recursive: true, force: true });

const middle = (costs: readonly Cost[], of: keyof Cost): number => {
  const sorted = costs.map((cost) => cost[of]).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
};
const rawRate = middle(rawCosts, 'perSecond');
const ledgerRate = middle(ledgerCosts, 'perSecond');
console.log(`blocks: ${height}, transfers: ${report.transactions}, verified again from genesis: yes`);
console.log(
  JSON.stringify({
    bench: 'ledger',
    transfersPerSecond: Math.round(ledgerRate),
    verificationsPerSecond: Math.round(rawRate),
    ratio: Number((ledgerRate / rawRate).toFixed(3)),
    processorRatio: Number((middle(rawCosts, 'cpuUs') / middle(ledgerCosts, 'cpuUs')).toFixed(3)),
    target: 0.6,
  }),
);
