/**
 * The admin API, typed once: each method's name, its input as a schema, and what it answers. The server checks
 * inputs by this table, the client and the handlers take their types from it. `POST /v1/<name>` with the input as
 * JSON answers with one JSON value; a streaming method answers with one JSON value per line.
 */
import { z } from 'zod';
import type { PruneReport } from '../ledger-files.ts';
import { ASSET_INPUTS, type AssetMethods } from './methods-asset.ts';
import { BRIDGE_INPUTS, type BridgeMethods } from './methods-bridge.ts';
import { EXPLORER_INPUTS, type ExplorerMethods } from './methods-explorer.ts';
import { IDENTITY_INPUTS, type IdentityMethods } from './methods-identity.ts';
import { MODEL_INPUTS, type ModelMethods, type ModelStreams } from './methods-model.ts';
import { NETWORK_INPUTS, type NetworkMethods } from './methods-network.ts';
import { PAY_INPUTS, type PayMethods } from './methods-pay.ts';
import { STAKE_INPUTS, type StakeMethods } from './methods-stake.ts';
import { VAULT_METHODS, type VaultStreamMethods, type VaultUnaryMethods } from './methods-vault.ts';
import { VOUCHER_KEY_INPUTS, type VoucherKeyMethods } from './methods-voucher-key.ts';
import { WATCHTOWER_INPUTS, type WatchtowerMethods } from './methods-watchtower.ts';
import type {
  AccountRow,
  AgentRow,
  AskEvent,
  BundleReply,
  ChannelRow,
  EarningsReport,
  Finding,
  HostedAgentRow,
  ImportEvent,
  LedgerReport,
  LedgerVerdict,
  ReceiptRow,
  SearchRow,
  StandingReport,
  StatusReport,
  TicketReply,
  TransactionRow,
  VaultRow,
  WithdrawalRow,
} from './types.ts';
import type { AgentTestEvent, AgentVersionRow } from './types-agent.ts';
import type { ChallengeReport, DisputeRow } from './types-dispute.ts';

/** Nothing to say. */
type Empty = Readonly<Record<string, never>>;

/** A question to an agent. */
export interface AskInput {
  /** Name, DID, or the first characters of a DID's last part. */
  readonly agent: string;
  readonly question: string;
  readonly context?: readonly { readonly role: 'user' | 'agent'; readonly text: string }[] | undefined;
  /** Most that the call may cost, grains. Default: the daemon's `wallet.priceMax`, and the budget. */
  readonly priceMax?: string | undefined;
  readonly skill?: string | undefined;
  readonly deadlineMs?: number | undefined;
  /** Asks two hosts of the agent at once: the first word wins, the other is stopped at its price. */
  readonly race?: boolean | undefined;
  /** What the agent may spend on calls of its own; `priceMax` pays for it too. Default: nothing. */
  readonly budget?: AskBudget | undefined;
  /** Pays by one transaction of the ledger, so that no channel is needed. */
  readonly once?: boolean | undefined;
}

/** What an agent may spend on calls of its own. */
export interface AskBudget {
  /** Grains. */
  readonly amount: string;
  /** How many levels of calls there may be. Default 3. */
  readonly depth?: number | undefined;
  /** Skills that may be asked for. Default: any. */
  readonly skills?: readonly string[] | undefined;
}

/** A question to whoever offers best. An agent or a skill is named. */
export interface AuctionInput extends Omit<AskInput, 'agent'> {
  readonly agent?: string | undefined;
  /** Any of these will do. Default: any language. */
  readonly languages?: readonly string[] | undefined;
  /** Units of answer that a price is asked for. Default 300. */
  readonly outputUnits?: number | undefined;
  /** How long offers are waited for. Default 2,000. */
  readonly waitMs?: number | undefined;
  /** How many are enough. Default 8. */
  readonly offersMax?: number | undefined;
  /** Shows the offers and asks nobody. */
  readonly listOnly?: boolean | undefined;
}

/** Which agent to try. */
export interface AgentTestInput {
  readonly name: string;
  /** Least share of an answer's sentences that must rest on what they cite, millionths. Default 800,000. */
  readonly groundedMin?: number | undefined;
}

/** Which call to go on with. */
export interface ResumeInput {
  /** Its id or the first characters of it. Default: the newest that is left over. */
  readonly callId?: string | undefined;
  /** What another peer of the same operator kept of it, in base64. */
  readonly ticket?: string | undefined;
  /** Only to its ending: it is stopped, and what was delivered is charged. */
  readonly stop?: boolean | undefined;
}

/** Methods that answer once. */
export interface UnaryMethods
  extends AssetMethods,
    BridgeMethods,
    IdentityMethods,
    ExplorerMethods,
    WatchtowerMethods,
    VaultUnaryMethods,
    VoucherKeyMethods {
  'resume.ticket': { input: { readonly callId: string }; output: TicketReply };
  status: { input: Empty; output: StatusReport };
  doctor: { input: Empty; output: readonly Finding[] };
  stop: { input: Empty; output: Empty };
  standing: { input: { readonly of?: string | undefined }; output: StandingReport };
  agents: { input: { readonly waitMs?: number | undefined }; output: readonly AgentRow[] };
  'agent.add': {
    input: { readonly manifest: string; readonly replace?: boolean | undefined };
    output: HostedAgentRow;
  };
  'agent.list': { input: Empty; output: readonly HostedAgentRow[] };
  'agent.remove': { input: { readonly name: string }; output: Empty };
  'agent.export': {
    input: { readonly name: string; readonly to?: string | undefined };
    output: { readonly agent: string; readonly reader: string };
  };
  'agent.import': {
    input: { readonly agent: string; readonly trusted?: boolean | undefined };
    output: HostedAgentRow & { readonly from: string };
  };
  'agent.questions': { input: { readonly name: string }; output: readonly string[] };
  'agent.versions': { input: { readonly name: string }; output: readonly AgentVersionRow[] };
  'agent.rollback': {
    input: { readonly name: string; readonly version?: number | undefined };
    output: HostedAgentRow;
  };
  'vault.create': { input: { readonly name: string }; output: VaultRow };
  'vault.list': { input: Empty; output: readonly VaultRow[] };
  'vault.search': {
    input: { readonly vault: string; readonly query: string; readonly limit?: number | undefined };
    output: readonly SearchRow[];
  };
  'vault.remove': { input: { readonly name: string }; output: Empty };
  'channel.list': { input: Empty; output: readonly ChannelRow[] };
  'channel.open': {
    input: { readonly payee: string; readonly deposit?: string | undefined };
    output: ChannelRow;
  };
  'channel.claim': { input: { readonly channel?: string | undefined }; output: readonly ChannelRow[] };
  'channel.close': { input: { readonly channel: string }; output: ChannelRow };
  'channel.withdraw': {
    input: {
      readonly channel: string;
      readonly amount: string;
      readonly announce?: boolean | undefined;
    };
    output: WithdrawalRow;
  };
  'channel.withdraw.cancel': { input: { readonly channel: string }; output: WithdrawalRow };
  'channel.challenge': {
    input: { readonly channel: string; readonly dryRun?: boolean | undefined };
    output: ChallengeReport;
  };
  earnings: { input: Empty; output: EarningsReport };
  receipts: { input: { readonly limit?: number | undefined }; output: readonly ReceiptRow[] };
  'receipts.bundle': { input: { readonly callId: string }; output: BundleReply };
  'ledger.status': { input: Empty; output: LedgerReport };
  'ledger.accounts': { input: { readonly did?: string | undefined }; output: readonly AccountRow[] };
  'ledger.transactions': {
    input: { readonly limit?: number | undefined };
    output: readonly TransactionRow[];
  };
  'ledger.verify': { input: Empty; output: LedgerVerdict };
  'model.list': ModelMethods['model.list'];
  'model.info': ModelMethods['model.info'];
  'model.remove': ModelMethods['model.remove'];
  whosaid: ModelMethods['whosaid'];
  /** Drops all but the last `keep` blocks, between the blocks that come. */
  'ledger.prune': { input: { readonly keep: number }; output: PruneReport };
  pay: PayMethods['pay'];
  'network.rules': NetworkMethods['network.rules'];
  'network.approve': NetworkMethods['network.approve'];
  fees: StakeMethods['fees'];
  'stake.show': StakeMethods['stake.show'];
  'stake.bond': StakeMethods['stake.bond'];
  'stake.unbond': StakeMethods['stake.unbond'];
  'stake.delegate': StakeMethods['stake.delegate'];
  'stake.undelegate': StakeMethods['stake.undelegate'];
  'stake.release': StakeMethods['stake.release'];
  'stake.report': StakeMethods['stake.report'];
  rewards: StakeMethods['rewards'];
  'rewards.collect': StakeMethods['rewards.collect'];
}

/** Methods that answer line by line. */
export interface StreamMethods extends VaultStreamMethods {
  ask: { input: AskInput; output: AskEvent };
  auction: { input: AuctionInput; output: AskEvent };
  resume: { input: ResumeInput; output: AskEvent };
  /** How disputes with payees stand, and every change of them for as long as it is listened to. */
  'channel.disputes': { input: Empty; output: DisputeRow };
  'model.add': ModelStreams['model.add'];
  'model.pull': ModelStreams['model.pull'];
  'agent.test': { input: AgentTestInput; output: AgentTestEvent };
  'vault.add': {
    input: {
      readonly vault: string;
      readonly path: string;
      readonly contributor?: string | undefined;
      readonly licence?: string | undefined;
      readonly consent?: string | undefined;
    };
    output: ImportEvent;
  };
}

/** Every method. */
export type AdminMethods = UnaryMethods & StreamMethods;

/** The types of inputs, checked before a handler sees them. */
export type MethodTable = {
  readonly [K in keyof AdminMethods]: {
    readonly input: z.ZodType<AdminMethods[K]['input']>;
    readonly stream: K extends keyof StreamMethods ? true : false;
  };
};

/** What carries out the methods. `signal` aborts when the client is gone. */
export type AdminHandlers = {
  readonly [K in keyof UnaryMethods]: (
    input: UnaryMethods[K]['input'],
    signal: AbortSignal,
  ) => Promise<UnaryMethods[K]['output']>;
} & {
  readonly [K in keyof StreamMethods]: (
    input: StreamMethods[K]['input'],
    signal: AbortSignal,
  ) => AsyncIterable<StreamMethods[K]['output']>;
};

const name = z.string().min(1).max(256);
const path = z.string().min(1).max(4096);
const grains = z.string().regex(/^\d{1,19}$/);
const limit = z.int().min(1).max(1000).optional();
/** Longest ticket in base64: an opening, a card and a little. */
const TICKET_TEXT_MAX = 1_500_000;
/** Longest file of an agent in base64. */
const AGENT_TEXT_MAX = 11_500_000;
const nothing = z.strictObject({});
const unary = <I>(input: z.ZodType<I>): { input: z.ZodType<I>; stream: false } => ({ input, stream: false });
const stream = <I>(input: z.ZodType<I>): { input: z.ZodType<I>; stream: true } => ({ input, stream: true });

const question = {
  // The limits of these texts are ones of bytes, and told as such by the handler.
  question: z.string().min(1),
  context: z
    .array(z.strictObject({ role: z.enum(['user', 'agent']), text: z.string() }))
    .max(64)
    .optional(),
  priceMax: grains.optional(),
  skill: name.optional(),
  deadlineMs: z.int().min(1).max(3_600_000).optional(),
  budget: z
    .strictObject({
      amount: grains,
      depth: z.int().min(1).max(16).optional(),
      skills: z.array(z.string().min(1).max(64)).max(16).optional(),
    })
    .optional(),
};

/** The table. */
export const ADMIN_METHODS: MethodTable = {
  status: unary(nothing),
  doctor: unary(nothing),
  stop: unary(nothing),
  standing: unary(z.strictObject({ of: name.optional() })),
  agents: unary(z.strictObject({ waitMs: z.int().min(0).max(60_000).optional() })),
  'agent.add': unary(z.strictObject({ manifest: z.string().max(262_144), replace: z.boolean().optional() })),
  'agent.list': unary(nothing),
  'agent.remove': unary(z.strictObject({ name })),
  'agent.export': unary(z.strictObject({ name, to: name.optional() })),
  'agent.import': unary(
    z.strictObject({ agent: z.base64().max(AGENT_TEXT_MAX), trusted: z.boolean().optional() }),
  ),
  'agent.questions': unary(z.strictObject({ name })),
  'agent.versions': unary(z.strictObject({ name })),
  'agent.rollback': unary(z.strictObject({ name, version: z.int().min(1).optional() })),
  'vault.create': unary(z.strictObject({ name })),
  'vault.list': unary(nothing),
  'vault.search': unary(z.strictObject({ vault: name, query: z.string().max(32_768), limit })),
  'vault.remove': unary(z.strictObject({ name })),
  'channel.list': unary(nothing),
  'channel.open': unary(z.strictObject({ payee: name, deposit: grains.optional() })),
  'channel.claim': unary(z.strictObject({ channel: name.optional() })),
  'channel.close': unary(z.strictObject({ channel: name })),
  'channel.withdraw': unary(
    z.strictObject({ channel: name, amount: grains, announce: z.boolean().optional() }),
  ),
  'channel.withdraw.cancel': unary(z.strictObject({ channel: name })),
  'channel.challenge': unary(z.strictObject({ channel: name, dryRun: z.boolean().optional() })),
  'channel.disputes': stream(nothing),
  earnings: unary(nothing),
  receipts: unary(z.strictObject({ limit })),
  'receipts.bundle': unary(z.strictObject({ callId: name })),
  'ledger.status': unary(nothing),
  'ledger.accounts': unary(z.strictObject({ did: name.optional() })),
  'ledger.transactions': unary(z.strictObject({ limit })),
  'ledger.verify': unary(nothing),
  'model.list': unary(MODEL_INPUTS['model.list']),
  'model.info': unary(MODEL_INPUTS['model.info']),
  'model.remove': unary(MODEL_INPUTS['model.remove']),
  whosaid: unary(MODEL_INPUTS.whosaid),
  'model.add': stream(MODEL_INPUTS['model.add']),
  'model.pull': stream(MODEL_INPUTS['model.pull']),
  'ledger.prune': unary(z.strictObject({ keep: z.int().min(0) })),
  pay: unary(PAY_INPUTS.pay),
  'network.rules': unary(NETWORK_INPUTS['network.rules']),
  'network.approve': unary(NETWORK_INPUTS['network.approve']),
  fees: unary(STAKE_INPUTS.fees),
  'stake.show': unary(STAKE_INPUTS['stake.show']),
  'stake.bond': unary(STAKE_INPUTS['stake.bond']),
  'stake.unbond': unary(STAKE_INPUTS['stake.unbond']),
  'stake.delegate': unary(STAKE_INPUTS['stake.delegate']),
  'stake.undelegate': unary(STAKE_INPUTS['stake.undelegate']),
  'stake.release': unary(STAKE_INPUTS['stake.release']),
  'stake.report': unary(STAKE_INPUTS['stake.report']),
  rewards: unary(STAKE_INPUTS.rewards),
  'rewards.collect': unary(STAKE_INPUTS['rewards.collect']),
  'channel.voucherKey': unary(VOUCHER_KEY_INPUTS['channel.voucherKey']),
  ...VAULT_METHODS,
  'watchtower.status': unary(WATCHTOWER_INPUTS['watchtower.status']),
  'watchtower.serve': unary(WATCHTOWER_INPUTS['watchtower.serve']),
  'watchtower.use': unary(WATCHTOWER_INPUTS['watchtower.use']),
  ...ASSET_INPUTS,
  'bridge.list': unary(BRIDGE_INPUTS['bridge.list']),
  'bridge.set': unary(BRIDGE_INPUTS['bridge.set']),
  'bridge.check': unary(BRIDGE_INPUTS['bridge.check']),
  'bridge.remove': unary(BRIDGE_INPUTS['bridge.remove']),
  'bridge.link': unary(BRIDGE_INPUTS['bridge.link']),
  ...EXPLORER_INPUTS,
  'identity.show': unary(IDENTITY_INPUTS['identity.show']),
  'identity.init': unary(IDENTITY_INPUTS['identity.init']),
  'identity.rotate': unary(IDENTITY_INPUTS['identity.rotate']),
  'identity.request': unary(IDENTITY_INPUTS['identity.request']),
  'identity.recover': unary(IDENTITY_INPUTS['identity.recover']),
  'identity.cancel': unary(IDENTITY_INPUTS['identity.cancel']),
  'identity.finish': unary(IDENTITY_INPUTS['identity.finish']),
  'identity.adopt': unary(IDENTITY_INPUTS['identity.adopt']),
  'identity.exportNext': unary(IDENTITY_INPUTS['identity.exportNext']),
  'identity.revoke': unary(IDENTITY_INPUTS['identity.revoke']),
  'identity.certify': unary(IDENTITY_INPUTS['identity.certify']),
  'credential.issue': unary(IDENTITY_INPUTS['credential.issue']),
  ask: stream(
    z.strictObject({
      ...question,
      agent: name,
      race: z.boolean().optional(),
      once: z.boolean().optional(),
    }),
  ),
  auction: stream(
    z.strictObject({
      ...question,
      agent: name.optional(),
      languages: z.array(z.string().min(1).max(16)).max(8).optional(),
      outputUnits: z.int().min(1).max(1_000_000).optional(),
      waitMs: z.int().min(100).max(60_000).optional(),
      offersMax: z.int().min(1).max(64).optional(),
      listOnly: z.boolean().optional(),
    }),
  ),
  resume: stream(
    z.strictObject({
      callId: z.string().max(32).optional(),
      ticket: z.base64().max(TICKET_TEXT_MAX).optional(),
      stop: z.boolean().optional(),
    }),
  ),
  'agent.test': stream(z.strictObject({ name, groundedMin: z.int().min(0).max(1_000_000).optional() })),
  'resume.ticket': unary(z.strictObject({ callId: z.string().max(32) })),
  'vault.add': stream(
    z.strictObject({
      vault: name,
      path,
      contributor: name.optional(),
      licence: z.string().max(128).optional(),
      consent: z.string().max(1024).optional(),
    }),
  ),
};
