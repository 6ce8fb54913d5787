import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMcpServer, type McpPlace } from '../../../src/agent/tools/mcp-tools.ts';
import { createToolKit } from '../../../src/agent/tools/toolkit.ts';
import { wakefulClock } from '../../../src/base/clock.ts';
import { serveTools, TOOLS_COMMAND } from './mcp-server.ts';

const { signal } = new AbortController();
const environment = { PATH: process.env.PATH ?? '' };
const places: Record<string, McpPlace> = { 'a program': { command: TOOLS_COMMAND } };
let served: Awaited<ReturnType<typeof serveTools>>;
beforeAll(async () => {
  served = await serveTools();
  places['a URL'] = { url: served.url };
});
afterAll(() => served.close());

const call = (name: string, args: object) => [{ id: 'c', name, arguments: JSON.stringify(args) }];

describe.each(['a program', 'a URL'])('AGENT-20: a server of tools at %s', (where) => {
  it('gives its tools, of which the manifest allows some', async () => {
    const server = createMcpServer(
      { name: 'orders', place: places[where] as McpPlace, allow: undefined },
      environment,
    );
    expect((await server.tools({ signal })).map(({ name }) => name)).toEqual([
      'find_order',
      'delete_all',
      'crash',
    ]);
    await server.close();
    const few = createMcpServer(
      { name: 'orders', place: places[where] as McpPlace, allow: ['find_order'] },
      environment,
    );
    const [tool, ...more] = await few.tools({ signal });
    expect(more).toEqual([]);
    expect(tool).toMatchObject({ description: 'Finds an order.', parameters: { type: 'object' } });
    await few.close();
  });

  it('runs calls whose arguments fit, and tells what failed', async () => {
    const kit = createToolKit(
      [{ kind: 'mcp', name: 'orders', place: places[where] as McpPlace, allow: ['find_order'] }],
      { clock: wakefulClock, environment },
    );
    const box = await kit.open(undefined, { signal });
    const [sent] = await box.run(call('find_order', { number: 7 }), { signal });
    expect(sent).toEqual({ id: 'c', failed: false, text: 'Order 7 was sent on Monday.' });
    const [unfit] = await box.run(call('find_order', { number: 'seven' }), { signal });
    expect(unfit).toMatchObject({ failed: true, text: expect.stringContaining('do not fit at number') });
    const [missing] = await box.run(call('find_order', { number: 13 }), { signal });
    expect(missing).toMatchObject({ failed: true, text: expect.stringContaining('no order 13') });
    // Not allowed, and so not there.
    const [refused] = await box.run(call('delete_all', {}), { signal });
    expect(refused).toMatchObject({ failed: true, text: expect.stringContaining('no tool of that name') });
    await kit.close();
  });
});

/** A server whose schemas have expressions that no argument here fits. */
const PATTERNED = `
const text = { type: 'string', pattern: '^(a+)+$' };
const inputSchema = { type: 'object', properties: { pattern: text }, patternProperties: { '^(b+)+$': text } };
const outputSchema = { type: 'object', properties: { c: text } };
const said = { content: [{ type: 'text', text: 'taken' }], structuredContent: { c: '!' } };
const answers = {
  initialize: { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'p', version: '1' } },
  'tools/list': { tools: [{ name: 'p', inputSchema, outputSchema }] },
  'tools/call': said,
};
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method } = JSON.parse(line);
  if (id !== undefined) console.log(JSON.stringify({ jsonrpc: '2.0', id, result: answers[method] }));
});`;

describe('a server of tools', () => {
  it('AGENT-21: has no regular expression run here, which could take for ever', async () => {
    const kit = createToolKit(
      [
        {
          ...{ kind: 'mcp', name: 'p', allow: undefined },
          place: { command: [process.execPath, '-e', PATTERNED] },
        },
      ],
      { clock: wakefulClock, environment },
    );
    const box = await kit.open(undefined, { signal });
    expect(box.specs[0]?.parameters).toEqual({ type: 'object', properties: { pattern: { type: 'string' } } });
    const [result] = await box.run(call('p', { pattern: '!', bb: '!' }), { signal });
    expect(result).toEqual({ id: 'c', failed: false, text: 'taken' });
    const [unfit] = await box.run(call('p', { pattern: 7 }), { signal });
    expect(unfit).toMatchObject({ failed: true, text: expect.stringContaining('do not fit at pattern') });
    await kit.close();
  });

  it('MODEL-102: whose schemas have hundreds of alternatives that begin alike is refused, and says so', async () => {
    const wide = PATTERNED.replace(
      'inputSchema, outputSchema',
      "inputSchema: { type: 'object', properties: { a: { anyOf: Array(300).fill({ type: 'string' }) } } }",
    );
    const server = createMcpServer(
      { name: 'wide', place: { command: [process.execPath, '-e', wide] }, allow: undefined },
      environment,
    );
    await expect(server.tools({ signal })).rejects.toMatchObject({
      code: 'tool-failed',
      facts: { reason: expect.stringContaining('alternatives') },
    });
    await server.close();
  });

  it('AGENT-22: that is not there, or lacks what the manifest names, is refused', async () => {
    const of = (place: McpPlace, allow?: readonly string[]) =>
      createMcpServer({ name: 'orders', place, allow }, environment);
    const failing = { code: 'tool-failed', facts: { tool: 'orders' } };
    for (const server of [
      of({ command: ['/nowhere/at-all'] }),
      of({ url: 'http://127.0.0.1:9/mcp' }),
      of({ command: [process.execPath, '-e', 'console.log("hello")'] }),
      of({ command: TOOLS_COMMAND }, ['find_orders']),
    ]) {
      await expect(server.tools({ signal })).rejects.toMatchObject(failing);
      await server.close();
    }
  });

  it('that ended is started again', async () => {
    const server = createMcpServer(
      { name: 'orders', place: { command: TOOLS_COMMAND }, allow: undefined },
      environment,
    );
    const tools = await server.tools({ signal });
    await expect(tools.find(({ name }) => name === 'crash')?.run({}, { signal })).rejects.toMatchObject({
      code: 'tool-failed',
    });
    const [again] = await server.tools({ signal });
    expect(await again?.run({ number: 1 }, { signal })).toBe('Order 1 was sent on Monday.');
    await server.close();
  });

  it('AGENT-20: whose tool has the name of another is refused', async () => {
    const kit = createToolKit(
      [
        { kind: 'function', name: 'crash', about: '', parameters: { type: 'object' }, run: ['true'] },
        { kind: 'mcp', name: 'orders', place: { command: TOOLS_COMMAND }, allow: undefined },
      ],
      { clock: wakefulClock, environment },
    );
    await expect(kit.open(undefined, { signal })).rejects.toMatchObject({
      code: 'tool-failed',
      facts: { tool: 'crash' },
    });
    await kit.close();
  });
});
