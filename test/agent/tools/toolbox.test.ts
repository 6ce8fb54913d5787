import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createCommandTool } from '../../../src/agent/tools/command-tool.ts';
import { TOOL_CALLS_MAX, TOOL_RESULT_BYTES_MAX } from '../../../src/agent/tools/limits.ts';
import type { Tool } from '../../../src/agent/tools/tool.ts';
import { createToolbox, type ToolResult } from '../../../src/agent/tools/toolbox.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import { type Clock, wakefulClock } from '../../../src/base/clock.ts';
import { SaharaError } from '../../../src/base/errors.ts';
import { TestClock } from '../../calls/host-rig.ts';

const ADD: Tool = {
  name: 'add',
  description: 'Adds two whole numbers.',
  parameters: {
    type: 'object',
    properties: { a: { type: 'integer' }, b: { type: 'integer' } },
    required: ['a', 'b'],
    additionalProperties: false,
  },
  run: async ({ a, b }) => String(Number(a) + Number(b)),
};

const calm = new AbortController().signal;

/** Runs one call. */
async function once(tools: readonly Tool[], name: string, json: string, clock: Clock = wakefulClock) {
  const [result] = await createToolbox({ tools, clock }).run([{ id: 'c', name, arguments: json }], {
    signal: calm,
  });
  return result as ToolResult;
}

/** A program of Node. */
const program = (code: string): readonly string[] => [process.execPath, '-e', code];
const function_ = (name: string, code: string): Tool =>
  createCommandTool({ name, description: '', parameters: { type: 'object' } }, program(code), {
    PATH: process.env.PATH ?? '',
  });

describe('AGENT-21: arguments', () => {
  it.each([
    ['{"a": 1, "b": 2}', false, '3'],
    ['{"a": 1}', true, 'do not fit at b'],
    ['{"a": 1, "b": "2"}', true, 'do not fit at b'],
    ['{"a": 1, "b": 2, "c": 3}', true, 'do not fit'],
    ['[1, 2]', true, 'do not fit'],
    ['{"a": 1,', true, 'no JSON'],
    ['', true, 'do not fit at a'],
  ])('%s', async (json, failed, said) => {
    const result = await once([ADD], 'add', json);
    expect(result.failed).toBe(failed);
    expect(result.text).toContain(said);
  });

  it('that are too large, and a tool that is not there, run nothing', async () => {
    const large = await once([ADD], 'add', JSON.stringify({ a: 1, b: 2, c: 'x'.repeat(20_000) }));
    expect(large).toMatchObject({ failed: true });
    expect(large.text).toContain('16384');
    const unknown = await once([ADD], 'ad', '{}');
    expect(unknown).toMatchObject({ failed: true, text: expect.stringContaining('did you mean add?') });
  });
});

describe('AGENT-22: calls', () => {
  it('come back in their order, and are counted', async () => {
    const box = createToolbox({ tools: [ADD], clock: wakefulClock });
    const calls = Array.from({ length: TOOL_CALLS_MAX + 2 }, (_, i) => ({
      id: `c${i}`,
      name: 'add',
      arguments: JSON.stringify({ a: i, b: 0 }),
    }));
    expect(box.open).toBe(true);
    const results = await box.run(calls, { signal: calm });
    expect(results.map(({ id }) => id)).toEqual(calls.map(({ id }) => id));
    expect(results.map(({ failed }) => failed)).toEqual(calls.map((_, i) => i >= TOOL_CALLS_MAX));
    expect(results[5]?.text).toBe('5');
    expect(box.open).toBe(false);
  });

  it('at most four at once', async () => {
    let [now, most] = [0, 0];
    const slow: Tool = {
      ...ADD,
      run: async () => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setImmediate(resolve));
        now--;
        return '';
      },
    };
    const calls = Array.from({ length: 9 }, (_, i) => ({
      id: `${i}`,
      name: 'add',
      arguments: '{"a":1,"b":1}',
    }));
    await createToolbox({ tools: [slow], clock: wakefulClock }).run(calls, { signal: calm });
    expect(most).toBe(4);
  });

  it('that take too long are stopped, also when they do not listen', async () => {
    const clock = new TestClock();
    const deaf: Tool = { ...ADD, run: () => new Promise(() => {}) };
    const running = once([deaf], 'add', '{"a":1,"b":1}', clock);
    await clock.pass(30_000);
    expect(await running).toMatchObject({ failed: true, text: expect.stringContaining('30000 ms') });
  });

  it('end with the answer', async () => {
    const stop = new AbortController();
    const deaf: Tool = { ...ADD, run: () => new Promise(() => {}) };
    const box = createToolbox({ tools: [deaf], clock: wakefulClock });
    const running = box.run([{ id: 'c', name: 'add', arguments: '{"a":1,"b":1}' }], { signal: stop.signal });
    stop.abort();
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('give no more than fits, and never half a character', async () => {
    const { text, failed } = await once(
      [{ ...ADD, run: async () => 'é'.repeat(20_000) }],
      'add',
      '{"a":1,"b":1}',
    );
    expect(failed).toBe(false);
    expect(utf8(text).length).toBeLessThanOrEqual(TOOL_RESULT_BYTES_MAX);
    expect(text).toMatch(/^é+\n\[cut\]$/);
  });

  it('that fail are told', async () => {
    const broken: Tool = {
      ...ADD,
      run: () => Promise.reject(new SaharaError('tool-failed', { tool: 'add', reason: 'no ink' })),
    };
    expect((await once([broken], 'add', '{"a":1,"b":1}')).text).toContain('no ink');
  });
});

describe('AGENT-25: a function of the operator', () => {
  it('is given its arguments and gives its output', async () => {
    const shout = function_(
      'shout',
      'process.stdin.on("data", (d) => console.log(JSON.parse(d).what.toUpperCase()))',
    );
    expect(await once([shout], 'shout', '{"what":"hello"}')).toEqual({
      id: 'c',
      failed: false,
      text: 'HELLO\n',
    });
  });

  it('sees nothing of the environment but what it needs', async () => {
    process.env.SAHARA_TEST_SECRET = 'secret';
    const shown = await once([function_('env', 'console.log(Object.keys(process.env).join())')], 'env', '{}');
    delete process.env.SAHARA_TEST_SECRET;
    expect(shown.text).toContain('PATH');
    expect(shown.text).not.toContain('SECRET');
  });

  it('runs no shell', async () => {
    const echo = createCommandTool(
      { name: 'echo', description: '', parameters: { type: 'object' } },
      [process.execPath, '-e', 'console.log(process.argv[1])', '$(id); echo no'],
      {},
    );
    expect((await once([echo], 'echo', '{}')).text).toBe('$(id); echo no\n');
  });

  it.each([
    ['exits with another code', 'console.error("no such order"); process.exit(3)', 'no such order'],
    ['says nothing about it', 'process.exit(3)', 'it ended with 3'],
  ])('that %s has failed', async (_, code, said) => {
    const result = await once([function_('f', code)], 'f', '{}');
    expect(result).toMatchObject({ failed: true, text: expect.stringContaining(said) });
  });

  it('that is not there has failed', async () => {
    const missing = createCommandTool(
      { name: 'm', description: '', parameters: { type: 'object' } },
      ['/nowhere/at-all'],
      {},
    );
    expect((await once([missing], 'm', '{}')).failed).toBe(true);
  });

  it('floods nobody', async () => {
    const { text } = await once([function_('flood', 'process.stdout.write("x".repeat(5e6))')], 'flood', '{}');
    expect(utf8(text).length).toBeLessThanOrEqual(TOOL_RESULT_BYTES_MAX);
  });

  it('ends with its call, and with it what it started', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tool-'));
    const file = join(folder, 'pid');
    const stop = new AbortController();
    const code = `const c = require("child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1e3)"]);
      require("fs").writeFileSync(${JSON.stringify(file)}, String(c.pid)); setInterval(() => {}, 1e3)`;
    const box = createToolbox({ tools: [function_('parent', code)], clock: wakefulClock });
    const running = box.run([{ id: 'c', name: 'parent', arguments: '{}' }], { signal: stop.signal });
    const written = async (): Promise<number> => Number(await readFile(file, 'utf8').catch(() => '0'));
    await until(async () => (await written()) > 0);
    const grandchild = await written();
    stop.abort();
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
    await until(async () => !(await isAlive(grandchild)));
    await rm(folder, { recursive: true });
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Whether a process runs; one that ended and waits to be counted does not. */
async function isAlive(pid: number): Promise<boolean> {
  const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return state !== '' && !/\) [ZX] /.test(state);
}
