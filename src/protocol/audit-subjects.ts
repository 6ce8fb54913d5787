/** What an audit tells of its subject: everything is read from proved records and recomputed. */
import { formatAmount } from '../base/amount.ts';
import { equalBytes, toHex } from '../base/bytes.ts';
import { BOND_ROLES } from './actions-stake.ts';
import type { AuditedAsset, AuditedDid, AuditedReceipt, AuditSubject } from './audit.ts';
import {
  type AuditContext,
  type AuditedLineage,
  type AuditedNode,
  type AuditFindings,
  auditedAsset,
  auditedLineage,
  heldBy,
  keyWords,
  royaltyWords,
} from './audit-reader.ts';
import { must, refuse } from './evidence.ts';
import { counted } from './explain.ts';
import { didOf, type Hash, type PublicKey, shortHex } from './ids.ts';
import { AUDIT_LINEAGE_MAX } from './limits.ts';
import { merkleRoot } from './merkle.ts';
import {
  ACCOUNT,
  BOND,
  bondIdOf,
  CHANNEL,
  EARNING,
  LANE,
  laneIdOf,
  REWARD_SLOTS,
  VERSION,
} from './state-records.ts';
import type { Suite } from './suite.ts';
import { verifyBundle } from './verify-bundle.ts';

/** Tells an audit of any kind. Throws `bundle-invalid` for what does not hold, once all it reads is known. */
export function tellSubject(context: AuditContext, subject: AuditSubject): AuditFindings {
  switch (subject.type) {
    case 'receipt':
      return tellReceipt(context, subject);
    case 'asset':
      return tellAsset(context, subject);
    case 'did':
      return tellDid(context, subject);
  }
}

function tellReceipt(context: AuditContext, { bundle }: AuditedReceipt): AuditFindings {
  const { suite, network, reader } = context;
  const verdict = verifyBundle(suite, bundle, { network });
  const { summary } = verdict;
  if (summary === undefined) {
    const failed = verdict.steps.find(({ ok }) => !ok);
    return refuse(`the evidence of the call does not hold: ${failed?.detail ?? 'a check failed'}`);
  }
  const { receipt, settlement } = summary;
  const earners = distinct(receipt.shares.filter(({ role }) => role !== 'calls').map(({ asset }) => asset));
  const lineage = auditedLineage(reader, earners);
  const proven = [
    `${summary.agentName} answered “${summary.question}” for ${formatAmount(receipt.amount)}: all ${counted(verdict.steps.length, 'check')} of its evidence hold.`,
    ...(settlement === undefined
      ? []
      : [
          settlement.by === 'payment'
            ? `The payment in block ${settlement.height} is for this call alone, and went to the asset of its agent.`
            : `The claim in block ${settlement.height} counts this call, and paid each earner at least its share.`,
        ]),
    ...receipt.shares.map(
      ({ asset, amount, role }) =>
        `${formatAmount(amount)} of it is for ${role} ${assetName(lineage, asset)}.`,
    ),
    ...creditWords(context, receipt, earners, lineage),
    ...lineageWords(lineage),
    ...[receipt.payer, receipt.payee, receipt.agent].map((did) => keyWords(context, did)),
  ];
  const unsettled = receipt.amount > 0n && settlement === undefined;
  return {
    proven,
    unproven: [
      ...(unsettled ? ['That the call was paid on the ledger: its evidence has no settlement.'] : []),
      ...leftWords(lineage),
    ],
  };
}

/** What the ledger holds of the lane that paid a call. */
function creditWords(
  { reader }: AuditContext,
  receipt: { readonly channel: Hash | undefined; readonly lane: number },
  earners: readonly Hash[],
  lineage: AuditedLineage,
): readonly string[] {
  const { channel, lane } = receipt;
  if (channel === undefined) return [];
  const found = reader.read(CHANNEL, channel);
  const stored = reader.read(LANE, laneIdOf(channel, lane));
  if (found === undefined)
    return [`Channel ${shortHex(channel)} has ended; what it paid stands in its claims.`];
  if (stored === undefined) return [`Lane ${lane} of channel ${shortHex(channel)} has paid nothing yet.`];
  checkLane(stored, channel);
  const credited = stored.parts
    .filter(({ asset }) => earners.some((one) => equalBytes(one, asset)))
    .map((part) => `${formatAmount(part.credited)} to ${assetName(lineage, part.asset)}`);
  return [
    `Lane ${lane} of channel ${shortHex(channel)} has paid ${formatAmount(stored.paid)} in all: ${credited.join(', ')}.`,
  ];
}

function checkLane(
  { paid, parts }: { readonly paid: bigint; readonly parts: readonly { readonly credited: bigint }[] },
  channel: Hash,
): void {
  const sum = parts.reduce((total, { credited }) => total + credited, 0n);
  must(sum === paid, `the credits of channel ${shortHex(channel)} do not sum to what it paid`);
}

function tellAsset(context: AuditContext, subject: AuditedAsset): AuditFindings {
  const { reader } = context;
  const lineage = auditedLineage(reader, [subject.asset]);
  const node = lineage.nodes.get(toHex(subject.asset));
  const byLanes = subject.lanes.reduce((sum, lane) => sum + creditedBy(context, lane, subject.asset), 0n);
  const byChildren = subject.children.reduce(
    (sum, child) => sum + forwardedBy(context, child, subject.asset),
    0n,
  );
  const versions = versionsOf(context, subject.asset);
  if (node === undefined) return refuse(`asset ${shortHex(subject.asset)} is not registered`);
  const { definition, revenue } = node;
  const owners = definition.owners.map(({ owner, ppm }) => `${ppm / 10_000} % ${didOf(owner)}`);
  const shown = byLanes + byChildren;
  must(shown <= revenue.received, 'lanes and derivatives show more than the asset received');
  const proven = [
    `${definition.kind} “${definition.name}” was registered by ${didOf(node.registrant)} and belongs to ${owners.join(', ')}.`,
    `Of everything that it receives these keep: ${royaltyWords(node.id, lineage)}.`,
    ...lineageWords(lineage),
    `Of what it received, ${formatAmount(byLanes)} came from ${counted(subject.lanes.length, 'lane')} of open channels and ${formatAmount(byChildren)} from ${counted(subject.children.length, 'asset')} made from it.`,
    ...(versions.length > 1
      ? [
          `It is one of ${counted(versions.length, 'version')}: ${versions.map(({ definition: { name } }) => `“${name}”`).join(', ')}.`,
        ]
      : []),
    ...distinct([node.registrant, ...definition.owners.map(({ owner }) => owner)]).map((did) =>
      keyWords(context, did),
    ),
  ];
  const open = revenue.received - shown;
  return {
    proven,
    unproven: [
      ...(open > 0n
        ? [
            `Where the other ${formatAmount(open)} that it received came from: channels that ended, licences that it sold, single payments, or what is not in this file.`,
          ]
        : []),
      'That these are all assets that were made from it.',
      ...leftWords(lineage),
    ],
  };
}

/** What a lane of an open channel has credited an asset with. */
function creditedBy(
  { reader }: AuditContext,
  { channel, lane }: { readonly channel: Hash; readonly lane: number },
  asset: Hash,
): bigint {
  const stored = reader.read(LANE, laneIdOf(channel, lane));
  if (stored === undefined) return 0n;
  checkLane(stored, channel);
  const part = stored.parts.find((one) => equalBytes(one.asset, asset));
  return part?.credited ?? refuse(`lane ${lane} of channel ${shortHex(channel)} never paid the asset`);
}

/** What an asset that names this one as a parent has forwarded to it. */
function forwardedBy({ reader }: AuditContext, child: Hash, asset: Hash): bigint {
  const made = auditedAsset(reader, child);
  if (made === undefined) return 0n;
  const edge = made.definition.parents.findIndex((parent) => equalBytes(parent.asset, asset));
  return made.revenue.forwarded[edge] ?? refuse(`asset “${made.definition.name}” was not made from it`);
}

/** Every version of an asset, the first before the latest, up to a limit. */
function versionsOf({ reader }: AuditContext, asset: Hash): readonly AuditedNode[] {
  const first = reader.read(VERSION, asset)?.first;
  const found: AuditedNode[] = [];
  for (let at = first; at !== undefined && found.length < AUDIT_LINEAGE_MAX; ) {
    const node = auditedAsset(reader, at);
    const replaces = node?.definition.replaces;
    const before = found.at(-1);
    if (node === undefined) break;
    if (before !== undefined)
      must(
        replaces !== undefined && equalBytes(replaces, before.id),
        'a version does not replace the one before',
      );
    found.push(node);
    at = reader.read(VERSION, at)?.next;
  }
  return found;
}

function tellDid(context: AuditContext, subject: AuditedDid): AuditFindings {
  const { reader } = context;
  const { did } = subject;
  const account = reader.read(ACCOUNT, did);
  const proven = [
    account === undefined
      ? `${didOf(did)} has no account on the ledger.`
      : `${didOf(did)} has ${formatAmount(account.balance)} and sent ${counted(account.nonce, 'transaction')}.`,
    keyWords(context, did),
    ...subject.channels.map((id) => channelWords(context, id, did)),
    ...subject.assets.map((id) => ownedWords(context, id, did)),
    ...BOND_ROLES.flatMap((role) => {
      const bond = reader.read(BOND, bondIdOf(did, role));
      return bond === undefined
        ? []
        : [
            `${formatAmount(bond.own)} of its own and ${formatAmount(bond.delegated)} of others stand behind its role as ${role}.`,
          ];
    }),
    ...earningWords(context, did),
  ];
  return {
    proven,
    unproven: ['That these are all its channels and all assets that it owns a share of.'],
  };
}

function channelWords({ reader }: AuditContext, id: Hash, did: PublicKey): string {
  const found = reader.read(CHANNEL, id);
  if (found === undefined) return `Channel ${shortHex(id)} has ended.`;
  const { payer, payee, deposit, claimed, lanes } = found;
  const paying = equalBytes(payer, did);
  must(paying || equalBytes(payee, did), `channel ${shortHex(id)} is not the DID’s`);
  const paid = lanes.reduce((sum, lane) => {
    const stored = reader.read(LANE, laneIdOf(id, lane));
    if (stored !== undefined) checkLane(stored, id);
    return sum + (stored?.paid ?? 0n);
  }, 0n);
  if (reader.missing().length === 0)
    must(paid === claimed, `the lanes of channel ${shortHex(id)} do not sum to what it paid`);
  const other = paying ? `to ${didOf(payee)}` : `from ${didOf(payer)}`;
  return `Channel ${shortHex(id)} ${other} has paid ${formatAmount(claimed)} of ${formatAmount(deposit)}.`;
}

function ownedWords({ reader }: AuditContext, id: Hash, did: PublicKey): string {
  const node = auditedAsset(reader, id);
  if (node === undefined) return `Asset ${shortHex(id)} is not registered.`;
  const { definition, revenue } = node;
  const at = definition.owners.findIndex(({ owner }) => equalBytes(owner, did));
  const share = definition.owners[at] ?? refuse(`asset “${definition.name}” is not the DID’s`);
  return `It owns ${share.ppm / 10_000} % of ${definition.kind} “${definition.name}”, which paid it ${formatAmount(revenue.paid[at] ?? 0n)} of ${formatAmount(revenue.received)} received.`;
}

function earningWords({ reader, suite }: AuditContext, did: PublicKey): readonly string[] {
  return Array.from({ length: REWARD_SLOTS }, (_, slot) => slot).flatMap((slot) => {
    const earning = reader.read(EARNING, Uint8Array.of(...did, slot));
    if (earning === undefined) return [];
    const { epoch, settled, claims, causes, paid } = earning;
    if (causes.length === claims) {
      const sum = causes.reduce((total, { amount }) => total + amount, 0n);
      must(sum === settled, `the claims of epoch ${epoch} do not sum to what was settled in it`);
      const peaks = peaksOf(
        suite,
        causes.map((cause) => EARNING.cause.encode(cause)),
      );
      const same =
        peaks.length === earning.peaks.length &&
        peaks.every((peak, i) => equalBytes(peak, earning.peaks[i] ?? peak));
      must(same, `the claims of epoch ${epoch} are not those that its reward names`);
    }
    const named = causes.map(
      ({ channel, lane, receipts, amount }) =>
        `${formatAmount(amount)} for ${counted(receipts, 'receipt')} on lane ${lane} of channel ${shortHex(channel)}`,
    );
    const more = claims > causes.length ? `, and ${counted(claims - causes.length, 'claim')} more` : '';
    const reward =
      paid === undefined ? 'no reward was collected yet' : `a reward of ${formatAmount(paid)} was paid`;
    return [
      `In epoch ${epoch} it settled ${formatAmount(settled)} by ${counted(claims, 'claim')} (${named.join('; ')}${more}); ${reward}.`,
    ];
  });
}

/** Roots of the whole subtrees over some leaves, the largest first. */
function peaksOf(suite: Suite, leaves: readonly Uint8Array[]): readonly Hash[] {
  const peaks: Hash[] = [];
  let at = 0;
  for (let size = 2 ** 31; size >= 1; size /= 2) {
    if (leaves.length - at < size) continue;
    peaks.push(merkleRoot(suite, leaves.slice(at, at + size)));
    at += size;
  }
  return peaks;
}

function assetName({ nodes }: AuditedLineage, id: Hash): string {
  const known = nodes.get(toHex(id));
  return known === undefined ? `asset ${shortHex(id)}` : `“${known.definition.name}”`;
}

/** Each asset of a lineage: what it is, under which licence, and its money. */
function lineageWords(lineage: AuditedLineage): readonly string[] {
  const lines = [...lineage.nodes.values()].map((node) => {
    const { definition, revenue } = node;
    const from = definition.parents.map(
      ({ asset, relation, ppm }) => `${relation} ${assetName(lineage, asset)} for ${ppm / 10_000} %`,
    );
    const made = from.length === 0 ? '' : ` (${from.join(', ')})`;
    const licence = definition.licence === '' ? 'no licence' : `licence ${definition.licence}`;
    return `${definition.kind} “${definition.name}”${made}, ${licence}: received ${formatAmount(revenue.received)}, of which ${formatAmount(heldBy(node))} is not passed on yet.`;
  });
  const absent = lineage.unregistered.map(
    (id) => `No asset ${shortHex(id)} is registered: its part goes to the payee.`,
  );
  return [...lines, ...absent];
}

function leftWords({ left }: AuditedLineage): readonly string[] {
  const past =
    'That licences were bought and approvals given in time: the ledger asked for them when each asset was registered.';
  return left === 0
    ? [past]
    : [past, `Anything about ${counted(left, 'further ancestor')}: too many for one file.`];
}

function distinct(ids: readonly Uint8Array[]): readonly Uint8Array[] {
  return [...new Map(ids.map((id) => [toHex(id), id])).values()];
}
