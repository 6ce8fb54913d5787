/**
 * Lets bridges on other machines use this daemon: its agents, receipts and wallet, and nothing else of it. Who calls shows a
 * bearer token. It speaks plain HTTP: beyond this machine it belongs behind TLS.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { Readable } from 'node:stream';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { fromHex } from '../base/bytes.ts';
import { asSaharaError, invariant, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { linkGrant } from '../bridges/core/grant.ts';
import type { AgentsPort, AnswerEvent, LearnPort, MoneyPort } from '../bridges/core/ports.ts';
import type { Id } from '../protocol/ids.ts';
import { receipt as receiptSchema } from '../protocol/payment.ts';
import {
  BRIDGE_API,
  BRIDGE_API_INPUTS,
  type BridgeApiInput,
  type BridgeApiName,
  type BridgeApiOutputs,
  eventToWire,
  fromBase64,
  toBase64,
} from './bridges-wire.ts';

/** What is served. */
export interface BridgeServerParts {
  readonly agents: AgentsPort;
  readonly money: MoneyPort;
  /** Absent: no documents are taken. */
  readonly learn?: LearnPort | undefined;
  readonly log: Log;
}

const BODY_BYTES_MAX = 4_194_304;
/** Shortest bearer token. */
export const BEARER_LENGTH_MIN = 24;

type Handlers = {
  readonly [K in Exclude<BridgeApiName, 'ask'>]: (input: BridgeApiInput<K>) => Promise<BridgeApiOutputs[K]>;
};

/** Serves `parts` at `host:port` to whoever shows `token`. Throws `port-busy`, `token-missing`. */
export async function serveBridges(
  parts: BridgeServerParts,
  { listen, token }: { readonly listen: string; readonly token: string | undefined },
): Promise<{ readonly address: string; stop(): Promise<void> }> {
  if (token === undefined || token.length < BEARER_LENGTH_MIN) {
    throw new SaharaError('token-missing', { platform: 'remote bridges', variable: 'SAHARA_BRIDGE_TOKEN' });
  }
  const server = fastify({ bodyLimit: BODY_BYTES_MAX, forceCloseConnections: true });
  const fail = (reply: FastifyReply, error: unknown): FastifyReply => {
    const { code, facts, kind } = asSaharaError(error);
    return reply
      .status(kind === 'internal' ? 500 : code === 'token-refused' ? 401 : 400)
      .send({ error: { code, facts } });
  };
  server.setErrorHandler((error, _request, reply) => fail(reply, error));
  server.addHook('onRequest', async (request) => demandBearer(request, token));
  const handlers = handlersOf(parts);
  for (const name of Object.keys(handlers) as (keyof Handlers)[]) {
    server.post(`${BRIDGE_API}${name}`, async (request) => {
      // The schema of this very name checks the input, which the table's type ties to its handler.
      const handler = handlers[name] as (input: unknown) => Promise<object>;
      return await handler(checked(name, request.body));
    });
  }
  server.post(`${BRIDGE_API}ask`, async (request, reply) => {
    const { callId, priceMax, ...question } = checked('ask', request.body);
    const gone = new AbortController();
    // Who leaves does not end the call: it is joined again.
    reply.raw.on('close', () => gone.abort(new SaharaError('cancelled')));
    const asked = {
      ...question,
      callId: idOf(callId),
      priceMax: BigInt(priceMax),
      training: 'excluded',
    } as const;
    reply.header('content-type', 'application/x-ndjson');
    return Readable.from(lines(parts.agents.ask(asked, { signal: gone.signal })));
  });
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(listen) ?? [];
  try {
    const address = await server.listen({ host: host.replace(/^\[|\]$/g, ''), port: Number(port) });
    parts.log.info('bridges elsewhere are served', { address });
    return { address, stop: () => server.close() };
  } catch (error) {
    throw new SaharaError('port-busy', { port: Number(port), address: listen }, { cause: error });
  }
}

function handlersOf({ agents, money, learn }: BridgeServerParts): Handlers {
  return {
    list: async () =>
      (await agents.list()).map(({ perCall, amountMax, ...agent }) => ({
        ...agent,
        perCall: String(perCall),
        amountMax: String(amountMax),
      })),
    async cancel({ callId }) {
      await agents.cancel(idOf(callId));
      return {};
    },
    async receipt({ callId }) {
      const receipt = await agents.receipt(idOf(callId));
      return receipt === undefined ? {} : { receipt: toBase64(receiptSchema.encode(receipt)) };
    },
    verify: ({ callId }) => agents.verify(idOf(callId)),
    async whoami() {
      const { fee, ...who } = await money.whoami();
      return { ...who, fee: String(fee) };
    },
    async deposits({ height }) {
      const found = await money.deposits(height);
      return {
        height: found.height,
        deposits: found.deposits.map((deposit) => ({ ...deposit, amount: String(deposit.amount) })),
      };
    },
    claim: async ({ deposit, book }) => ({ ours: await money.claim(deposit, book) }),
    pay: async ({ reference, amount, ...order }) => ({
      block: await money.pay({ ...order, reference: idOf(reference), amount: BigInt(amount) }),
    }),
    async learns() {
      const agent = await learn?.open();
      return agent === undefined ? {} : { agent };
    },
    learn: async ({ reference, bytes, ...order }) =>
      (await learn?.learn({ ...order, reference: idOf(reference), bytes: fromBase64(bytes) })) ?? NOT_LEARNED,
    learned: async ({ owners }) => ({ documents: (await learn?.list(owners)) ?? [] }),
    unlearn: async ({ owners, id }) => ({ isGone: (await learn?.forget(owners, id)) ?? false }),
    grant: async ({ text }) => ({ grant: toBase64(linkGrant.encode(await money.grant(text))) }),
  };
}

const NOT_LEARNED = { type: 'refused', why: 'off' } as const;

function checked<K extends BridgeApiName>(name: K, body: unknown): BridgeApiInput<K> {
  const input = BRIDGE_API_INPUTS[name].safeParse(body ?? {});
  if (!input.success) throw new SaharaError('malformed', { reason: input.error.issues[0]?.message ?? name });
  // The schema under this name gave it.
  return input.data as BridgeApiInput<K>;
}

/** Equal digests are compared, so that time tells nothing about the token. */
function demandBearer(request: FastifyRequest, token: string): void {
  const shown = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
  if (!timingSafeEqual(digestOf(shown), digestOf(token))) {
    throw new SaharaError('token-refused', { platform: 'the daemon' });
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function idOf(hex: string): Id {
  const id = fromHex(hex);
  invariant(id, 'the table lets only hexadecimal digits through');
  return id;
}

async function* lines(events: AsyncIterable<AnswerEvent>): AsyncGenerator<string> {
  try {
    for await (const event of events) yield `${JSON.stringify(eventToWire(event))}\n`;
  } catch (error) {
    const { code, facts } = asSaharaError(error);
    yield `${JSON.stringify({ error: { code, facts } })}\n`;
  }
}
