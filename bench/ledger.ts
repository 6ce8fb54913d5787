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
import { PROTOCOL_VERSION } from '../src/protocol/ids.ts';
import { type Signed, signedBytes, signOne } from '../src/protocol/signing.ts';
import { createSigner, nativeSuite as suite } from '../src/protocol/suite-native.ts';
import { transaction } from '../src/protocol/transaction.ts';

const ACCOUNTS = 500;
const ROUNDS = 3;
const PER_ACCOUNT_AND_ROUND = 14;
const IN_FLIGHT = 128;

const signers = Array.from({ length: ACCOUNTS }, (_, i) => createSigner(suite.sha256(utf8(`bench ${i}`))));
const sequencer = createSigner(suite.sha256(utf8('bench sequencer')));
const genesis = createGenesis(
  { sequencer: sequencer.publicKey, createdAtMs: 1_760_000_000_000 },
  { accounts: signers.map(({ publicKey }) => ({ owner: publicKey, balance: 1_000_000_000n })) },
);
const network = networkNameOf(suite, genesis);

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

/** Verifications per second, as many in flight as the ledger has. */
async function raw(items: readonly Item[]): Promise<number> {
  const covered = items.map(({ message }) => signedBytes(suite, network, 'transaction', message));
  let next = 0;
  const start = performance.now();
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++;
      const item = items[at];
      const bytes = covered[at];
      if (!item || !bytes) return;
      const ok = await suite.verifyAsync(item.publicKey, bytes, item.message.signature);
      if (!ok) throw new Error('a valid signature was refused');
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  return items.length / ((performance.now() - start) / 1000);
}

const folder = await mkdtemp(join(tmpdir(), 'sahara-bench-ledger-'));
const store = await openLevelStore(folder);
const ledger = await createEmbeddedLedger(
  { store, suite, clock: systemClock, log: silentLog, signer: sequencer },
  genesis,
);

async function transfers(items: readonly Item[]): Promise<number> {
  const start = performance.now();
  await Promise.all(items.map(({ message }) => ledger.submit(message)));
  return items.length / ((performance.now() - start) / 1000);
}

const rawRates: number[] = [];
const ledgerRates: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const items = signRound(round);
  rawRates.push(await raw(items));
  ledgerRates.push(await transfers(items));
  console.log(
    `round ${round + 1}: raw verification ${Math.round(rawRates[round] ?? 0)}/s, ` +
      `ledger ${Math.round(ledgerRates[round] ?? 0)} transfers/s`,
  );
}
const height = ledger.head().height;
const report = await ledger.verify();
if (report.faults.length > 0) throw new Error(report.faults.join('; '));
await ledger.stop();
await store.close();
await rm(folder, { recursive: true, force: true });

const middle = (rates: readonly number[]): number =>
  [...rates].sort((a, b) => a - b)[Math.floor(rates.length / 2)] ?? 0;
const rawRate = middle(rawRates);
const ledgerRate = middle(ledgerRates);
console.log(`blocks: ${height}, transfers: ${report.transactions}, verified again from genesis: yes`);
console.log(
  JSON.stringify({
    bench: 'ledger',
    transfersPerSecond: Math.round(ledgerRate),
    verificationsPerSecond: Math.round(rawRate),
    ratio: Number((ledgerRate / rawRate).toFixed(3)),
    target: 0.6,
  }),
);
