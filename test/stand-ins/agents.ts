/**
 * A server of agents for tests, over real HTTP: deterministic answers as NDJSON, idempotent by call id, with
 * receipts whose shares sum. Words in the question steer it: `words=40` how many words, `delay=5` milliseconds between
 * events, `break=3` cuts the first connection after three events, `error=overloaded` (with `outcome=unknown` or
 * `charged`; one that is `begun` answers all the same, and says so once it is released), `finish=failed`, `as=markdown`; `held` waits after its sources until it is released, `silent` says
 * nothing, `greedy` charges for that, `unreceipted` leaves no receipt.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fromHex, toHex, utf8 } from '../../src/base/bytes.ts';
import { isErrorCode, SaharaError } from '../../src/base/errors.ts';
import type { AgentListing, AgentsPort, AnswerEvent, AskRequest } from '../../src/bridges/core/ports.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { chargeOf, type Finish, type Receipt, receipt as receiptSchema } from '../../src/protocol/payment.ts';
import { jsonIn, jsonOut } from './json.ts';

/** One call as the server knows it. */
export interface ServedCall {
  readonly request: Omit<AskRequest, 'callId'> & { readonly callId: string };
  readonly events: readonly AnswerEvent[];
  /** Grains; absent while it runs. */
  readonly charged: bigint | undefined;
  /** How often it was joined. */
  readonly joins: number;
}

/** The server and what a test sees of it. */
export interface AgentService {
  readonly url: string;
  readonly calls: ReadonlyMap<string, ServedCall>;
  /** Agents that are online. */
  readonly online: Set<string>;
  /** Lets those go on that are held, now and later. */
  release(): void;
  charged(): bigint;
  /** Calls that were joined with another request than they began with. */
  conflicts(): number;
  close(): Promise<void>;
}

/** What an answer of the `paid` agent costs: this and ten grains for each word. */
export const PAID_PER_CALL = 1000n;
const PAID_PER_WORD = 10n;
/** Most that an answer of the `paid` agent can cost, grains. */
export const PAID_MAX = 1_000_000n;

const LISTED: readonly AgentListing[] = [
  listing(1, 'guide', 'Knows the documents of this project', 0n, 0n),
  listing(2, 'paid', 'Knows the same for money', PAID_PER_CALL, PAID_MAX),
];

function listing(
  seed: number,
  name: string,
  description: string,
  perCall: bigint,
  amountMax: bigint,
): AgentListing {
  return { did: didOf(new Uint8Array(32).fill(seed)), name, description, perCall, amountMax };
}

interface Running {
  request: ServedCall['request'];
  events: AnswerEvent[];
  charged: bigint | undefined;
  joins: number;
  cancelled: boolean;
  broken: boolean;
  wake: PromiseWithResolvers<void>;
}

/** Starts the server on loopback. */
export async function startAgentService(): Promise<AgentService> {
  const calls = new Map<string, Running>();
  const cancelledEarly = new Set<string>();
  let conflicts = 0;
  let isReleased = false;
  const released = Promise.withResolvers<void>();
  const online = new Set(LISTED.map((agent) => agent.name));

  async function produce(call: Running): Promise<void> {
    const delayMs = setting(call.request.question, 'delay', 0);
    const push = async (event: AnswerEvent): Promise<void> => {
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      call.events.push(event);
      const { resolve } = call.wake;
      call.wake = Promise.withResolvers<void>();
      resolve();
    };
    const finish = /finish=failed/.test(call.request.question) ? 'failed' : 'done';
    const events = answerTo(call.request.question);
    for (const event of events) {
      if (call.cancelled) break;
      await push(event);
      if (event.type === 'source' && /\bheld\b/.test(call.request.question)) await released.promise;
    }
    call.charged = amountOf(call);
    await push({
      type: 'ending',
      ending: { finish: call.cancelled ? 'cancelled' : finish, amount: call.charged },
    });
  }

  function begin(request: ServedCall['request']): Running {
    const call: Running = {
      request,
      events: [],
      charged: undefined,
      joins: 0,
      cancelled: cancelledEarly.has(request.callId),
      broken: false,
      wake: Promise.withResolvers<void>(),
    };
    calls.set(request.callId, call);
    void produce(call);
    return call;
  }

  async function ask(request: ServedCall['request'], response: ServerResponse): Promise<void> {
    const error = /error=([a-z-]+)/.exec(request.question)?.[1];
    const outcome = /outcome=(\w+)/.exec(request.question)?.[1] ?? '';
    if (/\bbegun\b/.test(request.question) && !calls.has(request.callId)) begin(request);
    if (error && !(isReleased && calls.has(request.callId)))
      return void response.writeHead(409).end(`${error} ${outcome}`);
    const call = calls.get(request.callId) ?? begin(request);
    if (JSON.stringify(call.request, jsonOut) !== JSON.stringify(request, jsonOut)) {
      conflicts += 1;
      return void response.writeHead(409).end('call-conflict');
    }
    call.joins += 1;
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    const breakAfter = setting(request.question, 'break', Number.POSITIVE_INFINITY);
    for (let i = 0; ; i++) {
      while (i >= call.events.length) await call.wake.promise;
      const event = call.events[i];
      if (i === breakAfter && !call.broken) {
        call.broken = true;
        return void response.destroy();
      }
      if (event) response.write(`${JSON.stringify(event, jsonOut)}\n`);
      if (event?.type === 'ending') return void response.end();
    }
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, path, id = ''] = (request.url ?? '').split('/');
    if (path === 'agents') {
      const listed = LISTED.filter((agent) => online.has(agent.name));
      return void response.end(JSON.stringify(listed, jsonOut));
    }
    if (path === 'ask') return ask(JSON.parse(await bodyOf(request), jsonIn), response);
    const call = calls.get(id);
    if (path === 'cancel') {
      if (call) call.cancelled = true;
      else cancelledEarly.add(id);
      return void response.end();
    }
    if (call?.charged === undefined) return void response.writeHead(404).end();
    if (path === 'receipt' && /unreceipted/.test(call.request.question))
      return void response.writeHead(404).end();
    if (path === 'receipt') return void response.end(receiptSchema.encode(receiptOf(call)));
    if (path === 'verify') return void response.end(JSON.stringify({ valid: true, checks: 7 }));
    response.writeHead(404).end();
  }

  const server: Server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    online,
    release() {
      isReleased = true;
      released.resolve();
    },
    charged: () => [...calls.values()].reduce((sum, call) => sum + (call.charged ?? 0n), 0n),
    conflicts: () => conflicts,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The port to such a server, as a bridge uses it. */
export function agentsOver(url: string): AgentsPort {
  const get = async (path: string): Promise<Response> => {
    try {
      return await fetch(`${url}/${path}`);
    } catch {
      throw new SaharaError('daemon-not-running');
    }
  };
  return {
    list: async () => JSON.parse(await (await get('agents')).text(), jsonIn),
    async *ask(request, options = {}) {
      const body = JSON.stringify({ ...request, callId: toHex(request.callId) }, jsonOut);
      try {
        const response = await fetch(`${url}/ask`, { method: 'POST', body, ...options });
        if (!response.ok) throw refusalOf(await response.text());
        for await (const line of linesOf(response)) yield JSON.parse(line, jsonIn);
      } catch (error) {
        if (error instanceof SaharaError) throw error;
        throw new SaharaError('peer-gone', {}, { cause: error });
      }
    },
    async cancel(callId) {
      await get(`cancel/${toHex(callId)}`);
    },
    async receipt(callId) {
      const response = await get(`receipt/${toHex(callId)}`);
      return response.ok ? receiptSchema.decode(new Uint8Array(await response.arrayBuffer())) : undefined;
    },
    async verify(callId) {
      const response = await get(`verify/${toHex(callId)}`);
      if (!response.ok) throw new SaharaError('receipt-unknown');
      return JSON.parse(await response.text());
    },
  };
}

/** Grains that an agent took of which `outcome=charged` says so. */
export const TOOK_ANYWAY = 77n;

function refusalOf(told: string): SaharaError {
  const [code = '', outcome = ''] = told.split(' ');
  const facts = outcome === '' ? {} : { outcome, amount: String(TOOK_ANYWAY) };
  return new SaharaError(isErrorCode(code) ? code : 'internal', facts);
}

async function* linesOf(response: Response): AsyncIterable<string> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const part of response.body ?? []) {
    const lines = (rest + decoder.decode(part, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

/** The deterministic answer to a question: its words numbered, so that a lost or repeated one shows. */
function answerTo(question: string): readonly AnswerEvent[] {
  const words = setting(question, 'words', 12);
  const opening = `Answer to ${topicOf(question)}: `;
  const text = /as=markdown/.test(question)
    ? '# Title\n\nSome **bold** and `code`.\n\n```ts\nconst x = 1;\n```\n\n- one\n- two <@1> @everyone\n'
    : Array.from({ length: words }, (_, i) => `w${i + 1}`).join(' ');
  const parts = [opening, ...(text.match(/[\s\S]{1,60}/g) ?? [])];
  const events: AnswerEvent[] = parts.map((part) => ({ type: 'text', text: part }));
  const source: AnswerEvent = {
    type: 'source',
    source: {
      chunk: new Uint8Array(32),
      document: 'handbook.md',
      title: 'Chapter one',
      text: 'The passage behind it.',
      contributor: new Uint8Array(32),
      asset: new Uint8Array(32),
      licence: 'CC-BY-4.0',
    },
  };
  if (/silent/.test(question)) return [source];
  const citation = { start: 0, end: utf8(opening).length - 2, source: 0, sourceStart: 0, sourceEnd: 11 };
  return [source, ...events, { type: 'citation', citation }];
}

function topicOf(question: string): string {
  return /topic=([\w-]+)/.exec(question)?.[1] ?? 'that';
}

function setting(question: string, name: string, otherwise: number): number {
  const found = new RegExp(`${name}=(\\d+)`).exec(question)?.[1];
  return found === undefined ? otherwise : Number(found);
}

function wordsOf(call: Running): number {
  const text = call.events.map((event) => (event.type === 'text' ? event.text : '')).join('');
  return text.match(/\bw\d+/g)?.length ?? 0;
}

/** What was delivered is paid for; where nothing was, nothing is, unless the question says `greedy`. */
function amountOf(call: Running): bigint {
  const isOwed = call.events.some(({ type }) => type === 'text') || /greedy/.test(call.request.question);
  return isOwed && call.request.agent === LISTED[1]?.did
    ? PAID_PER_CALL + PAID_PER_WORD * BigInt(wordsOf(call))
    : 0n;
}

function receiptOf(call: Running): Receipt {
  const isPaid = call.request.agent === LISTED[1]?.did;
  const price = isPaid
    ? { perCall: PAID_PER_CALL, perInputUnit: 0n, perOutputUnit: PAID_PER_WORD }
    : { perCall: 0n, perInputUnit: 0n, perOutputUnit: 0n };
  const amount = chargeOf(price, 1, wordsOf(call));
  const half = amount / 2n;
  const zero = new Uint8Array(32);
  const ended = /finish=failed/.test(call.request.question) ? 'failed' : 'done';
  const finish: Finish = call.cancelled ? 'cancelled' : ended;
  return {
    version: 1,
    network: 'test',
    callId: fromHex(call.request.callId) ?? new Uint8Array(16),
    agent: zero,
    payee: zero,
    payer: zero,
    channel: undefined,
    lane: 0,
    sequence: 0,
    requestHash: zero,
    responseHash: zero,
    deliveries: call.events.length,
    cardHash: zero,
    manifestHash: zero,
    modelDigest: zero,
    skill: undefined,
    seed: undefined,
    finish,
    inputUnits: 1,
    outputUnits: wordsOf(call),
    price,
    expenses: 0n,
    amount,
    shares: [
      { asset: new Uint8Array(32).fill(1), role: 'knowledge', ppm: 500_000, amount: half },
      { asset: new Uint8Array(32).fill(2), role: 'agent', ppm: 500_000, amount: amount - half },
    ],
    attributionRule: 'test/1',
    startedAtMs: 1,
    finishedAtMs: 2,
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}
