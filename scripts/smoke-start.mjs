/**
 * Runs the README's first command as a stranger would, on whatever Node is in front: starts the peer, asks its
 * guide one question from another process, stops the peer by a signal. Exits 0 when each did what it says.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..');
const home = mkdtempSync(join(tmpdir(), 'sahara-smoke-'));
const env = { ...process.env, SAHARA_HOME: home };

const peer = spawn('npm', ['start', '--silent'], {
  cwd: root,
  env,
  stdio: ['ignore', 'pipe', 'inherit'],
  detached: true,
});
const ended = new Promise((resolve) => peer.on('exit', (code, signal) => resolve(code ?? signal)));
try {
  await ready();
  const asked = ['bin/sahara.js', 'ask', 'guide', 'What is a voucher?', '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, asked, { cwd: root, env });
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const text = events.map((event) => (event.type === 'delta' ? event.text : '')).join('');
  if (!/voucher/i.test(text)) throw new Error(`the guide said nothing of vouchers: ${stdout}`);
  console.log(`asked on Node ${process.versions.node}: ${text.trim().split('\n')[0]}`);
  process.kill(-peer.pid, 'SIGTERM');
  console.log(`stopped: ${await ended}`);
} finally {
  if (peer.exitCode === null && peer.signalCode === null) process.kill(-peer.pid, 'SIGKILL');
  await ended;
  rmSync(home, { recursive: true, force: true, maxRetries: 5 });
}

/** Resolves when the peer has printed what to try next; rejects when it ends first. */
function ready() {
  return new Promise((resolve, reject) => {
    let printed = '';
    peer.stdout.on('data', (chunk) => {
      process.stdout.write(chunk);
      printed += chunk;
      if (/sahara ask guide/.test(printed)) resolve();
    });
    ended.then((code) => reject(new Error(`the peer ended with ${code} before it was ready`)));
  });
}
