/** Key evidence over a state of a few records, proved by a tree of the ledger and signed by the sample's sequencer. */
import { createStateTree } from '../../src/ledger/tree.ts';
import { type BlockHeader, blockHeader } from '../../src/protocol/block.ts';
import { type IdentityRecord, identityRecord } from '../../src/protocol/identity.ts';
import type { PublicKey } from '../../src/protocol/ids.ts';
import { identityStateKey, type KeyEvidence, type ProvedChannel } from '../../src/protocol/key-evidence.ts';
import { CHANNEL, keyOfState } from '../../src/protocol/state-records.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import { filled, NOW_MS, network, operator, payer, sequencer, sign, suite } from './sample.ts';

/** Height of the header under which sample evidence is proved. */
export const KEYS_HEIGHT = 40;

/** Keys that the sample's parties rotated to. */
export const rotated: { readonly payer: Signer; readonly agent: Signer; readonly operator: Signer } = {
  payer: createSigner(filled(0x91)),
  agent: createSigner(filled(0x92)),
  operator: createSigner(filled(0x93)),
};

/** A record with the key `key`, whose earlier keys are `retired`. */
export function recordOf(key: PublicKey, retired: IdentityRecord['retired'] = []): IdentityRecord {
  const policy = { guardians: [], threshold: 0, delayBlocks: 10 };
  return { key, next: filled(0x99), retired, policy, recoveries: [] };
}

/** The key of the sample channel's vouchers. */
export const hot: Signer = createSigner(filled(0x94));

/** The record of the sample's channel, with voucher keys. */
export function channelOf(
  voucherKeys: ProvedChannel['record']['voucherKeys'],
  changes: Partial<ProvedChannel['record']> = {},
): ProvedChannel['record'] {
  return {
    ...{ payer: payer.publicKey, payee: operator.publicKey, deposit: 2_000_000n, claimed: 0n },
    ...{ closeAt: undefined, lanes: [], revision: 0, withdrawal: undefined, voucherKeys },
    ...changes,
  };
}

/** The sample's channel, proved with these voucher keys. */
export function proveChannel(
  voucherKeys: ProvedChannel['record']['voucherKeys'],
  changes: Partial<ProvedChannel['record']> = {},
): KeyEvidence {
  return proveKeys([], {}, [[filled(0xf0), channelOf(voucherKeys, changes)]]);
}

/** Proves the records of a state. */
export function proveKeys(
  records: readonly (readonly [did: PublicKey, record: IdentityRecord])[],
  changes: Partial<BlockHeader> = {},
  channels: readonly (readonly [channel: Uint8Array, record: ProvedChannel['record']])[] = [],
): KeyEvidence {
  const pages = new Map<string, Uint8Array>();
  const tree = createStateTree(suite, (path) => pages.get(path.join()));
  const others = [1, 2, 3].map((i) => ({ key: filled(i), value: filled(i) }));
  const entries = records.map(([did, held]) => ({
    key: identityStateKey(did),
    value: identityRecord.encode(held),
  }));
  const funds = channels.map(([channel, held]) => ({
    key: keyOfState(CHANNEL, channel),
    value: CHANNEL.schema.encode(held),
  }));
  const update = tree.update([...others, ...entries, ...funds]);
  for (const operation of tree.operations(update))
    if (operation.type === 'put') pages.set(operation.key.join(), operation.value);
  tree.adopt(update);
  const header: BlockHeader = {
    version: 1,
    network,
    height: KEYS_HEIGHT,
    previous: filled(0x22),
    transactionsRoot: filled(0x23),
    resultsRoot: filled(0x24),
    stateRoot: update.root,
    proposer: sequencer.publicKey,
    timeMs: NOW_MS + 9_000,
    ...changes,
  };
  return {
    header: sign(sequencer, 'block-header', blockHeader.encode(header)),
    identities: records.map(([did, held]) => ({
      did,
      record: held,
      proof: tree.prove(identityStateKey(did)),
    })),
    channels:
      channels.length === 0
        ? undefined
        : channels.map(([channel, held]) => ({
            channel,
            record: held,
            proof: tree.prove(keyOfState(CHANNEL, channel)),
          })),
  };
}

/** Evidence for the sample's parties, of whom payer and operator rotated. */
export function sampleKeyEvidence(): KeyEvidence {
  const retired = [{ key: payer.publicKey, retiredAt: 30, until: 45 }];
  return proveKeys([
    [payer.publicKey, recordOf(rotated.payer.publicKey, retired)],
    [operator.publicKey, recordOf(rotated.operator.publicKey)],
  ]);
}
