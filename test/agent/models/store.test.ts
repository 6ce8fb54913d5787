import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ModelEvent } from '../../../src/agent/models/download.ts';
import type { ModelCheck } from '../../../src/agent/models/model.ts';
import { type ModelStore, type ModelStoreOptions, openModelStore } from '../../../src/agent/models/store.ts';
import { fromHex, toHex } from '../../../src/base/bytes.ts';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { explainError } from '../../../src/base/error-text.ts';
import { SaharaError } from '../../../src/base/errors.ts';
import { createMemoryStore, type Store } from '../../../src/base/store.ts';
import {
  arrivedIn,
  type Bend,
  type Deed,
  type FileServer,
  refuse,
  serve,
  startFileServer,
} from './file-server.ts';

// Waits between attempts pass a hundred times faster.
const clock: Clock = { ...systemClock, after: (ms, run) => systemClock.after(ms / 100, run) };
const calm = (): AbortSignal => new AbortController().signal;

/** Anything that begins as GGUF does and does not say that it is broken. */
const check: ModelCheck = async (path) => {
  const file = await readFile(path);
  if (file.subarray(0, 4).toString() !== 'GGUF' || file.includes('BROKEN')) {
    throw new SaharaError('model-invalid', { path, reason: 'It does not hold together' });
  }
  const facts = {
    kind: 'model',
    architecture: 'llama',
    title: 'Test',
    quantisation: 'F16',
    weightsBytes: file.length,
    parameters: 1_000,
    contextMax: 2048,
    layers: 2,
    embedding: 64,
    vocabulary: 300,
    cacheBytesPerToken: 512,
    hasTemplate: false,
  } as const;
  return { digest: createHash('sha256').update(file).digest(), sizeBytes: file.length, facts };
};

const content = (tag: string, size = 300_000): Buffer => {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i += 32) createHash('sha256').update(`${tag}${i}`).digest().copy(bytes, i);
  bytes.write('GGUF');
  return bytes;
};
const digestOf = (bytes: Buffer): Uint8Array => createHash('sha256').update(bytes).digest();

let folder = '';
let registry: Store;
const servers: FileServer[] = [];
let told: ModelEvent[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sahara-models-'));
  registry = createMemoryStore();
  told = [];
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  await rm(folder, { recursive: true, force: true });
});

const models = (options: Partial<ModelStoreOptions> = {}): Promise<ModelStore> =>
  openModelStore(
    { clock, store: registry, check },
    { folder: join(folder, 'models'), hub: 'https://hub.invalid', idleMs: 30_000, ...options },
  );
const tell = (event: ModelEvent): void => void told.push(event);
const waiting = (): { signal: AbortSignal; tell: typeof tell } => ({ signal: calm(), tell });
const behind = async (deed: Deed): Promise<FileServer> => {
  const server = await startFileServer(deed);
  servers.push(server);
  return server;
};
const failure = async (work: Promise<unknown>): Promise<SaharaError> => {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SaharaError) return error;
  throw new Error(`no failure: ${String(error)}`);
};
const onDisk = async (): Promise<readonly string[]> =>
  (await readdir(join(folder, 'models'), { recursive: true })).filter((name) => name !== 'parts').sort();
const cut = (after: number): Pick<Bend, 'cutAfter' | 'arrived'> => ({
  cutAfter: after,
  arrived: arrivedIn(join(folder, 'models', 'parts')),
});
const fromUrl = (server: FileServer): string => `${server.origin}/tiny.gguf`;

describe('adding a file', () => {
  test('MODEL-40: it is copied, looked through and named by its content', async () => {
    const file = join(folder, 'Tiny Model-Q4.GGUF');
    await writeFile(file, content('a'));
    const store = await models();
    const model = await store.add(file, waiting());
    expect(model.name).toBe('tiny-model-q4');
    expect(toHex(model.digest)).toBe(toHex(digestOf(content('a'))));
    expect(await onDisk()).toEqual([`${toHex(model.digest)}.gguf`]);
    await rm(file);
    const open = await store.open('tiny-model-q4', { signal: calm() });
    expect(await readFile(open.path)).toEqual(content('a'));
    expect((await store.open(toHex(model.digest).slice(0, 10), { signal: calm() })).name).toBe(model.name);
  });

  test('MODEL-41: a file that is no model leaves nothing behind', async () => {
    const file = join(folder, 'bad.gguf');
    const store = await models();
    await writeFile(file, 'GGUF BROKEN');
    const { code, facts } = await failure(store.add(file, waiting()));
    expect([code, facts.name]).toEqual(['model-invalid', 'bad']);
    expect(await onDisk()).toEqual([]);
    expect(await store.list()).toEqual([]);
    expect((await failure(store.add(join(folder, 'gone.gguf'), waiting()))).code).toBe('file-missing');
    expect((await failure(store.add(folder, { ...waiting(), name: 'f' }))).code).toBe('model-invalid');
    expect((await failure(store.add(file, { ...waiting(), name: '../up' }))).code).toBe('usage');
  });

  test('MODEL-42: a name stands for one content; one content may have several names and goes with the last', async () => {
    const [one, two] = [join(folder, 'one.gguf'), join(folder, 'two.gguf')];
    await writeFile(one, content('a'));
    await writeFile(two, content('b'));
    const store = await models();
    await store.add(one, { ...waiting(), name: 'x' });
    await store.add(one, { ...waiting(), name: 'x' });
    await store.add(one, { ...waiting(), name: 'y' });
    expect((await failure(store.add(two, { ...waiting(), name: 'x' }))).code).toBe('model-exists');
    expect(await onDisk()).toHaveLength(1);
    await store.remove('x');
    expect(await onDisk()).toHaveLength(1);
    const unknown = await failure(store.open('z', { signal: calm() }));
    expect(unknown.code).toBe('model-unknown');
    await store.remove('y');
    expect(await onDisk()).toEqual([]);
  });

  test('MODEL-43: a file that changed on the disk is looked through anew and refused when it is another', async () => {
    const file = join(folder, 'one.gguf');
    await writeFile(file, content('a'));
    const store = await models();
    const model = await store.add(file, waiting());
    const path = join(folder, 'models', `${toHex(model.digest)}.gguf`);
    await utimes(path, 1, 1);
    expect((await store.open('one', { signal: calm() })).path).toBe(path);
    await writeFile(path, content('b'));
    expect((await failure(store.open('one', { signal: calm() }))).code).toBe('model-invalid');
    await rm(path);
    expect((await failure(store.open('one', { signal: calm() }))).facts.reason).toBe('Its file is gone');
  });

  test('MODEL-44: what would fill the disk is refused before it is copied or fetched', async () => {
    const file = join(folder, 'one.gguf');
    await writeFile(file, content('a'));
    const server = await behind((response, asked) => serve(response, asked, content('a')));
    const store = await models({ freeBytes: async () => 500_100_000 });
    expect((await failure(store.add(file, waiting()))).code).toBe('disk-full');
    expect((await failure(store.pull(fromUrl(server), waiting()))).code).toBe('disk-full');
    expect(told.filter(({ type }) => type === 'progress')).toEqual([]);
  });

  test('MODEL-45: the next start removes what a kill has left', async () => {
    const store = await models();
    const file = join(folder, 'one.gguf');
    await writeFile(file, content('a'));
    await store.add(file, waiting());
    await writeFile(join(folder, 'models', `${'0'.repeat(64)}.gguf`), 'GGUF');
    await writeFile(join(folder, 'models', 'parts', 'copy-two'), 'GGUF');
    const again = await models();
    expect(await onDisk()).toHaveLength(1);
    expect((await again.list()).map(({ name }) => name)).toEqual(['one']);
  });
});

describe('pulling a file', () => {
  test('MODEL-46: a connection that is cut goes on where it was, if it is still the same file', async () => {
    const whole = content('a');
    const server = await behind((response, asked, count) =>
      serve(response, asked, whole, { etag: '"v1"', ...(count < 3 && { ...cut(70_000) }) }),
    );
    const store = await models();
    const model = await store.pull(fromUrl(server), waiting());
    expect(toHex(model.digest)).toBe(toHex(digestOf(whole)));
    expect(server.asked.map(({ range, ifRange }) => [range, ifRange])).toEqual([
      [undefined, undefined],
      ['bytes=70000-', '"v1"'],
      ['bytes=140000-', '"v1"'],
      ['bytes=210000-', '"v1"'],
    ]);
    expect(await store.unfinished()).toEqual([]);
    expect(await onDisk()).toHaveLength(1);
  });

  test('MODEL-47: a file that changes in the middle is fetched anew from its beginning', async () => {
    const server = await behind((response, asked, count) =>
      count === 0
        ? serve(response, asked, content('a'), { etag: '"v1"', ...cut(100_000) })
        : serve(response, asked, content('b'), { etag: '"v2"' }),
    );
    const store = await models();
    const model = await store.pull(fromUrl(server), waiting());
    expect(toHex(model.digest)).toBe(toHex(digestOf(content('b'))));
    expect(told.some(({ type }) => type === 'restart')).toBe(true);
  });

  test('MODEL-47: a server that ignores If-Range is caught by its own version and by its length', async () => {
    for (const changed of [
      { etag: '"v2"', size: 300_000 },
      { etag: undefined, size: 310_000 },
    ]) {
      const later = content('b', changed.size);
      const server = await behind((response, asked, count) => {
        if (count === 0) return serve(response, asked, content('a'), { etag: '"v1"', ...cut(100_000) });
        const bend = changed.etag === undefined ? {} : { etag: changed.etag };
        return serve(response, { ...asked, ifRange: undefined }, later, bend);
      });
      const model = await (await models()).pull(fromUrl(server), { ...waiting(), name: `m${changed.size}` });
      expect(toHex(model.digest)).toBe(toHex(digestOf(later)));
    }
  });

  test('MODEL-46: without ranges or a version it begins anew; with a checksum a version is not needed', async () => {
    const whole = content('a');
    const plain = await behind((response, asked, count) =>
      serve(response, { ...asked, range: undefined }, whole, count === 0 ? { ...cut(50_000) } : {}),
    );
    const store = await models();
    await store.pull(fromUrl(plain), { ...waiting(), name: 'plain' });
    expect(plain.asked.map(({ range }) => range)).toEqual([undefined, undefined]);
    const summed = await behind((response, asked, count) =>
      serve(response, asked, whole, count === 0 ? { ...cut(50_000) } : {}),
    );
    await store.pull(fromUrl(summed), { ...waiting(), name: 'summed', sha256: digestOf(whole) });
    expect(summed.asked.map(({ range }) => range)).toEqual([undefined, 'bytes=50000-']);
    // What is here by its checksum is not fetched again, and a name that is taken is refused before.
    await store.pull(fromUrl(summed), { ...waiting(), name: 'summed', sha256: digestOf(whole) });
    const taken = { ...waiting(), name: 'summed', sha256: digestOf(content('b')) };
    expect((await failure(store.pull(fromUrl(summed), taken))).code).toBe('model-exists');
    expect(summed.asked).toHaveLength(2);
  });

  test('MODEL-48: a wrong checksum or a corrupt file is refused, and nothing of it is kept', async () => {
    const server = await behind((response, asked) => serve(response, asked, content('a'), { etag: '"v1"' }));
    const store = await models();
    const wrong = { ...waiting(), sha256: digestOf(content('b')) };
    const { code, facts } = await failure(store.pull(fromUrl(server), wrong));
    expect(code).toBe('model-invalid');
    expect(facts.reason).toContain(toHex(digestOf(content('a'))));
    expect([await onDisk(), await store.list(), await store.unfinished()]).toEqual([[], [], []]);
    const page = await behind((response) => response.end('<html>Please sign in</html>'));
    expect((await failure(store.pull(fromUrl(page), waiting()))).facts.reason).toMatch(/begin as GGUF/);
    expect(await onDisk()).toEqual([]);
  });

  test('MODEL-49: a length that is a lie ends in a failure: more, less, and never enough', async () => {
    const whole = content('a');
    const store = await models();
    const missing = await behind((response, asked) => {
      const start = Number(/\d+/.exec(asked.range ?? '0')?.[0]);
      const total = whole.length + 1000;
      response.writeHead(start > 0 ? 206 : 200, {
        etag: '"v"',
        'content-length': total - start,
        ...(start > 0 && { 'content-range': `bytes ${start}-${total - 1}/${total}` }),
      });
      response.write(whole.subarray(start), () => setTimeout(() => response.destroy(), 20));
      if (start >= whole.length) response.destroy();
    });
    const never = await failure(store.pull(fromUrl(missing), { ...waiting(), name: 'never' }));
    expect(never.code).toBe('download-failed');
    expect(never.facts.keptBytes).toBe(whole.length);
    const more = await behind((response) => {
      response.writeHead(206, { 'content-range': `bytes 0-999/1000`, etag: '"v"' });
      response.end(whole);
    });
    const overlong = await failure(store.pull(fromUrl(more), { ...waiting(), name: 'more' }));
    expect(overlong.code).toBe('download-failed');
    expect(await store.list()).toEqual([]);
  });

  test('MODEL-50: a download that is stopped keeps its part; the same again goes on, also in another process', async () => {
    const whole = content('a');
    const stop = new AbortController();
    const server = await behind((response, asked, count) => {
      if (count > 0) return serve(response, asked, whole, { modified: 'Mon, 02 Nov 2026 10:00:00 GMT' });
      response.writeHead(200, {
        'content-length': whole.length,
        'last-modified': 'Mon, 02 Nov 2026 10:00:00 GMT',
      });
      response.write(whole.subarray(0, 120_000));
    });
    const store = await models();
    const stopping = (event: ModelEvent): void => {
      if (event.type === 'progress' && event.bytes >= 120_000) stop.abort();
    };
    const stopped = store.pull(fromUrl(server), { signal: stop.signal, tell: stopping });
    expect((await failure(stopped)).code).toBe('cancelled');
    const again = await models();
    const source = fromUrl(server);
    expect(await again.unfinished()).toEqual([
      { name: 'tiny', source, bytes: 120_000, totalBytes: whole.length },
    ]);
    const model = await again.pull(source, waiting());
    expect(toHex(model.digest)).toBe(toHex(digestOf(whole)));
    expect(server.asked[1]?.range).toBe('bytes=120000-');
  });

  test('MODEL-50: what was left half done can be removed', async () => {
    const server = await behind((response, asked) =>
      serve(response, asked, content('a'), { etag: '"v"', ...cut(0) }),
    );
    const store = await models();
    await failure(store.pull(fromUrl(server), waiting()));
    expect(await store.unfinished()).toHaveLength(1);
    await store.remove('tiny');
    expect([await store.unfinished(), await onDisk()]).toEqual([[], []]);
  });

  test('MODEL-51: servers that are busy are asked again, those that refuse are not', async () => {
    const busy = await behind((response, asked, count) =>
      count < 2 ? refuse(response, 503, { 'retry-after': '1' }) : serve(response, asked, content('a')),
    );
    const store = await models();
    await store.pull(fromUrl(busy), { ...waiting(), name: 'busy' });
    expect(busy.asked).toHaveLength(3);
    const gone = await behind((response) => refuse(response, 404));
    expect((await failure(store.pull(fromUrl(gone), waiting()))).facts.reason).toMatch(/no such file/);
    expect(gone.asked).toHaveLength(1);
    const dead = await behind((response) => response.destroy());
    expect((await failure(store.pull(fromUrl(dead), waiting()))).code).toBe('download-failed');
    expect(dead.asked.length).toBeGreaterThan(2);
    const silent = await behind(() => {});
    const idle = await models({ idleMs: 5_000 });
    expect((await failure(idle.pull(fromUrl(silent), waiting()))).facts.reason).toMatch(/Nothing came/);
  });

  test('MODEL-51: a host that is not reached is named, with what to do; what is kept is gone on with', async () => {
    const store = await models();
    const closed = await startFileServer((response) => refuse(response, 503));
    await closed.close();
    const { host } = new URL(closed.origin);
    const refused = await failure(store.pull(fromUrl(closed), waiting()));
    expect(refused.facts).toMatchObject({ reason: `Nothing listens at ${host}`, keptBytes: 0 });
    expect(explainError(refused)).toMatch(
      /Check the address and the network of this machine, then run the same/,
    );
    expect(told.filter(({ type }) => type === 'again')).toHaveLength(4);
    const half = await behind((response, asked, count) =>
      count === 0
        ? serve(response, asked, content('a'), { etag: '"1"', ...cut(100_000) })
        : response.destroy(),
    );
    const broken = await failure(store.pull(fromUrl(half), waiting()));
    expect(broken.facts.keptBytes).toBeGreaterThan(0);
    expect(explainError(broken)).toContain(
      `${broken.facts.keptBytes} bytes of it are kept: run the same command again, and it goes on where it stopped.`,
    );
  });

  test('MODEL-51: what no further attempt mends ends a download at once', async () => {
    const store = await models();
    const port = await failure(store.pull('http://127.0.0.1:9/tiny.gguf', waiting()));
    expect(explainError(port)).toMatch(/Its port belongs to another service/);
    const plain = await behind((response) => refuse(response, 503));
    const secure = fromUrl(plain).replace('http:', 'https:');
    expect((await failure(store.pull(secure, waiting()))).facts.reason).toMatch(/does not speak https/);
    expect(told.filter(({ type }) => type === 'again')).toEqual([]);
  });

  test('MODEL-52: https only, except to this machine; redirects are few and do not lead out of that', async () => {
    const store = await models();
    for (const address of [
      'http://models.example/x.gguf',
      'ftp://127.0.0.1/x',
      'https://me:secret@h/x',
      'x',
    ]) {
      expect((await failure(store.pull(address, waiting()))).code, address).toBe('usage');
    }
    const loop = await behind((response) => refuse(response, 302, { location: '/again.gguf' }));
    expect((await failure(store.pull(fromUrl(loop), waiting()))).facts.reason).toMatch(/too often/);
    expect(loop.asked).toHaveLength(6);
    const away = await behind((response) => refuse(response, 302, { location: 'http://models.example/x' }));
    expect((await failure(store.pull(fromUrl(away), waiting()))).facts.reason).toMatch(/not secure/);
    const target = await behind((response, asked) => serve(response, asked, content('a')));
    const good = await behind((response) => refuse(response, 302, { location: fromUrl(target) }));
    expect((await store.pull(fromUrl(good), waiting())).sizeBytes).toBe(300_000);
  });
});

describe('a hub', () => {
  const whole = content('a');
  const hub = (lfs: { oid: string; size: number } | undefined): Promise<FileServer> =>
    behind((response, asked) => {
      if (asked.path.startsWith('/api/models/own/repo/tree/')) {
        response.setHeader('content-type', 'application/json');
        const list = [
          { type: 'file', path: 'README.md', size: 10 },
          { type: 'file', path: 'q4/tiny.gguf', size: 300_000, ...(lfs && { lfs }) },
        ];
        response.end(JSON.stringify(list));
      } else if (asked.path === '/own/repo/resolve/main/q4/tiny.gguf') serve(response, asked, whole);
      else refuse(response, 404);
    });

  test('MODEL-53: a file is found, and its checksum and size are held against what comes', async () => {
    const server = await hub({ oid: toHex(digestOf(whole)), size: 300_000 });
    const store = await models({ hub: server.origin, hubToken: 'hf_secret' });
    const model = await store.pull('hub:own/repo/q4/tiny.gguf', waiting());
    expect([model.name, model.source]).toEqual(['tiny', 'hub:own/repo/q4/tiny.gguf']);
    expect(server.asked.map(({ authorization }) => authorization)).toEqual([
      'Bearer hf_secret',
      'Bearer hf_secret',
    ]);
    const missing = await failure(store.pull('hub:own/repo/q4/tyny.gguf', waiting()));
    expect(missing.facts.advice).toContain('q4/tiny.gguf');
    expect((await failure(store.pull('hub:own/none/x.gguf', waiting()))).facts.reason).toMatch(
      /has no own\/none/,
    );
    expect((await failure(store.pull('hub:own/../x/y', waiting()))).code).toBe('usage');
  });

  test('MODEL-53: a hub that lists another content or size is not believed, and a token goes nowhere else', async () => {
    const other = await hub({ oid: toHex(digestOf(content('b'))), size: 300_000 });
    const wrong = await models({ hub: other.origin });
    expect((await failure(wrong.pull('hub:own/repo/q4/tiny.gguf', waiting()))).code).toBe('model-invalid');
    const asked = fromHex(toHex(digestOf(whole)));
    const both = await failure(wrong.pull('hub:own/repo/q4/tiny.gguf', { ...waiting(), sha256: asked }));
    expect(both.code).toBe('model-invalid');
    const small = await hub({ oid: toHex(digestOf(whole)), size: 299_999 });
    const sized = await models({ hub: small.origin });
    expect((await failure(sized.pull('hub:own/repo/q4/tiny.gguf', waiting()))).facts.reason).toMatch(
      /hub lists/,
    );
    const store = await behind((response, request) => serve(response, request, whole));
    const front = await behind((response, request) =>
      request.path.startsWith('/api/')
        ? refuse(response, 500)
        : refuse(response, 302, { location: fromUrl(store) }),
    );
    const trusting = await models({ hub: front.origin, hubToken: 'hf_secret' });
    await trusting.pull('hub:own/repo/q4/tiny.gguf', waiting());
    expect(store.asked.map(({ authorization }) => authorization)).toEqual([undefined]);
  });
});
