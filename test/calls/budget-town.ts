/** Peers of several operators inside one process, each with hosts, books and callers of its own: calls make real trees. */
import { openCallRecords } from '../../src/agent/call-records.ts';
import {
  type AskRequest,
  type Caller,
  type CallHandle,
  type CallResult,
  createCaller,
} from '../../src/agent/caller.ts';
import type { CallsBelow } from '../../src/agent/calls-below.ts';
import type { ChildCallsParts } from '../../src/agent/child-calls.ts';
import { createHost, type Host } from '../../src/agent/host.ts';
import { createHosting, type Hosting, type PublishedAgent } from '../../src/agent/hosting.ts';
import { MANIFEST_DEFAULTS } from '../../src/agent/manifest.ts';
import type { Answerer, AnswerPart, CallStream } from '../../src/agent/ports.ts';
import { openQuotaBook } from '../../src/agent/quota.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { systemDice } from '../../src/base/random.ts';
import { openReplayStore } from '../../src/base/replay.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createPayeeBook, type PayeeBook } from '../../src/payment/payee-book.ts';
import { PayerBook } from '../../src/payment/payer-book.ts';
import { answerPaymentQuery } from '../../src/payment/payment-service.ts';
import { BUNDLE_FORMAT, type Bundle } from '../../src/protocol/bundle.ts';
import type { PriceSchedule } from '../../src/protocol/card.ts';
import type { CallBudget } from '../../src/protocol/envelope.ts';
import { createVerifier } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { AGENT_ASSET, Channels, hash, NETWORK, tick } from './rig.ts';
import { createStreamPair, type PairOptions } from './stream-pair.ts';

const clock = systemClock;
const FREE = { perCall: 0n, perInputUnit: 0n, perOutputUnit: 0n };

/** An agent of a town. */
export interface TownAgent {
  readonly operator: string;
  readonly answerer: Answerer;
  readonly price?: Partial<PriceSchedule>;
  readonly skills?: readonly string[];
  readonly freeCalls?: number;
}

/** A town. */
export interface TownOptions {
  readonly agents: Readonly<Record<string, TownAgent>>;
  /** Grains in each channel. Default 1,000,000. */
  readonly deposit?: bigint;
  /** Whether channels stand before they are asked for. Default true. */
  readonly channels?: boolean;
  /** How far the clock of who only asks is behind, milliseconds. Default 0. */
  readonly behindMs?: number;
  /** What may happen to frames on their way to the agent of that name. */
  readonly pair?: (agent: string) => PairOptions;
}

/** One operator's peer. */
export interface TownPeer {
  readonly signer: Signer;
  readonly hosting: Hosting;
  readonly host: Host;
  readonly payee: PayeeBook;
  readonly payer: PayerBook;
  readonly caller: Caller;
  readonly own: Caller;
  /** Results of the calls that its agents made. */
  readonly made: CallResult[];
}

/** What a test asks of a town. */
export interface TownAsk extends Partial<Omit<AskRequest, 'target' | 'budget'>> {
  readonly budget?: Partial<CallBudget>;
  /** Who asks. Default `payer`. */
  readonly from?: string;
  readonly signal?: AbortSignal;
}

/** The town. */
export interface Town {
  readonly peers: Readonly<Record<string, TownPeer>>;
  agent(name: string): PublishedAgent;
  ask(agent: string, asked?: TownAsk): CallHandle;
  /** Everything that proves a call, but for a genesis and a settlement. */
  evidence(result: CallResult): Bundle;
}

/** What a budget is where a test does not say. */
export function budgetOf(change: Partial<CallBudget> = {}): CallBudget {
  return { amount: 100_000n, depth: 4, deadlineMs: clock.nowMs() + 30_000, skills: [], ...change };
}

/** A town of the operators that its agents name, and one who only asks: `payer`. */
export async function createTown(options: TownOptions): Promise<Town> {
  const names = [...new Set(['payer', ...Object.values(options.agents).map(({ operator }) => operator)])];
  const signers = new Map(names.map((name, i) => [name, createSigner(hash(i + 1))]));
  const channels = new Channels();
  const deposit = options.deposit ?? 1_000_000n;
  const open = (payer: Uint8Array, payee: Uint8Array): void => {
    const id = suite.sha256(payer, payee);
    if (channels.channel(id)) return;
    channels.all.push({
      id,
      payer,
      payee,
      deposit,
      claimed: 0n,
      state: 'open',
      leaving: 0n,
      revision: 0,
      lanes: [],
    });
  };
  for (const a of signers.values()) {
    for (const b of signers.values()) {
      if (a !== b && options.channels !== false) open(a.publicKey, b.publicKey);
    }
  }
  const peers: Record<string, TownPeer> = {};
  const published = new Map<
    string,
    { readonly peer: string; readonly agent: PublishedAgent; readonly own: PublishedAgent }
  >();
  const openCall = async (name: string): Promise<CallStream> => {
    const { caller, host } = createStreamPair(options.pair?.(name) ?? {});
    const at = published.get(name);
    peers[at?.peer ?? '']?.host.serve(host);
    return caller;
  };
  for (const [name, signer] of signers) {
    peers[name] = await createPeer(name, signer, {
      channels,
      openCall,
      payees: (payee) =>
        Object.values(peers).find((peer) => Buffer.from(peer.signer.publicKey).equals(payee)),
      find: (wanted) => {
        const found = published.get(wanted);
        if (!found) throw new SaharaError('agent-unknown', { agent: wanted });
        const own = found.peer === name;
        return { own, target: { peerId: wanted, card: (own ? found.own : found.agent).signedCard } };
      },
      open,
      clock: name === 'payer' ? { ...clock, nowMs: () => clock.nowMs() - (options.behindMs ?? 0) } : clock,
    });
  }
  for (const [i, [name, spec]] of Object.entries(options.agents).entries()) {
    const peer = peers[spec.operator] as TownPeer & { readonly ownHosting: Hosting };
    const skills = (spec.skills ?? ['answer']).map((skill) => ({
      name: skill,
      description: '',
      examples: [],
    }));
    const manifest = {
      ...MANIFEST_DEFAULTS,
      name,
      skills,
      vaults: ['docs'],
      price: { ...FREE, perCall: 100n, ...spec.price },
      free: { calls: spec.freeCalls ?? 0, windowSeconds: 3_600 },
    };
    const parts = {
      signer: createSigner(hash(0x40 + i)),
      asset: AGENT_ASSET,
      model: { name: 'test/1', digest: hash(0xe1), determinism: 'exact' },
      answerer: spec.answerer,
    } as const;
    const agent = await peer.hosting.publish({ ...parts, manifest });
    const own = await peer.ownHosting.publish({ ...parts, manifest: { ...manifest, price: FREE } });
    published.set(name, { peer: spec.operator, agent, own });
  }
  const agentOf = (name: string): PublishedAgent => published.get(name)?.agent as PublishedAgent;
  return {
    peers,
    agent: agentOf,
    ask(name, { budget, from = 'payer', signal, ...asked } = {}) {
      const peer = peers[from] as TownPeer;
      const own = published.get(name)?.peer === from;
      const card = (own ? published.get(name)?.own : published.get(name)?.agent) as PublishedAgent;
      return (own ? peer.own : peer.caller).ask(
        {
          question: 'How does it work?',
          priceMax: 200_000n,
          target: { peerId: name, card: card.signedCard },
          ...(budget && { budget: budgetOf(budget) }),
          ...(own && { payment: 'free' }),
          ...asked,
        },
        signal ? { signal } : {},
      );
    },
    evidence: ({ evidence }) => ({
      format: BUNDLE_FORMAT,
      genesis: new Uint8Array(0),
      ...evidence,
      settlement: undefined,
      keys: undefined,
    }),
  };
}

interface PeerParts {
  readonly channels: Channels;
  readonly openCall: (agent: string) => Promise<CallStream>;
  readonly payees: (payee: Uint8Array) => TownPeer | undefined;
  readonly find: (agent: string) => Awaited<ReturnType<ChildCallsParts['find']>>;
  readonly open: (payer: Uint8Array, payee: Uint8Array) => void;
  readonly clock: Clock;
}

async function createPeer(
  name: string,
  signer: Signer,
  parts: PeerParts,
): Promise<TownPeer & { readonly ownHosting: Hosting }> {
  const operator = tick(signer);
  const verifier = createVerifier(suite);
  const base = { suite, clock, dice: systemDice, network: NETWORK, operator };
  const hosting = createHosting(base);
  const ownHosting = createHosting(base);
  const store = createMemoryStore;
  const replay = await openReplayStore({ clock, store: store() });
  const payee = createPayeeBook({ ...base, verifier, store: store(), channels: parts.channels });
  const payer = await PayerBook.open({
    ...base,
    verifier,
    store: store(),
    channels: parts.channels,
    peer: {
      ask: async (key, body) => {
        const other = parts.payees(key);
        if (!other) throw new SaharaError('peer-unreachable');
        return answerPaymentQuery({ book: other.payee, verifier, clock, replay, network: NETWORK }, body);
      },
    },
  });
  const records = await openCallRecords({ clock, store: store() });
  const callerParts = { ...base, verifier, records };
  const callerOptions = { stopTimeoutMs: 2_000, resumeForMs: 0 };
  let ownHost: Host | undefined;
  const caller = createCaller(
    {
      ...callerParts,
      clock: parts.clock,
      payer,
      transport: { openCall: (peerId) => parts.openCall(peerId) },
    },
    callerOptions,
  );
  const own = createCaller(
    {
      ...callerParts,
      transport: {
        openCall: async () => {
          const { caller: near, host: far } = createStreamPair({ peerIds: { caller: name, host: name } });
          ownHost?.serve(far);
          return near;
        },
      },
    },
    callerOptions,
  );
  const made: CallResult[] = [];
  const below: ChildCallsParts = {
    clock,
    log: silentLog,
    caller,
    own,
    find: async (agent) => parts.find(agent),
    makeRoom: async (key) => parts.open(signer.publicKey, key),
    ended: async (result) => {
      made.push(result);
    },
  };
  const hostParts = { ...base, verifier, replay, payee, records, log: silentLog, below };
  const quota = await openQuotaBook({ clock, store: store() });
  const host = createHost({ ...hostParts, quota, agents: hosting });
  ownHost = createHost({ ...hostParts, quota, agents: ownHosting });
  return { signer, hosting, ownHosting, host, payee, payer, caller, own, made };
}

/** Says so many words, one delta each. */
export function saying(
  words: number,
  before: (word: number, signal: AbortSignal) => Promise<void> | void = () => {},
): Answerer {
  return {
    answer: (_job, { signal }) => ({
      parts: say(words, before, signal),
      shares: () => ({ rule: 'test/1', shares: [{ asset: AGENT_ASSET, role: 'agent', ppm: 1_000_000 }] }),
    }),
  };
}

async function* say(
  words: number,
  before: (word: number, signal: AbortSignal) => Promise<void> | void,
  signal: AbortSignal,
): AsyncGenerator<AnswerPart> {
  for (let word = 0; word < words; word++) {
    await before(word, signal);
    signal.throwIfAborted();
    yield { type: 'delta', text: `word${word} `, citations: [] };
  }
  yield { type: 'end', finish: 'done' };
}

/** Answers by what `ask` makes of the calls that it may make. */
export function asking(ask: (calls: CallsBelow, signal: AbortSignal) => AsyncIterable<AnswerPart>): Answerer {
  return {
    answer({ calls }, { signal }) {
      if (calls === undefined) throw new SaharaError('budget-exceeded', { what: 'budget' });
      return {
        parts: ask(calls, signal),
        shares: () => ({ rule: 'test/1', shares: [{ asset: AGENT_ASSET, role: 'agent', ppm: 1_000_000 }] }),
      };
    },
  };
}
