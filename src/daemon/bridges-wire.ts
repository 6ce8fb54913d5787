/** What a bridge that runs alone and the daemon behind it say to each other: `POST /bridge/v1/<name>` with JSON. */
import { z } from 'zod';
import type {
  AnswerEvent,
  AskRequest,
  Deposit,
  LearnedDocument,
  LearningAgent,
  LearnOrder,
  LearnOutcome,
  ProofVerdict,
} from '../bridges/core/ports.ts';
import { LEARN_BYTES_MAX, MEMBERS_MAX } from '../bridges/limits.ts';
import { source as sourceSchema, type Turn } from '../protocol/call.ts';
import type { Finish } from '../protocol/payment.ts';

/** In front of every name. */
export const BRIDGE_API = '/bridge/v1/';

const callId = z.string().regex(/^[0-9a-f]{32}$/);
const grains = z.string().regex(/^\d{1,19}$/);
const text = (max: number): z.ZodString => z.string().max(max);

/** Every user of an account, and its DID. */
const owners = z.array(text(128)).max(MEMBERS_MAX + 2);
const LEARN_BASE64_MAX = 4 * Math.ceil(LEARN_BYTES_MAX / 3);

/** What is taken, by name. Ids are hexadecimal, amounts in grains. */
interface Inputs {
  readonly list: Readonly<Record<string, never>>;
  readonly ask: {
    readonly callId: string;
    readonly agent: string;
    readonly question: string;
    readonly context: readonly Turn[];
    readonly priceMax: string;
  };
  readonly cancel: { readonly callId: string };
  readonly receipt: { readonly callId: string };
  readonly verify: { readonly callId: string };
  readonly whoami: Readonly<Record<string, never>>;
  readonly deposits: { readonly height?: number | undefined };
  readonly claim: { readonly deposit: string; readonly book: string };
  readonly pay: {
    readonly reference: string;
    readonly to: string;
    readonly amount: string;
    readonly memo: string;
  };
  readonly grant: { readonly text: string };
  readonly learns: Readonly<Record<string, never>>;
  readonly learn: Omit<LearnOrder, 'reference' | 'bytes'> & {
    readonly reference: string;
    readonly bytes: string;
  };
  readonly learned: { readonly owners: readonly string[] };
  readonly unlearn: { readonly owners: readonly string[]; readonly id: string };
}

/** The names. */
export type BridgeApiName = keyof Inputs;

/** What is taken under a name. */
export type BridgeApiInput<K extends BridgeApiName> = Inputs[K];

/** The schemas of what is taken. */
export const BRIDGE_API_INPUTS: { readonly [K in BridgeApiName]: z.ZodType<Inputs[K]> } = {
  list: z.strictObject({}),
  ask: z.strictObject({
    callId,
    agent: text(128),
    question: text(262_144),
    context: z.array(z.strictObject({ role: z.enum(['user', 'agent']), text: text(262_144) })).max(64),
    priceMax: grains,
  }),
  cancel: z.strictObject({ callId }),
  receipt: z.strictObject({ callId }),
  verify: z.strictObject({ callId }),
  whoami: z.strictObject({}),
  deposits: z.strictObject({ height: z.int().min(0).optional() }),
  claim: z.strictObject({ deposit: z.string().regex(/^[0-9a-f]{64}$/), book: callId }),
  pay: z.strictObject({ reference: callId, to: text(128), amount: grains, memo: text(128) }),
  grant: z.strictObject({ text: text(4096) }),
  learns: z.strictObject({}),
  learn: z.strictObject({
    reference: callId,
    giver: text(128),
    contributor: text(128),
    agent: text(64),
    name: text(512),
    bytes: z.base64().max(LEARN_BASE64_MAX),
    consent: text(512).min(1),
  }),
  learned: z.strictObject({ owners }),
  unlearn: z.strictObject({ owners, id: callId }),
};

/** What is answered under a name; bytes in base64, amounts in grains. `ask` answers one event a line. */
export interface BridgeApiOutputs {
  readonly list: readonly {
    readonly did: string;
    readonly name: string;
    readonly description: string;
    readonly perCall: string;
    readonly amountMax: string;
  }[];
  readonly ask: WireEvent;
  readonly cancel: Readonly<Record<string, never>>;
  readonly receipt: { readonly receipt?: string };
  readonly verify: ProofVerdict;
  readonly whoami: { readonly did: string; readonly network: string; readonly fee: string };
  readonly deposits: {
    readonly deposits: readonly (Omit<Deposit, 'amount'> & { readonly amount: string })[];
    readonly height: number;
  };
  readonly claim: { readonly ours: boolean };
  readonly pay: { readonly block: number };
  readonly grant: { readonly grant: string };
  readonly learns: { readonly agent?: LearningAgent };
  readonly learn: LearnOutcome;
  readonly learned: { readonly documents: readonly LearnedDocument[] };
  readonly unlearn: { readonly isGone: boolean };
}

/** An event of an answer as JSON. */
export type WireEvent =
  | Exclude<AnswerEvent, { readonly type: 'source' | 'ending' }>
  | { readonly type: 'source'; readonly source: string }
  | { readonly type: 'ending'; readonly finish: Finish; readonly amount: string };

/** An event as it is sent. */
export function eventToWire(event: AnswerEvent): WireEvent {
  if (event.type === 'source') return { type: 'source', source: toBase64(sourceSchema.encode(event.source)) };
  if (event.type !== 'ending') return event;
  return { type: 'ending', finish: event.ending.finish, amount: String(event.ending.amount) };
}

/** The event that was sent. Throws `malformed`. */
export function eventFromWire(event: WireEvent): AnswerEvent {
  if (event.type === 'source')
    return { type: 'source', source: sourceSchema.decode(fromBase64(event.source)) };
  if (event.type !== 'ending') return event;
  return { type: 'ending', ending: { finish: event.finish, amount: BigInt(event.amount) } };
}

/** A question as it is sent. */
export function askToWire({
  callId: id,
  agent,
  question,
  context,
  priceMax,
}: AskRequest): BridgeApiInput<'ask'> {
  return { callId: Buffer.from(id).toString('hex'), agent, question, context, priceMax: String(priceMax) };
}

/** Bytes as text. */
export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** The bytes of a text. */
export function fromBase64(encoded: string): Uint8Array {
  return new Uint8Array(Buffer.from(encoded, 'base64'));
}
