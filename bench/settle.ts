/**
 * A million calls of a thousand payers, settled: receipt trees over every call, one claim per channel, and what the
 * ledger then holds per call. After it, what collecting costs by the number of parents and along a line of 64 assets.
 * Run: `node bench/settle.ts [--calls 1000000] [--payers 1000]`. The last line is one line of JSON.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compareBytes, concat, u32be, utf8 } from '../src/base/bytes.ts';
import { openLevelStore } from '../src/base/level-store.ts';
import { buildBlock, verifyTransaction } from '../src/ledger/blocks.ts';
import { openChain } from '../src/ledger/chain.ts';
import { createGenesis, networkNameOf } from '../src/ledger/genesis.ts';
import { prepareTransaction } from '../src/ledger/prepare.ts';
import { createQueries } from '../src/ledger/queries.ts';
import { createSignatureBook } from '../src/ledger/signatures.ts';
import { type Hash, PROTOCOL_VERSION } from '../src/protocol/ids.ts';
import { type AssetAmount, attributionRoot, charge, voucher } from '../src/protocol/payment.ts';
import { appendLeaf, EMPTY_TREE, receiptLeaf, treeRoot } from '../src/protocol/receipt-tree.ts';
import { signOne } from '../src/protocol/signing.ts';
import type { Signer } from '../src/protocol/suite.ts';
import { createSigner, nativeSuite as suite } from '../src/protocol/suite-native.ts';
import { type Action, assetId, channelId, transaction } from '../src/protocol/transaction.ts';

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: { calls: { ...text, default: '1000000' }, payers: { ...text, default: '1000' } },
});
const payerCount = Math.min(Number(values.payers), 1_000);
const perPayer = Math.floor(Number(values.calls) / payerCount);
const PRICE = 1_000n;
const RECEIPT_BYTES = 256;
const PER_BLOCK = 500;
const COLLECTED = 50;
const BREADTHS = [0, 1, 4, 16];
const DEPTH = 64;

const person = (name: string): Signer => createSigner(suite.sha256(utf8(`bench ${name}`)));
const [sequencer, payee] = [person('sequencer'), person('payee')];
const payers = Array.from({ length: payerCount }, (_, i) => person(`payer ${i}`));
const genesis = createGenesis(
  { sequencer: sequencer.publicKey, createdAtMs: 1_760_000_000_000 },
  {
    accounts: [payee, ...payers].map(({ publicKey }) => ({ owner: publicKey, balance: 10n ** 13n })),
    faucet: undefined,
  },
);
const network = networkNameOf(suite, genesis);
const folder = await mkdtemp(join(tmpdir(), 'sahara-bench-settle-'));
const store = await openLevelStore(folder);
const chain = await openChain({ suite, store }, genesis);
const parts = {
  suite,
  network,
  genesis,
  chain,
  signatures: createSignatureBook(suite, network),
  recall: () => undefined,
};
const queries = createQueries(parts);

interface Wanted {
  readonly by: Signer;
  readonly action: Action;
}

interface Executed {
  readonly transactions: number;
  readonly bytes: number;
  readonly blocks: number;
  /** Verifying, executing and writing, milliseconds. */
  readonly wallMs: number;
  /** Processor time of executing alone, milliseconds. */
  readonly executeMs: number;
}

/** Executes actions in blocks; every one of them has to take effect. */
async function execute(wanted: readonly Wanted[]): Promise<Executed> {
  const nonces = new Map<Signer, number>();
  const candidates = wanted.map(({ by, action }) => {
    const nonce = nonces.get(by) ?? queries.account(by.publicKey).nonce;
    nonces.set(by, nonce + 1);
    const body = { version: PROTOCOL_VERSION, network, sender: by.publicKey, nonce, feeMax: 0n, action };
    const unsigned = { type: 'transaction', payload: transaction.encode(body) };
    return prepareTransaction(suite, network, signOne(suite, by, network, unsigned));
  });
  let [bytes, blocks, executeUs] = [0, 0, 0];
  const startMs = performance.now();
  for (let at = 0; at < candidates.length; ) {
    const some = candidates.slice(at, at + PER_BLOCK);
    await Promise.all(some.map((one) => verifyTransaction(parts.signatures, chain.readState, one)));
    const cpu = process.cpuUsage();
    const { executed, leftOut } = buildBlock(parts, sequencer, { candidates: some, timeMs: blocks });
    const { user, system } = process.cpuUsage(cpu);
    executeUs += user + system;
    const refused = executed.results.find(({ code }) => code !== 0) ?? leftOut[0];
    if (refused !== undefined) throw new Error(`a transaction was refused with code ${refused.code}`);
    await chain.commit(executed);
    at += executed.transactions.length;
    bytes += executed.wire.length;
    blocks++;
  }
  const wallMs = performance.now() - startMs;
  return { transactions: candidates.length, bytes, blocks, wallMs, executeMs: executeUs / 1000 };
}

async function register(
  names: readonly string[],
  parents: readonly { asset: Hash; ppm: number }[][],
): Promise<Hash[]> {
  const first = queries.account(payee.publicKey).nonce;
  const commitment = { scheme: 'none', root: new Uint8Array(32), sizeBytes: 0 } as const;
  const actions = names.map((name, i): Wanted => {
    const edges = (parents[i] ?? []).map((one) => ({ ...one, relation: 'trained-on' as const }));
    const owners = [{ owner: payee.publicKey, ppm: 1_000_000 }];
    const facts = { kind: 'dataset', name, owners, parents: edges, commitment, licence: 'open' } as const;
    const action = {
      type: 'register-asset',
      ...facts,
      terms: undefined,
      replaces: undefined,
      bounty: 0,
    } as const;
    return { by: payee, action };
  });
  await execute(actions);
  return names.map((_, i) => assetId(suite, network, payee.publicKey, first + i));
}

/** The claim of one lane whose receipts come to `total`. */
function claimAction(
  payer: Signer,
  channel: Hash,
  count: number,
  facts: { root: Hash; attribution: AssetAmount[] },
): Action {
  const total = facts.attribution.reduce((sum, { amount }) => sum + amount, 0n);
  const same = { network, channel, lane: 0, sequence: count, receiptRoot: facts.root };
  const promise = voucher.encode({
    ...same,
    ceiling: total,
    receiptCount: count,
    receiptTotal: total,
    notAfterMs: undefined,
  });
  const statement = charge.encode({
    ...same,
    total,
    attributionRoot: attributionRoot(suite, facts.attribution),
  });
  return {
    type: 'claim',
    channel,
    voucher: signOne(suite, payer, network, { type: 'voucher', payload: promise }),
    charge: signOne(suite, payee, network, { type: 'charge', payload: statement }),
    attribution: facts.attribution,
  };
}

function spread(assets: readonly Hash[], each: bigint): AssetAmount[] {
  return assets.map((asset) => ({ asset, amount: each })).sort((a, b) => compareBytes(a.asset, b.asset));
}

const round = (value: number, digits = 1): number => Number(value.toFixed(digits));

async function settle(): Promise<Record<string, number>> {
  const assets = await register(['agent', 'data one', 'data two', 'data three'], []);
  const nonces = payers.map(({ publicKey }) => queries.account(publicKey).nonce);
  const channels = payers.map(({ publicKey }, i) =>
    channelId(suite, network, publicKey, payee.publicKey, nonces[i] ?? 0),
  );
  const opened = await execute(
    payers.map((by) => ({
      by,
      action: { type: 'open-channel', payee: payee.publicKey, deposit: 10n ** 12n },
    })),
  );
  const cpu = process.cpuUsage();
  const claims = payers.map((payer, p): Wanted => {
    let tree = EMPTY_TREE;
    const receipt = new Uint8Array(RECEIPT_BYTES);
    for (let call = 0; call < perPayer; call++) {
      receipt.set(concat(u32be(p), u32be(call)));
      tree = appendLeaf(suite, tree, receiptLeaf(suite, receipt, PRICE));
    }
    const channel = channels[p];
    if (channel === undefined) throw new Error('a payer without a channel');
    const facts = {
      root: treeRoot(suite, tree).hash,
      attribution: spread(assets, (PRICE * BigInt(perPayer)) / 4n),
    };
    return { by: payee, action: claimAction(payer, channel, perPayer, facts) };
  });
  const built = process.cpuUsage(cpu);
  const settled = await execute(claims);
  const calls = payerCount * perPayer;
  return {
    calls,
    payers: payerCount,
    transactions: settled.transactions,
    blocks: settled.blocks,
    treeUsPerCall: round((built.user + built.system) / calls, 2),
    bytesPerCall: round(settled.bytes / calls, 3),
    bytesPerCallWithOpening: round((settled.bytes + opened.bytes) / calls, 3),
    settleMs: Math.round(settled.wallMs),
    executeUsPerClaim: Math.round((settled.executeMs * 1000) / settled.transactions),
  };
}

/** Money for `assets` from the first payer, on a channel of its own. */
async function pay(assets: readonly Hash[]): Promise<void> {
  const [payer] = payers;
  if (payer === undefined) throw new Error('at least one payer');
  const id = channelId(
    suite,
    network,
    payer.publicKey,
    payee.publicKey,
    queries.account(payer.publicKey).nonce,
  );
  await execute([
    { by: payer, action: { type: 'open-channel', payee: payee.publicKey, deposit: 10n ** 10n } },
  ]);
  const facts = { root: new Uint8Array(32), attribution: spread(assets, 1_000_000n) };
  await execute([{ by: payee, action: claimAction(payer, id, 1, facts) }]);
}

async function collect(): Promise<Record<string, number>> {
  const roots = await register(
    Array.from({ length: 16 }, (_, i) => `root ${i}`),
    [],
  );
  const figures: Record<string, number> = {};
  for (const breadth of BREADTHS) {
    const parents = roots.slice(0, breadth).map((asset) => ({ asset, ppm: 10_000 }));
    const names = Array.from({ length: COLLECTED }, (_, i) => `asset ${breadth} ${i}`);
    const assets = await register(
      names,
      names.map(() => parents),
    );
    let bestUs = Number.POSITIVE_INFINITY;
    // The best of several: what else runs here only adds.
    for (let turn = 0; turn < 5; turn++) {
      await pay(assets);
      const { executeMs } = await execute(
        assets.map((asset) => ({ by: payee, action: { type: 'collect', asset } })),
      );
      bestUs = Math.min(bestUs, (executeMs * 1000) / assets.length);
    }
    figures[`collectUs${breadth}Parents`] = Math.round(bestUs);
  }
  let line = roots.slice(0, 1);
  for (let depth = 1; depth <= DEPTH; depth++) {
    const [asset] = line;
    if (asset === undefined) throw new Error('a line begins with an asset');
    line = [...(await register([`line ${depth}`], [[{ asset, ppm: 500_000 }]])), ...line];
  }
  await pay(line.slice(0, 1));
  const { executeMs } = await execute([{ by: payee, action: { type: 'collect-path', assets: line } }]);
  const ended = line.at(-1);
  if (ended === undefined) throw new Error('the line has an end');
  figures.pathAssets = line.length;
  figures.pathUsPerAsset = Math.round((executeMs * 1000) / line.length);
  return figures;
}

try {
  const report = { bench: 'settle', ...(await settle()), ...(await collect()), targetBytesPerCall: 1 };
  process.stdout.write(`${JSON.stringify(report)}\n`);
} finally {
  await store.close();
  await rm(folder, { recursive: true, force: true });
}
