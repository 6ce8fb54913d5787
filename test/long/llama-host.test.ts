import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkGgufHeader, checkHeader } from '../../src/agent/llama/gguf-check.ts';
import { parseHeader } from '../../src/agent/llama/gguf-file.ts';
import { createModelHost, type ModelHost, type ModelHostOptions } from '../../src/agent/llama/model-host.ts';
import { SAMPLING_DEFAULTS } from '../../src/agent/llama/sampler.ts';
import { systemClock } from '../../src/base/clock.ts';
import { ggufBytes, u32, writeGguf } from '../agent/llama/gguf-writer.ts';
import { noiseModel, saying, scriptedModel } from '../agent/llama/models.ts';

let folder: string;
let path: string;
const hosts: ModelHost[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sahara-host-'));
  path = await writeGguf(join(folder, 'model.gguf'), scriptedModel(saying('yes')).gguf);
});

afterAll(async () => {
  for (const host of hosts) await host.unload();
  await rm(folder, { recursive: true });
});

function host(options: Partial<ModelHostOptions> = {}, memoryBytesMax = 4e9, model = path): ModelHost {
  const made = createModelHost(
    { path: model, gpu: 'none', threads: 1, memoryBytesMax },
    { clock: systemClock },
    options,
  );
  hosts.push(made);
  return made;
}

async function say(one: ModelHost): Promise<string> {
  let text = '';
  const request = {
    context: { adapters: [], tokens: 256, sequences: 2 },
    prompt: { kind: 'chat', messages: [{ role: 'user', content: 'x' }] },
    sampling: SAMPLING_DEFAULTS,
    tokensMax: 10,
    stops: [],
  } as const;
  for await (const part of one.generate(request, { signal: new AbortController().signal })) {
    if (part.type === 'text') text += part.text;
  }
  return text;
}

const ended = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
};

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('a host', () => {
  test('MODEL-15: that takes too long to load, is silent or takes too much memory is ended', async () => {
    await expect(host({ loadMs: 1 }).ready()).rejects.toMatchObject({ code: 'backend-failed' });
    const greedy = host({}, 1);
    // It may say that it is ready before it looks at its memory.
    const failed = async (): Promise<void> => {
      for (;;) await say(greedy);
    };
    await expect(failed()).rejects.toMatchObject({ code: 'memory-insufficient' });
    const silent = host({ idleMs: 300 });
    expect(await say(silent)).toBe('yes');
    const pid = silent.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    await expect(say(silent)).rejects.toMatchObject({ code: 'backend-failed' });
    await until(() => ended(pid));
    expect(await say(silent)).toBe('yes');
  });

  test('MODEL-13, MODEL-16: that dies again and again is started less and less often', async () => {
    const none = host({ restartMs: 50_000 }, 4e9, join(folder, 'none.gguf'));
    await expect(none.ready()).rejects.toMatchObject({ code: 'backend-failed' });
    await until(() => none.pid === undefined);
    await expect(none.ready()).rejects.toMatchObject({ code: 'backend-failed' });
    await until(() => none.pid === undefined);
    await expect(none.ready()).rejects.toMatchObject({
      code: 'backend-failed',
      facts: { retryAfterMs: expect.any(Number) },
    });
    expect(none.stderr.length).toBeLessThanOrEqual(4_096);
  });

  test('MODEL-14: does not outlive a daemon that is killed', async () => {
    const script = `
      import { createModelHost } from ${JSON.stringify(new URL('../../src/agent/llama/model-host.ts', import.meta.url).href)};
      import { wakefulClock } from ${JSON.stringify(new URL('../../src/base/clock.ts', import.meta.url).href)};
      const host = createModelHost({ path: ${JSON.stringify(path)}, gpu: 'none', threads: 1, memoryBytesMax: 4e9 }, { clock: wakefulClock });
      await host.ready();
      console.log(host.pid);
      wakefulClock.after(600_000, () => {});
    `;
    const daemon = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = await new Promise<number>((resolve) =>
      daemon.stdout.once('data', (text) => resolve(Number(text))),
    );
    expect(ended(pid)).toBe(false);
    daemon.kill('SIGKILL');
    await until(() => ended(pid));
  });

  test('MODEL-11: without the library says what installs it', async () => {
    // The same source with no packages above it.
    const bare = join(folder, 'bare');
    await mkdir(join(bare, 'src/agent'), { recursive: true });
    const source = new URL('../../src/', import.meta.url).pathname;
    for (const part of ['base', 'protocol', 'agent/llama', 'agent/tools/limits.ts', 'agent/watermark']) {
      await cp(join(source, part), join(bare, 'src', part), { recursive: true, force: true });
    }
    await mkdir(join(bare, 'node_modules'));
    const noble = new URL('../../node_modules/@noble', import.meta.url).pathname;
    await symlink(noble, join(bare, 'node_modules/@noble'));
    await writeFile(
      join(bare, 'try.ts'),
      `import { createModelHost } from './src/agent/llama/model-host.ts';
       import { wakefulClock } from './src/base/clock.ts';
       const load = { path: ${JSON.stringify(path)}, gpu: 'none', threads: 1, memoryBytesMax: 4e9 };
       const host = createModelHost(load, { clock: wakefulClock });
       await host.ready().catch((error) => console.log(JSON.stringify([error.code, error.facts])));`,
    );
    const child = spawn(process.execPath, ['try.ts'], { cwd: bare, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stdout.on('data', (text) => {
      said += text;
    });
    child.stderr.on('data', (text) => {
      said += text;
    });
    await new Promise((resolve) => child.once('close', resolve));
    expect(said).toContain('["backend-missing",');
    expect(said).toContain('npm install node-llama-cpp');
  });

  test('a model that would abort the process aborts the host alone', async () => {
    const noise = noiseModel();
    for (const [key, value] of [
      ['llama.attention.head_count', u32(0)],
      ['llama.feed_forward_length', u32(0)],
      ['llama.block_count', u32(2 ** 31)],
    ] as const) {
      const metadata = new Map(noise.metadata).set(key, value);
      const hostile = await writeGguf(join(folder, 'hostile.gguf'), { ...noise, metadata });
      const failed = await host({}, 4e9, hostile)
        .ready()
        .catch((error: unknown) => error);
      expect(failed, key).toMatchObject({
        code: 'backend-failed',
        facts: { reason: expect.stringContaining('SIGABRT') },
      });
      await expect(checkGgufHeader(hostile)).rejects.toMatchObject({ code: 'model-invalid' });
    }
  });

  test('of forty files with a changed header, those that pass the check do not abort a host', async () => {
    const sound = ggufBytes(noiseModel({ layers: 1, words: 4 }));
    const header = Buffer.from(sound).lastIndexOf('weight') + 64;
    const passed: Uint8Array[] = [];
    for (let i = 0; i < 40; i++) {
      const bytes = sound.slice();
      // Far apart and never the same: keys, numbers, tokens, descriptions.
      bytes[(i * 1_291) % header] = (37 * i + 11) % 256;
      try {
        checkHeader(parseHeader(bytes, bytes.length));
        passed.push(bytes);
      } catch (error) {
        expect(error).toMatchObject({ code: 'model-invalid' });
      }
    }
    expect(passed.length).toBeGreaterThan(0);
    for (const bytes of passed.slice(0, 6)) {
      const changed = join(folder, 'changed.gguf');
      await writeFile(changed, bytes);
      const one = host({}, 4e9, changed);
      const reason = await one.ready().then(
        () => 'ready',
        (error: unknown) => String(error),
      );
      expect(reason).not.toMatch(/SIG[A-Z]+/);
      await one.unload();
    }
  });
});
