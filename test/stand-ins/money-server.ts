/** A wallet for bridges in processes of their own, over real HTTP; it outlives them. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { asSaharaError, isErrorCode, SaharaError } from '../../src/base/errors.ts';
import type { MoneyPort } from '../../src/bridges/core/ports.ts';
import { jsonIn, jsonOut } from './json.ts';

/** Serves `money` on loopback. */
export async function startMoneyServer(
  money: MoneyPort,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    try {
      const body = JSON.parse(Buffer.concat(parts).toString(), jsonIn);
      response.end(JSON.stringify({ result: await run(money, request.url?.slice(1) ?? '', body) }, jsonOut));
    } catch (error) {
      response.writeHead(409).end(JSON.stringify({ code: asSaharaError(error).code }));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function run(money: MoneyPort, name: string, body: never[]): Promise<unknown> {
  const [first, second] = body;
  switch (name) {
    case 'whoami':
      return money.whoami();
    case 'deposits':
      return money.deposits(first ?? undefined);
    case 'claim':
      return money.claim(first ?? '', second ?? '');
    case 'pay':
      return first === undefined ? undefined : money.pay(first);
    case 'grant':
      return money.grant(first ?? '');
    default:
      throw new SaharaError('usage');
  }
}

/** The port to such a server. */
export function moneyOver(url: string): MoneyPort {
  const call = async (name: string, ...body: unknown[]): Promise<never> => {
    let answer: { readonly result?: never; readonly code?: string };
    try {
      const response = await fetch(`${url}/${name}`, { method: 'POST', body: JSON.stringify(body, jsonOut) });
      answer = JSON.parse(await response.text(), jsonIn);
    } catch {
      throw new SaharaError('daemon-not-running');
    }
    const { code = '' } = answer;
    if (code !== '') throw new SaharaError(isErrorCode(code) ? code : 'internal');
    // The server answers by the same table of names.
    return answer.result as never;
  };
  return {
    whoami: () => call('whoami'),
    deposits: (height) => call('deposits', height),
    claim: (deposit, book) => call('claim', deposit, book),
    pay: (order) => call('pay', order),
    grant: (text) => call('grant', text),
  };
}
