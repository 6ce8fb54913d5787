import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { createAdminClient } from '../../src/daemon/admin/client.ts';
import { ADMIN_METHODS, type AdminHandlers } from '../../src/daemon/admin/methods.ts';
import { type AdminServer, createAdminServer } from '../../src/daemon/admin/server.ts';
import type { AskEvent } from '../../src/daemon/admin/types.ts';
import { checkSizes } from '../../src/daemon/asking.ts';
import { BUNDLE_BYTES_MAX } from '../../src/protocol/limits.ts';

const folder = mkdtempSync(join(tmpdir(), 'sahara-admin-'));
afterAll(() => rmSync(folder, { recursive: true }));
let server: AdminServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

let counter = 0;
async function serve(handlers: Partial<AdminHandlers>): Promise<ReturnType<typeof createAdminClient>> {
  const path = join(folder, `${counter++}.sock`);
  const refusing = Object.fromEntries(Object.keys(ADMIN_METHODS).map((name) => [name, refuse]));
  // Every method is there; those that the test does not give refuse.
  const all = { ...refusing, ...handlers } as unknown as AdminHandlers;
  server = await createAdminServer(
    { handlers: all, log: silentLog, clock: systemClock },
    { path, drainMs: 5_000 },
  );
  expect(statSync(path).mode & 0o777).toBe(0o600);
  return createAdminClient(path);
}

async function refuse(): Promise<never> {
  throw new SaharaError('agent-unknown', { agent: 'x', nearest: ['y'] });
}

const delta = (text: string): AskEvent => ({ type: 'delta', text, citations: [] });

describe('admin API', () => {
  it('answers a method', async () => {
    const client = await serve({ 'vault.search': async ({ query }) => [{ ...ROW, text: query }] });
    expect(await client.call('vault.search', { vault: 'v', query: 'ü?' })).toEqual([{ ...ROW, text: 'ü?' }]);
  });

  it('carries failures as code and facts', async () => {
    const client = await serve({});
    await expect(client.call('status', {})).rejects.toMatchObject({
      code: 'agent-unknown',
      facts: { nearest: ['y'] },
    });
  });

  it('RCPT-30: takes evidence as large as it may be, and says the limit of what is larger', async () => {
    const client = await serve({
      'receipts.recompute': async ({ bundle }) => ({ steps: [], notRepeated: `${bundle.length}` }),
    });
    const whole = Buffer.alloc(BUNDLE_BYTES_MAX, 7).toString('base64');
    const reply = await client.call('receipts.recompute', { bundle: whole });
    expect(reply.notRepeated).toBe(`${whole.length}`);
    const larger = client.call('receipts.recompute', { bundle: `${whole}AAAA` });
    await expect(larger).rejects.toMatchObject({ code: 'malformed' });
    const search = client.call('vault.search', { vault: 'v', query: 'x'.repeat(2_200_000) });
    await expect(search).rejects.toMatchObject({ code: 'too-large', facts: { limitBytes: 2_097_152 } });
  });

  it('refuses input that the table does not allow', async () => {
    const client = await serve({});
    const wrong = { vault: 'v', query: 'q', limit: -1 };
    await expect(client.call('vault.search', wrong)).rejects.toMatchObject({ code: 'malformed' });
  });

  it('says how much is too much', async () => {
    const client = await serve({
      async *ask(input) {
        checkSizes(input);
        yield delta('fits');
      },
    });
    const ask = async (question: string, text = ''): Promise<readonly AskEvent[]> => {
      const context = [{ role: 'user', text }] as const;
      const seen: AskEvent[] = [];
      for await (const event of client.stream('ask', { agent: 'guide', question, context })) seen.push(event);
      return seen;
    };
    expect(await ask('ü'.repeat(16_384))).toHaveLength(1);
    await expect(ask('ü'.repeat(35_000))).rejects.toMatchObject({
      code: 'too-large',
      facts: { what: 'question', sizeBytes: 70_000, limitBytes: 32_768 },
    });
    await expect(ask('x', 'y'.repeat(16_385))).rejects.toMatchObject({
      code: 'too-large',
      facts: { what: 'earlier turn', limitBytes: 16_384 },
    });
    await expect(ask('x'.repeat(2_200_000))).rejects.toMatchObject({
      code: 'too-large',
      facts: { what: 'request', limitBytes: 2_097_152 },
    });
  });

  it('streams, and ends in a failure where one comes', async () => {
    const client = await serve({
      async *ask() {
        yield delta('a');
        yield delta('b');
        throw new SaharaError('peer-gone', { peer: 'p' });
      },
    });
    const seen: AskEvent[] = [];
    const reading = (async () => {
      for await (const event of client.stream('ask', { agent: 'a', question: 'q' })) seen.push(event);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'peer-gone', facts: { peer: 'p' } });
    expect(seen).toEqual([delta('a'), delta('b')]);
  });

  it('tells the handler when the client leaves', async () => {
    const left = Promise.withResolvers<void>();
    const client = await serve({
      async *ask(_input, signal) {
        signal.addEventListener('abort', () => left.resolve());
        for (;;) {
          yield delta('more');
          await new Promise((resolve) => setImmediate(resolve));
        }
      },
    });
    for await (const _event of client.stream('ask', { agent: 'a', question: 'q' })) break;
    await left.promise;
  });

  it('says that no daemon runs, also behind a socket that a killed one left', async () => {
    const path = join(folder, 'left.sock');
    await expect(createAdminClient(path).call('status', {})).rejects.toMatchObject({
      code: 'daemon-not-running',
    });
    writeFileSync(path, '');
    server = await createAdminServer(
      { handlers: { status: refuse } as unknown as AdminHandlers, log: silentLog, clock: systemClock },
      { path, drainMs: 5_000 },
    );
    await expect(createAdminClient(path).call('status', {})).rejects.toMatchObject({ code: 'agent-unknown' });
  });

  it('lets what runs end before it stops, and takes nothing new', async () => {
    const begun = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const client = await serve({
      async *ask() {
        begun.resolve();
        await go.promise;
        yield delta('whole');
      },
    });
    const reading = client.stream('ask', { agent: 'a', question: 'q' })[Symbol.asyncIterator]().next();
    await begun.promise;
    const stopping = server?.stop();
    await expect(client.call('status', {})).rejects.toMatchObject({ code: 'overloaded' });
    go.resolve();
    expect((await reading).value).toEqual(delta('whole'));
    await stopping;
    await expect(client.call('status', {})).rejects.toMatchObject({ code: 'daemon-not-running' });
  });

  it('survives garbage on the socket', async () => {
    const client = await serve({ stop: async () => ({}) });
    const socket = connect(join(folder, `${counter - 1}.sock`));
    socket.write('\u0000\u0001garbage\r\n\r\n');
    await new Promise((resolve) =>
      socket
        .on('close', resolve)
        .on('error', () => {})
        .resume(),
    );
    expect(await client.call('stop', {})).toEqual({});
  });
});

const ROW = { document: 'd', title: 't', text: '', score: 1, contributor: 'c', chunk: '00' };
