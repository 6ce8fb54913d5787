/**
 * A payee that lies, as no daemon does: it signs a higher charge for receipts that it has already charged, by its own
 * daemon's keys, and claims by it.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openKeys } from '../src/daemon/keys.ts';
import { bundle } from '../src/protocol/bundle.ts';
import { PROTOCOL_VERSION } from '../src/protocol/ids.ts';
import { type AssetAmount, attributionRoot, charge, receipt, voucher } from '../src/protocol/payment.ts';
import { type Signed, signed, signOne } from '../src/protocol/signing.ts';
import type { Signer } from '../src/protocol/suite.ts';
import { createSigner, nativeSuite as suite } from '../src/protocol/suite-native.ts';
import { type Action, transaction } from '../src/protocol/transaction.ts';
import type { Peer } from './peers.ts';

/** What a payer holds of a paid call. */
export interface HeldCall {
  readonly voucher: Signed;
  readonly charge: Signed;
  readonly payer: Uint8Array;
  readonly assets: readonly Uint8Array[];
}

/** What `payer` holds of its newest call beyond those in `before`, by the names of their files. */
export async function newestCall(payer: Peer, before: ReadonlySet<string>): Promise<HeldCall> {
  const name = (await readdir(payer.home.receipts)).find(
    (one) => one.endsWith('.bundle') && !before.has(one),
  );
  const evidence = bundle.decode(new Uint8Array(await readFile(join(payer.home.receipts, name ?? ''))));
  const said = receipt.decode(evidence.ending.receipt.payload);
  const [promised, charged] = [evidence.voucher ?? evidence.opening.voucher, evidence.ending.charge];
  if (promised === undefined || charged === undefined) throw new Error('the call was not paid');
  return {
    voucher: promised,
    charge: charged,
    payer: said.payer,
    assets: said.shares.map(({ asset }) => asset),
  };
}

/** What came of a lie. */
export interface OverClaim {
  /** What was charged, and what was claimed instead: all that the voucher allows. Grains. */
  readonly charged: bigint;
  readonly claimed: bigint;
  readonly channel: Uint8Array;
  /** Calls that the charge counts. */
  readonly calls: number;
  /** Of the block that paid it. */
  readonly height: number;
}

/** Claims all that the voucher of `held` allows, through `peer`, in a name that nobody knows. The liar's daemon has stopped. */
export async function overClaim(
  { liar, peer, network }: { readonly liar: Peer; readonly peer: Peer; readonly network: string },
  held: HeldCall,
): Promise<OverClaim> {
  const keys = await openKeys(liar.home.keys, undefined);
  const sender = createSender(peer, network);
  await sender.send({ type: 'faucet', to: sender.did, amount: 1_000_000_000n });
  const honest = charge.decode(held.charge.payload);
  const { ceiling } = voucher.decode(held.voucher.payload);
  const attribution: readonly AssetAmount[] = held.assets.map((asset, i) => ({
    asset,
    amount: i === 0 ? ceiling : 0n,
  }));
  const lie = { ...honest, total: ceiling, attributionRoot: attributionRoot(suite, attribution) };
  const lied = signOne(suite, keys.operator, network, { type: 'charge', payload: charge.encode(lie) });
  const { channel } = honest;
  const paid = await sender.send({
    type: 'claim',
    channel,
    voucher: held.voucher,
    charge: lied,
    attribution,
  });
  return { charged: honest.total, claimed: ceiling, channel, calls: honest.sequence, height: paid.height };
}

/** Sends transactions of a key of its own through `peer`, one after the other. */
function createSender(
  peer: Peer,
  network: string,
): { readonly did: Uint8Array; send(action: Action): Promise<{ readonly height: number }> } {
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
