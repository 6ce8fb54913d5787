/**
 * What the admin API says, as data: amounts are decimal texts of grains, keys are DIDs, hashes are lower-case
 * hexadecimal, times are milliseconds since 1970. The command line prints these with `--json` as they stand.
 */

import type { LightReport } from '../../ledger/light/ledger.ts';
import type { BridgeRow } from './methods-bridge.ts';
import type { ModelsReport } from './methods-model.ts';
import type { AgentSearchRow } from './types-agent.ts';
import type { DisputeRow } from './types-dispute.ts';

/** What runs here. */
export interface StatusReport {
  readonly version: string;
  readonly pid: number;
  readonly home: string;
  readonly upMs: number;
  readonly memoryBytes: number;
  /** The operator: whom callers of agents here pay, and who pays for calls made from here. */
  readonly did: string;
  readonly peerId: string;
  /** Where other peers can dial this one. */
  readonly addresses: readonly string[];
  readonly peers: readonly PeerRow[];
  readonly ledger: LedgerReport;
  /** Balance on the ledger, grains. */
  readonly balance: string;
  readonly agents: readonly string[];
  readonly vaults: readonly string[];
  /** What the models on this machine do; absent while none is loaded. */
  readonly models?: ModelsReport;
  /** Bots on chat platforms; absent: none. */
  readonly bridges?: readonly BridgeRow[];
  /** Payees that claimed something else than they charged; absent: none. */
  readonly disputes?: readonly DisputeRow[];
}

/** A connected peer. */
interface PeerRow {
  readonly peerId: string;
  readonly address: string;
  readonly direction: 'inbound' | 'outbound';
  readonly latencyMs?: number;
}

/** The ledger as this peer knows it. */
export interface LedgerReport {
  readonly network: string;
  /** Whether this peer orders transactions, executes what another orders, or has its own records proved by peers. */
  readonly role: 'sequencer' | 'follower' | 'light';
  /** Who orders transactions; where validators do, what the network's genesis names in its place, which is nobody's key. */
  readonly sequencer: string;
  /** How many validators order the transactions, where it is not a sequencer. */
  readonly validators?: number;
  readonly height: number;
  readonly headHash: string;
  readonly stateRoot: string;
  readonly blockTimeMs: number;
  readonly faucet: boolean;
  /** Everything that exists, grains. */
  readonly supply: string;
  /** How a light client stands with its peers. */
  readonly light?: LightReport;
}

/** One finding of `doctor`. */
export interface Finding {
  readonly name: string;
  readonly state: 'ok' | 'note' | 'fault';
  readonly found: string;
  /** What to do about it. */
  readonly next?: string;
}

/** What is thought of one peer or caller, and what follows from it. */
export interface StandingRow {
  readonly kind: 'peer' | 'caller';
  /** A peer id or a DID. */
  readonly subject: string;
  /** How many steps its limits are lowered; 0 is the best. */
  readonly step: number;
  readonly points: number;
  readonly facts: readonly { readonly fact: string; readonly count: number }[];
  readonly limits: readonly { readonly what: string; readonly perSecond: number; readonly atOnce: number }[];
  /** Time without another fault until the limits rise, milliseconds. */
  readonly betterAfterMs?: number;
  /** Answered calls that would raise them at once. */
  readonly betterAfterCalls?: number;
}

/** What another peer said that it thinks of this one and of its operator's key. */
export interface StandingOfMe {
  /** Its peer id. */
  readonly by: string;
  readonly stranger: boolean;
  readonly thinks: readonly StandingRow[];
  /** Why it did not say. */
  readonly failure?: AdminFailure;
}

/** Standing in both directions. */
export interface StandingReport {
  readonly ofMe: readonly StandingOfMe[];
  readonly held: readonly StandingRow[];
}

/** A live agent, here or on another peer. */
export interface AgentRow {
  readonly did: string;
  readonly name: string;
  readonly skills: readonly string[];
  /** What its advert says that a call costs, grains. */
  readonly perCall: string;
  /** What its best host says of itself. Nobody has checked it. */
  readonly claimed: { readonly queue: number; readonly latencyMs?: number };
  /** What those who paid for calls measured at its best host; absent when none has said anything lately. */
  readonly measured?: MeasuredRow;
  readonly operator: string;
  /** What stands behind its operator as a provider, and pays if it is proved to cheat, grains; absent when nothing or not known here. */
  readonly bond?: string;
  readonly peerId: string;
  readonly local: boolean;
}

/** What calls really took: medians over the payers behind them. */
export interface MeasuredRow {
  /** From the question to the first part of the answer, and to its end, milliseconds. */
  readonly firstMs: number;
  readonly totalMs: number;
  /** Calls that were before one when it came. */
  readonly ahead: number;
  /** What a call cost, grains. */
  readonly paid: string;
  /** Part of the calls that failed, 0 to 1. */
  readonly failed: number;
  readonly payers: number;
  /** Whose calls: this peer's own, those of others who paid, or those of others who did not. */
  readonly from: 'own' | 'paid' | 'free';
}

/** An agent that this daemon hosts. */
export interface HostedAgentRow {
  /** Height at which this home began to keep the whole ledger for it; absent if it did already. */
  readonly ledgerKept?: number;
  readonly name: string;
  readonly did: string;
  readonly asset: string;
  readonly vaults: readonly string[];
  readonly backend: string;
  /** Of a model on this machine: its name, and about how much memory it needs with its context, bytes. */
  readonly model?: { readonly name: string; readonly needBytes: number };
  /** Models that help it to find passages, where it wants some. */
  readonly search?: AgentSearchRow;
  readonly perCall: string;
  readonly manifestHash: string;
  /** What stands in its way, if anything. */
  readonly note?: string;
}

/** A vault. */
export interface VaultRow {
  /** Height at which this home began to keep the whole ledger for it; absent if it did already. */
  readonly ledgerKept?: number;
  readonly name: string;
  readonly documents: number;
  readonly chunks: number;
  readonly bytes: number;
  readonly contributors: readonly string[];
}

/** What became of one document of an import. */
export interface ImportEvent {
  /** `started` comes first, `total` last. */
  readonly type: 'started' | 'added' | 'unchanged' | 'replaced' | 'skipped' | 'total';
  readonly name: string;
  /** Files that there are to read, and their bytes; of one document, its own. */
  readonly files?: number;
  readonly sizeBytes?: number;
  readonly chunks?: number;
  readonly documents?: number;
  /** Why it was skipped. */
  readonly refusal?: AdminFailure;
}

/** A passage that a search found. */
export interface SearchRow {
  readonly document: string;
  readonly title: string;
  readonly text: string;
  readonly score: number;
  readonly contributor: string;
  readonly chunk: string;
}

/** A payment channel of this peer. */
export interface ChannelRow {
  readonly id: string;
  readonly role: 'payer' | 'payee';
  readonly other: string;
  readonly state: 'open' | 'closing' | 'closed';
  readonly deposit: string;
  /** Paid out on the ledger, grains. */
  readonly claimed: string;
  /** Charged off the ledger so far, claimed part included, grains. */
  readonly charged: string;
  readonly calls: number;
  readonly closeAtHeight?: number;
  /** Announced to leave the deposit, grains, at the end of the block `leavesAtHeight`. */
  readonly leaving?: string;
  readonly leavesAtHeight?: number;
}

/** What became of a withdrawal. */
export interface WithdrawalRow {
  /** `released`: it is out. `announced`: it leaves later. `cancelled`: it stays. */
  readonly way: 'released' | 'announced' | 'cancelled';
  /** Grains. */
  readonly amount: string;
  /** It was announced because the payee did not answer. */
  readonly payeeAway: boolean;
  readonly channel: ChannelRow;
  /** Announced: the block at whose end it leaves, and about how long that takes, milliseconds. */
  readonly finalAtHeight?: number;
  readonly finalInMs?: number;
}

/** What one party earned. */
export interface EarningRow {
  readonly asset: string;
  readonly name: string;
  readonly kind: string;
  readonly owner: string;
  readonly mine: boolean;
  /** Everything settled onto the asset so far, grains. */
  readonly received: string;
  /** Of that, what owners and parents already have, grains. */
  readonly collected: string;
}

/** What this peer earns, as payee and as an owner of assets. */
export interface EarningsReport {
  readonly balance: string;
  /** Charged but not yet claimed on the ledger, grains. */
  readonly unclaimed: string;
  /** Charged on channels that ended before they were claimed: nobody pays it any more. Grains. */
  readonly lost: string;
  readonly assets: readonly EarningRow[];
}

/** A call that was made from here. */
export interface ReceiptRow {
  readonly callId: string;
  readonly atMs: number;
  readonly agent: string;
  readonly agentName: string;
  readonly question: string;
  readonly amount: string;
  readonly finish: string;
  /** Whether the ledger has paid it out. */
  readonly settled: boolean;
}

/** What it takes to go on with a call at another peer of the same operator, in base64. */
export interface TicketReply {
  readonly callId: string;
  readonly ticket: string;
}

/** A failure as it travels. */
export interface AdminFailure {
  readonly code: string;
  readonly facts: Readonly<Record<string, string | number | boolean | readonly string[]>>;
}

/** An evidence bundle in base64, and the receipt that it proves. */
export interface BundleReply {
  readonly callId: string;
  readonly bundle: string;
}

/** An offer that came in. Amounts in grains. */
export interface OfferRow {
  readonly name: string;
  readonly did: string;
  readonly operator: string;
  readonly peerId: string;
  readonly perCall: string;
  readonly perInputUnit: string;
  readonly perOutputUnit: string;
  /** What it comes to for the units that were asked for. */
  readonly expected: string;
  readonly notAfterMs: number;
  readonly model: string;
  readonly determinism: string;
  /** 0 is the best, 1 the worst: price, time and doubt by `spec/mesh.md`. */
  readonly score: number;
  readonly measured?: MeasuredRow;
}

/** What `ask` tells while it runs. */
export type AskEvent =
  /** Something that takes time or money before the answer: finding the agent, opening a channel. */
  | { readonly type: 'progress'; readonly step: string; readonly detail: string }
  /** The offers that came in, the best first: the first is taken. */
  | { readonly type: 'offers'; readonly offers: readonly OfferRow[] }
  /** Who answers. Once more when somebody else begins anew: what came before then does not count. */
  | {
      readonly type: 'agent';
      readonly name: string;
      readonly did: string;
      readonly operator: string;
      readonly price: string;
    }
  | {
      readonly type: 'source';
      readonly index: number;
      readonly document: string;
      readonly title: string;
      readonly text: string;
      readonly contributor: string;
      readonly licence: string;
    }
  | { readonly type: 'delta'; readonly text: string; readonly citations: readonly CitationRow[] }
  /** The call's id in hexadecimal, by which it can be gone on with. */
  | { readonly type: 'call'; readonly callId: string }
  /** What the call has cost so far, and what is covered of it: grains. Only of calls that are paid piece by piece. */
  | { readonly type: 'paid'; readonly amount: string; readonly cover: string }
  | ({ readonly type: 'end' } & AskEnd);

/** A sentence's support: byte offsets into the answer and the source. */
export interface CitationRow {
  readonly start: number;
  readonly end: number;
  readonly source: number;
  readonly sourceStart: number;
  readonly sourceEnd: number;
}

/** How an answer ended. */
export interface AskEnd {
  readonly callId: string;
  readonly finish: string;
  readonly amount: string;
  readonly inputUnits: number;
  readonly outputUnits: number;
  /** What calls made directly below cost, grains, and how many calls there were below. */
  readonly expenses: string;
  readonly calls: number;
  readonly shares: readonly ShareRow[];
  readonly channel?: string;
  /** The transaction that paid it, where one did, and the block that has it. */
  readonly payment?: { readonly transaction: string; readonly height: number } | undefined;
  /** What it took in all where several were asked, grains: the others' bundles are saved too. */
  readonly spent?: string;
  /** Sentences of the answer, and how many of them rest on what they cite; absent where nothing is to be cited. */
  readonly supported?: { readonly sentences: number; readonly grounded: number; readonly first?: string };
  /** Where the evidence bundle was saved. */
  readonly path: string;
  readonly tookMs: number;
}

/** A share of a receipt. */
interface ShareRow {
  readonly asset: string;
  readonly role: string;
  readonly name: string;
  readonly ppm: number;
  readonly amount: string;
}

/** An account of the ledger. */
export interface AccountRow {
  readonly did: string;
  readonly balance: string;
  readonly nonce: number;
}

/** A transaction of the ledger. */
export interface TransactionRow {
  readonly id: string;
  readonly height: number;
  readonly sender: string;
  readonly type: string;
  readonly summary: string;
  readonly code: number;
}

/** What `ledger verify` found. */
export interface LedgerVerdict {
  readonly sound: boolean;
  readonly height: number;
  readonly transactions: number;
  readonly supply: string;
  readonly fault?: string;
  /** What this peer cannot check for itself, and why. */
  readonly unchecked: readonly string[];
}
