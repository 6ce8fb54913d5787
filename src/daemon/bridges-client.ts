/** The ports of a bridge over a daemon elsewhere, by `bridges-remote.ts` there. */
import { toHex } from '../base/bytes.ts';
import { isErrorCode, SaharaError } from '../base/errors.ts';
import { linkGrant } from '../bridges/core/grant.ts';
import type { AgentsPort, LearnPort, MoneyPort } from '../bridges/core/ports.ts';
import { receipt as receiptSchema } from '../protocol/payment.ts';
import {
  askToWire,
  BRIDGE_API,
  type BridgeApiInput,
  type BridgeApiName,
  type BridgeApiOutputs,
  eventFromWire,
  fromBase64,
  toBase64,
} from './bridges-wire.ts';

/** Longest wait for an answer that is no stream, milliseconds: a payment waits for its block. */
const ANSWER_TIMEOUT_MS = 60_000;
/** Longest line of an answer, UTF-16 units: a whole answer that is told again comes as one. */
const LINE_CHARACTERS_MAX = 8_388_608;

/** The ports of the daemon at `url`, which asks for `token`. Failures to reach it are `daemon-not-running`. */
export function createRemotePorts(
  url: string,
  token: string,
): { readonly agents: AgentsPort; readonly money: MoneyPort; readonly learn: LearnPort } {
  async function post(
    name: BridgeApiName,
    input: unknown,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    try {
      return await fetch(new URL(`${BRIDGE_API}${name}`, url), {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(input),
        redirect: 'error',
        ...(signal && { signal }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw new SaharaError('daemon-not-running', { socket: url }, { cause: error });
    }
  }

  async function call<K extends Exclude<BridgeApiName, 'ask'>>(
    name: K,
    input: BridgeApiInput<K>,
    signal?: AbortSignal,
  ): Promise<BridgeApiOutputs[K]> {
    const limit = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
    const response = await post(name, input, signal ? AbortSignal.any([signal, limit]) : limit);
    // The daemon answers by the same table; a failure has its own shape.
    return sound(await response.json().catch(() => undefined), response) as BridgeApiOutputs[K];
  }

  return {
    agents: {
      list: async (options = {}) =>
        (await call('list', {}, options.signal)).map(({ perCall, amountMax, ...agent }) => ({
          ...agent,
          perCall: BigInt(perCall),
          amountMax: BigInt(amountMax),
        })),
      async *ask(request, { signal } = {}) {
        const response = await post('ask', askToWire(request), signal);
        try {
          for await (const line of linesOf(response)) {
            yield eventFromWire(sound(JSON.parse(line), response) as BridgeApiOutputs['ask']);
          }
        } catch (error) {
          signal?.throwIfAborted();
          if (error instanceof SaharaError) throw error;
          throw new SaharaError(
            'daemon-not-running',
            { socket: url, reason: 'it went away' },
            { cause: error },
          );
        }
      },
      async cancel(callId) {
        await call('cancel', { callId: toHex(callId) });
      },
      async receipt(callId, options = {}) {
        const { receipt } = await call('receipt', { callId: toHex(callId) }, options.signal);
        return receipt === undefined ? undefined : receiptSchema.decode(fromBase64(receipt));
      },
      verify: (callId, options = {}) => call('verify', { callId: toHex(callId) }, options.signal),
    },
    money: {
      async whoami() {
        const { fee, ...who } = await call('whoami', {});
        return { ...who, fee: BigInt(fee) };
      },
      async deposits(height, options = {}) {
        const found = await call('deposits', height === undefined ? {} : { height }, options.signal);
        const deposits = found.deposits.map((deposit) => ({ ...deposit, amount: BigInt(deposit.amount) }));
        return { deposits, height: found.height };
      },
      async claim(deposit, book) {
        return (await call('claim', { deposit, book })).ours === true;
      },
      async pay({ reference, amount, ...order }) {
        const { block } = await call('pay', {
          ...order,
          reference: toHex(reference),
          amount: String(amount),
        });
        if (Number.isSafeInteger(block)) return block;
        throw new SaharaError('daemon-not-running', { socket: url, reason: 'it did not say what was paid' });
      },
      async grant(text) {
        return linkGrant.decode(fromBase64((await call('grant', { text })).grant));
      },
    },
    learn: {
      open: async () => (await call('learns', {})).agent,
      async learn({ reference, bytes, ...order }) {
        const outcome = await call('learn', {
          ...order,
          reference: toHex(reference),
          bytes: toBase64(bytes),
        });
        if (outcome.type === 'kept' || outcome.type === 'refused') return outcome;
        throw new SaharaError('daemon-not-running', { socket: url, reason: 'it did not say what it kept' });
      },
      list: async (owners) => (await call('learned', { owners })).documents,
      forget: async (owners, id) => (await call('unlearn', { owners, id })).isGone,
    },
  };
}

/**
 * The answer, unless it is a failure, which is thrown. What stands between, such as a proxy whose daemon is away, says
 * things of its own: none of them is an answer, least of all that something was paid.
 */
function sound(answer: unknown, { ok, status, url }: Response): unknown {
  const failure = typeof answer === 'object' && answer !== null && 'error' in answer && answer.error;
  if (typeof failure !== 'object' || failure === null || !('code' in failure)) {
    if (ok && typeof answer === 'object' && answer !== null) return answer;
    throw new SaharaError('daemon-not-running', { socket: url, reason: `what answered said ${status}` });
  }
  const facts = 'facts' in failure && typeof failure.facts === 'object' ? failure.facts : {};
  const code = String(failure.code);
  // Facts were facts when they left the daemon; JSON keeps their types.
  throw new SaharaError(isErrorCode(code) ? code : 'internal', { ...(facts as SaharaError['facts']) });
}

async function* linesOf(response: Response): AsyncGenerator<string> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const part of response.body ?? []) {
    const all = (rest + decoder.decode(part, { stream: true })).split('\n');
    rest = all.pop() ?? '';
    for (const line of all) if (line !== '') yield line;
    if (rest.length > LINE_CHARACTERS_MAX) throw new SaharaError('too-large', { max: LINE_CHARACTERS_MAX });
  }
  if (rest !== '') yield rest;
}
