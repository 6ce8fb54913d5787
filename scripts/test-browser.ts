/**
 * Proves that the standalone verifier works in a real browser: builds it, serves it on loopback beside a sound
 * and a damaged evidence bundle, and reads what a headless Chromium made of them.
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

async function bundles(): Promise<{ readonly sound: string; readonly damaged: string }> {
  const vector = JSON.parse(await readFile(join(root, 'spec/vectors/bundle.json'), 'utf8')) as {
    readonly valid: readonly { readonly hex: string }[];
  };
  const sound = vector.valid[0]?.hex;
  if (sound === undefined) throw new Error('spec/vectors/bundle.json holds no valid bundle');
  const at = Math.floor(sound.length / 4) * 2;
  const flipped = (Number.parseInt(sound.slice(at, at + 2), 16) ^ 1).toString(16).padStart(2, '0');
  return { sound, damaged: sound.slice(0, at) + flipped + sound.slice(at + 2) };
}

async function main(): Promise<void> {
  const chromium = findChromium();
  const built = spawnSync(process.execPath, [join(root, 'scripts/build-verifier.mjs')], { stdio: 'inherit' });
  if (built.status !== 0) throw new Error('the verifier did not build');
  const script = await readFile(join(root, 'dist/verifier.js'));
  const cases = JSON.stringify(await bundles());
  const server = createServer((request, response) => {
    if (request.url === '/verifier.js') {
      response.setHeader('content-type', 'text/javascript').end(script);
    } else if (request.url === '/cases.json') {
      response.setHeader('content-type', 'application/json').end(cases);
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
    if (!verdict.includes('sound: true') || !verdict.includes('damaged: false')) {
      throw new Error('the browser did not give the expected verdicts');
    }
  } finally {
    server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

await main();
