/**
 * Proves that the standalone verifier works in a real browser: builds it, serves it on loopback beside sound
 * and damaged evidence bundles and audit files, and reads what a headless Chromium made of them.
 */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BROWSER_PAGE } from './browser-page.ts';

const root = join(import.meta.dirname, '..');

function findChromium(): string {
  const names = [process.env.CHROMIUM_BIN ?? '', 'chromium', 'chromium-browser', 'google-chrome'];
  const found = names.find((name) => name !== '' && spawnSync(name, ['--version']).status === 0);
  if (found === undefined) throw new Error('no Chromium found: run scripts/install-browser.sh first');
  return found;
}

/** A sound bundle and a sound audit file, and each with one byte changed. */
async function cases(): Promise<Readonly<Record<string, string>>> {
  const [sound, audit] = await Promise.all(['bundle', 'audit'].map(soundIn));
  if (sound === undefined || audit === undefined) throw new Error('spec/vectors holds no sound evidence');
  return { sound, damaged: damaged(sound), audit, 'damaged audit': damaged(audit) };
}

async function soundIn(name: string): Promise<string | undefined> {
  const vector = JSON.parse(await readFile(join(root, `spec/vectors/${name}.json`), 'utf8')) as {
    readonly valid: readonly { readonly hex: string }[];
  };
  return vector.valid[0]?.hex;
}

function damaged(sound: string): string {
  const at = Math.floor(sound.length / 4) * 2;
  const flipped = (Number.parseInt(sound.slice(at, at + 2), 16) ^ 1).toString(16).padStart(2, '0');
  return sound.slice(0, at) + flipped + sound.slice(at + 2);
}

async function main(): Promise<void> {
  const chromium = findChromium();
  const built = spawnSync(process.execPath, [join(root, 'scripts/build-verifier.mjs')], { stdio: 'inherit' });
  if (built.status !== 0) throw new Error('the verifier did not build');
  const script = await readFile(join(root, 'dist/verifier.js'));
  const told = JSON.stringify(await cases());
  const server = createServer((request, response) => {
    if (request.url === '/verifier.js') {
      response.setHeader('content-type', 'text/javascript').end(script);
    } else if (request.url === '/cases.json') {
      response.setHeader('content-type', 'application/json').end(told);
    } else {
      response.setHeader('content-type', 'text/html; charset=utf-8').end(BROWSER_PAGE);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const profile = await mkdtemp(join(tmpdir(), 'sahara-browser-'));
  try {
    const { port } = server.address() as AddressInfo;
    const { stdout } = await promisify(execFile)(
      chromium,
      [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        `--user-data-dir=${profile}`,
        '--virtual-time-budget=20000',
        '--dump-dom',
        `http://127.0.0.1:${port}/`,
      ],
      { timeout: 120_000, maxBuffer: 4_194_304 },
    );
    const verdict = /<pre id="verdict">([^<]*)<\/pre>/.exec(stdout)?.[1] ?? '';
    console.log(verdict);
    const wanted = ['sound: true', 'damaged: false', '\naudit: true', 'damaged audit: false'];
    if (!wanted.every((line) => verdict.includes(line))) {
      throw new Error('the browser did not give the expected verdicts');
    }
  } finally {
    server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

await main();
