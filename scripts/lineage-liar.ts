/**
 * The second half of the lineage demo: a payee signs a higher charge for receipts that it has already charged, claims by
 * it, and is found out by the charge that its payer holds.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openKeys } from '../src/daemon/keys.ts';
import { bundle } from '../src/protocol/bundle.ts';
import { didOf, PROTOCOL_VERSION } from '../src/protocol/ids.ts';
import { type AssetAmount, attributionRoot, charge, receipt, voucher } from '../src/protocol/payment.ts';
import { type Signed, signed, signOne } from '../src/protocol/signing.ts';
import type { Signer } from '../src/protocol/suite.ts';
import { createSigner, nativeSuite as suite } from '../src/protocol/suite-native.ts';
import { type Action, transaction } from '../src/protocol/transaction.ts';
import { balanceOf, check, LOCAL, money, run, say, until } from './lineage-steps.ts';
import type { Peer } from './peers.ts';

const BOND = '10';
const PRICE = { perCall: 1_000_000, perOutputUnit: 1_000_000 };

/** Who takes part, and where transactions are handed in. */
export interface LieParts {
  readonly host: Peer;
  readonly payer: Peer;
  readonly liar: Peer;
  /** Address of the host. */
  readonly address: string;
  /** What the liar's agent answers from. */
  readonly folder: string;
  readonly question: string;
}

/** Plays it. Resolves with the liar's DID. */
export async function catchLiar(parts: LieParts): Promise<string> {
  const { host, payer, liar } = parts;
  const { did, network } = await beginLiar(parts);
  const evidence = await askLiar(parts);
  // What the daemon itself would claim is honest; it stops before it does more.
  await liar.stop();
  const keys = await openKeys(liar.home.keys, undefined);
  const sender = createSender(host, network);
  await sender.send({ type: 'faucet', to: sender.did, amount: 1_000_000_000n });

  const honest = charge.decode(evidence.charge.payload);
  const { ceiling } = voucher.decode(evidence.voucher.payload);
  check(ceiling > honest.total, 'the voucher reserves more than was charged');
  const attribution: readonly AssetAmount[] = evidence.assets.map((asset, i) => ({
    asset,
    amount: i === 0 ? ceiling : 0n,
  }));
  const lie = { ...honest, total: ceiling, attributionRoot: attributionRoot(suite, attribution) };
  const lied = signOne(suite, keys.operator, network, { type: 'charge', payload: charge.encode(lie) });
  const claim = { channel: honest.channel, voucher: evidence.voucher, charge: lied, attribution };
  const paid = await sender.send({ type: 'claim', ...claim });
  say(
    `The liar signs a second charge for the same ${honest.sequence} call and claims ${money(ceiling)} instead of ${money(honest.total)}: the ledger pays it (block ${paid.height}).`,
  );

  const bondBefore = await ownBond(host, did);
  const payerDid = didOf(evidence.payer);
  const before = await balanceOf(host, payerDid);
  const proof = { type: 'two-charges', first: evidence.charge, second: lied } as const;
  const won = await sender.send({ type: 'challenge', channel: honest.channel, evidence: proof });
  const back = (await balanceOf(host, payerDid)) - before;
  check(back === ceiling - honest.total, 'the payer gets back exactly what was paid too much');
  const taken = bondBefore - (await ownBond(host, did));
  const report = await host.client.call('ledger.transaction', { id: won.id });
  check(
    BigInt(report.moved) === taken && taken > back,
    'the stake lost what the ledger says, and more than the damage',
  );
  say(
    `The payer’s side brings both charges to the ledger and wins (block ${won.height}): ${money(back)} goes back to the payer; the liar’s stake of ${money(bondBefore)} loses ${money(taken)}.`,
  );
  const channel = await payer.client.call('ledger.channel', {
    id: Buffer.from(honest.channel).toString('hex'),
  });
  check(channel.lanes[0]?.frozenAt === String(honest.total), 'the lane is frozen at the honest total');
  return did;
}

async function beginLiar({
  liar,
  address,
  folder,
  host,
}: LieParts): Promise<{ did: string; network: string }> {
  const { did, ledger } = await liar.start(...LOCAL, '--ledger-mode', 'full', '--bootstrap', address);
  await until('the liar has money', async () => (await balanceOf(host, did)) > 0n);
  await run(liar, 'stake', 'bond', BOND, '--role', 'provider');
  await run(liar, 'vault', 'create', 'rumours');
  const added = await liar.sahara(['vault', 'add', 'rumours', folder]);
  check(added.code === 0, `the liar’s documents are taken: ${added.stderr}`);
  const manifest = { name: 'liar', vaults: ['rumours'], price: PRICE, split: { operator: '100%' } };
  await liar.client.call('agent.add', { manifest: JSON.stringify(manifest) });
  say(
    `A fifth person puts ${money(await ownBond(host, did))} behind its role as provider and hosts an agent that is paid by the word.`,
  );
  return { did, network: ledger.network };
}

async function ownBond(peer: Peer, did: string): Promise<bigint> {
  const { stakes } = await peer.client.call('ledger.account', { did });
  return BigInt(stakes.find(({ role }) => role === 'provider')?.own ?? '0');
}

interface Held {
  readonly voucher: Signed;
  readonly charge: Signed;
  readonly payer: Uint8Array;
  readonly assets: readonly Uint8Array[];
}

/** One paid call, and what the payer holds of it afterwards. */
async function askLiar({ payer, question }: LieParts): Promise<Held> {
  await until('the liar is listed', async () =>
    (await payer.client.call('agents', {})).some(({ name }) => name === 'liar'),
  );
  const before = new Set(await readdir(payer.home.receipts));
  const asked = await payer.sahara(['ask', 'liar', question]);
  check(asked.code === 0, `the liar answers: ${asked.stderr}`);
  const name = (await readdir(payer.home.receipts)).find(
    (one) => one.endsWith('.bundle') && !before.has(one),
  );
  const evidence = bundle.decode(new Uint8Array(await readFile(join(payer.home.receipts, name ?? ''))));
  const said = receipt.decode(evidence.ending.receipt.payload);
  const [promised, charged] = [evidence.voucher ?? evidence.opening.voucher, evidence.ending.charge];
  check(promised !== undefined && charged !== undefined, 'the call was paid');
  return {
    voucher: promised,
    charge: charged,
    payer: said.payer,
    assets: said.shares.map(({ asset }) => asset),
  };
}

/** Sends transactions of a key of its own through `peer`, one after the other. */
function createSender(
  peer: Peer,
  network: string,
): {
  readonly did: Uint8Array;
  send(action: Action): Promise<{ readonly id: string; readonly height: number }>;
} {
  const signer: Signer = createSigner(crypto.getRandomValues(new Uint8Array(32)));
  let nonce = 0;
  return {
    did: signer.publicKey,
    async send(action) {
      const payload = transaction.encode({
        version: PROTOCOL_VERSION,
        network,
        sender: signer.publicKey,
        nonce: nonce++,
        feeMax: 0n,
        action,
      });
      const message = signed.encode(signOne(suite, signer, network, { type: 'transaction', payload }));
      return peer.client.call('ledger.submit', { transaction: Buffer.from(message).toString('base64') });
    },
  };
}
