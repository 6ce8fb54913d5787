/** What is asked of a CometBFT node over its RPC: JSON over HTTP, of which only what is needed is read. */
import { asSaharaError, SaharaError } from '../../../base/errors.ts';

/** Sends one HTTP request; `fetch` does. */
export type HttpPost = (
  url: string,
  request: {
    readonly method: 'POST';
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
    readonly signal: AbortSignal;
  },
) => Promise<{ readonly ok: boolean; text(): Promise<string> }>;

/** What a node said of a transaction that it was handed. */
export type Broadcast =
  /** It waits in the node's mempool, or did already. */
  | { readonly kind: 'waiting' }
  /** The application refused it, by the code of a result. */
  | { readonly kind: 'refused'; readonly code: number };

/** Where a node stands. */
export interface CometStatus {
  /** Id of the node in its own network. */
  readonly nodeId: string;
  readonly network: string;
  readonly height: number;
  readonly catchingUp: boolean;
}

/** A node's RPC. Everything rejects with `peer-unreachable` when the node does not answer as it should. */
export interface CometRpc {
  broadcast(transaction: Uint8Array, options: { readonly signal: AbortSignal }): Promise<Broadcast>;
  /** The same for several in one request, which the node takes in this order; an error stands in the place of each that it is about. */
  broadcastAll(
    transactions: readonly Uint8Array[],
    options: { readonly signal: AbortSignal },
  ): Promise<readonly (Broadcast | SaharaError)[]>;
  /** Asks the application of the node: the answer's bytes. */
  query(path: string, data: Uint8Array, options: { readonly signal: AbortSignal }): Promise<Uint8Array>;
  status(options: { readonly signal: AbortSignal }): Promise<CometStatus>;
  /** The result of any method, as it came. */
  call(method: string, params: object, options: { readonly signal: AbortSignal }): Promise<unknown>;
}

/** Most bytes of an answer. */
const ANSWER_BYTES_MAX = 33_554_432;
const SILENT = 'it did not say what became of a transaction';
const ALREADY_THERE = /tx already exists in cache/;

/** The RPC at `url`, such as `http://127.0.0.1:26657`. */
export function createCometRpc(post: HttpPost, url: string): CometRpc {
  const send = async (message: object, signal: AbortSignal): Promise<unknown> => {
    const body = JSON.stringify(message);
    const headers = { 'content-type': 'application/json' };
    const text = await post(url, { method: 'POST', headers, body, signal })
      .then((response) => response.text())
      .catch((error: unknown) => {
        if (signal.aborted) throw new SaharaError('cancelled');
        throw unreachable(url, asSaharaError(error).message, error);
      });
    if (text.length > ANSWER_BYTES_MAX) throw unreachable(url, 'its answer is too large');
    return parsed(url, text);
  };
  const call: CometRpc['call'] = async (method, params, { signal }) => {
    const result = resultIn(url, await send({ jsonrpc: '2.0', id: 1, method, params }, signal));
    if (result instanceof SaharaError) throw result;
    return result;
  };
  const broadcastAll: CometRpc['broadcastAll'] = async (transactions, { signal }) => {
    const requests = transactions.map((bytes, id) => {
      const tx = Buffer.from(bytes).toString('base64');
      return { jsonrpc: '2.0', id, method: 'broadcast_tx_sync', params: { tx } };
    });
    const answer = await send(requests, signal);
    // One answer alone stands for itself.
    const all = new Map((Array.isArray(answer) ? answer : [answer]).map((one) => [fieldsOf(one).id, one]));
    return transactions.map((_, id) => outcomeOf(url, all.get(id)));
  };
  return {
    call,
    broadcastAll,
    async broadcast(transaction, options) {
      const [outcome] = await broadcastAll([transaction], options);
      if (outcome === undefined || outcome instanceof SaharaError) throw outcome ?? unreachable(url, SILENT);
      return outcome;
    },
    async query(path, data, options) {
      const params = { path, data: Buffer.from(data).toString('hex') };
      const { response } = fieldsOf(await call('abci_query', params, options));
      const { code, log, value } = fieldsOf(response);
      if (code !== undefined && code !== 0) throw unreachable(url, String(log));
      if (typeof value !== 'string') throw unreachable(url, 'its answer is empty');
      return new Uint8Array(Buffer.from(value, 'base64'));
    },
    async status(options) {
      const result = fieldsOf(await call('status', {}, options));
      const node = fieldsOf(result.node_info);
      const sync = fieldsOf(result.sync_info);
      return {
        nodeId: String(node.id),
        network: String(node.network),
        height: Number(sync.latest_block_height),
        catchingUp: sync.catching_up === true,
      };
    },
  };
}

/** What an answer brings, or why it is none. */
function resultIn(url: string, answer: unknown): unknown {
  const { error, result } = fieldsOf(answer);
  if (error === undefined) return result;
  const { message, data } = fieldsOf(error);
  return unreachable(url, `${String(message)} ${String(data ?? '')}`.trim());
}

function outcomeOf(url: string, answer: unknown): Broadcast | SaharaError {
  const result = resultIn(url, answer);
  if (result instanceof SaharaError)
    return ALREADY_THERE.test(String(result.facts.reason)) ? { kind: 'waiting' } : result;
  const { code } = fieldsOf(result);
  if (typeof code !== 'number') return unreachable(url, SILENT);
  return code === 0 ? { kind: 'waiting' } : { kind: 'refused', code };
}

function parsed(url: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreachable(url, 'its answer is no JSON', error);
  }
}

/** The fields of a JSON object; none for anything else. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  // Whatever has string keys can be looked at as such a record.
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function unreachable(url: string, reason: string, cause?: unknown): SaharaError {
  return new SaharaError('peer-unreachable', { reason: `CometBFT at ${url}: ${reason}` }, { cause });
}
