/** Small audit files of each kind, the same bytes every time: out of real ledgers whose clocks stand still. */
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { auditAsset, auditDid, auditReceipt } from '../../src/daemon/audits.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { Genesis } from '../../src/protocol/block.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import { LICENCE_PRESETS } from '../../src/protocol/licence.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { assetId, channelId, type RegisterAssetAction } from '../../src/protocol/transaction.ts';
import {
  alice,
  bob,
  carol,
  claimOf,
  person,
  sequencer,
  signAction,
  suite,
  testGenesis,
} from '../ledger/support.ts';
import * as sample from '../protocol/sample.ts';

const still: Clock = { ...systemClock, nowMs: () => sample.NOW_MS };

/** A ledger with blocks of one transaction each. */
export async function openLedger(
  genesis: Genesis = testGenesis(),
  signer: Signer = sequencer,
): Promise<Ledger> {
  return createEmbeddedLedger(
    { suite, clock: still, log: silentLog, store: createMemoryStore(), signer },
    genesis,
  );
}

const PART = { ownershipPpm: 1_000_000 };

const define = (
  name: string,
  owner: Signer,
  more: Partial<RegisterAssetAction> = {},
): RegisterAssetAction => ({
  type: 'register-asset',
  kind: 'dataset',
  name,
  owners: [{ owner: owner.publicKey, ppm: PART.ownershipPpm }],
  parents: [],
  commitment: { scheme: 'sha256-merkle-1mib', root: new Uint8Array(32).fill(7), sizeBytes: 1 },
  licence: 'open',
  terms: LICENCE_PRESETS.open,
  replaces: undefined,
  bounty: 0,
  ...more,
});

/** What was told to the ledger. */
export interface Told {
  readonly ledger: Ledger;
  readonly notes: Hash;
  readonly model: Hash;
  readonly channel: Hash;
}

/**
 * Alice's notes and Bob's model of them in two versions; Carol pays Bob 900 grains of which the model gets 700, which are
 * collected; Bob has a bond, and has changed his key.
 */
export async function tell(): Promise<Told> {
  const ledger = await openLedger();
  const { network } = ledger;
  const submit = async (
    signer: Signer,
    action: Parameters<typeof signAction>[3],
    by: Signer = signer,
  ): Promise<void> => {
    const { nonce } = ledger.account(signer.publicKey);
    await ledger.submit(signAction(network, by, nonce, action, { sender: signer.publicKey }));
  };
  const [key, later] = [person('bob again'), person('bob later')];
  const notes = assetId(suite, network, alice.publicKey, 0);
  await submit(alice, define('notes', alice));
  const parents = [{ asset: notes, relation: 'trained-on', ppm: 200_000 }] as const;
  await submit(bob, define('model', bob, { kind: 'model', parents, bounty: 10_000 }));
  const model = assetId(suite, network, bob.publicKey, 0);
  await submit(bob, define('model 2', bob, { kind: 'model', parents, replaces: model }));
  await submit(bob, { type: 'bond', role: 'provider', amount: 2_000_000_000n, commission: undefined });
  await submit(carol, { type: 'open-channel', payee: bob.publicKey, deposit: 1_000_000_000n });
  const channel = channelId(suite, network, carol.publicKey, bob.publicKey, 0);
  const amounts = [
    { asset: model, amount: 700n },
    { asset: new Uint8Array(32).fill(255), amount: 200n },
  ];
  await submit(bob, {
    type: 'claim',
    ...claimOf(network, { channel, payer: carol, payee: bob, ceiling: 900n, amounts }),
  });
  await submit(alice, { type: 'collect-path', assets: [model, notes] });
  const policy = { guardians: [alice.publicKey], threshold: 1, delayBlocks: 3 };
  await submit(bob, { type: 'register-identity', next: suite.sha256(key.publicKey), policy });
  const next = suite.sha256(later.publicKey);
  await submit(bob, { type: 'rotate-key', key: key.publicKey, next, policy: undefined }, key);
  await submit(carol, { type: 'transfer', to: alice.publicKey, amount: 5n, memo: undefined });
  return { ledger, notes, model, channel };
}

/** The audit files of the model, of its parent, of Bob, and of a call; then the ledgers stop. */
export async function auditFiles(): Promise<
  Readonly<Record<'asset' | 'dataset' | 'did' | 'receipt', Uint8Array>>
> {
  const { signal } = new AbortController();
  const { ledger, notes, model } = await tell();
  const asset = await auditAsset(ledger, model, { signal });
  const dataset = await auditAsset(ledger, notes, { signal });
  const did = await auditDid(ledger, bob.publicKey, { signal });
  await ledger.stop();
  const other = await openLedger(sample.sampleGenesis, sample.sequencer);
  const { publicKey: to } = sample.operator;
  const drawn = signAction(
    other.network,
    sample.payer,
    0,
    { type: 'faucet', to, amount: 1n },
    { feeMax: 10_000n },
  );
  await other.submit(drawn).catch(() => undefined);
  const receipt = await auditReceipt(other, sample.fileOf(sample.sampleStory()), { signal });
  await other.stop();
  return { asset, dataset, did, receipt };
}
