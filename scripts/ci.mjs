/**
 * Runs every check that this machine can run, in order, and adds up what they counted. Starts on Node 20; the
 * steps run on the project's own Node through npm. Usage: node scripts/ci.mjs [step ...]
 *
 * A step passes by its exit code. Steps that run vitest add that run's own counts; every other step counts as
 * one. A step that needs something which this machine lacks is skipped aloud with the reason.
 *
 * In steps marked `again`, the few files that did not pass are run once more by themselves. What passes then is
 * named `unsteady` in the summary, with what went wrong: a defect of the test or of the code that waits to be found.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { problemsOf, readReport, sum, toRunAgain, withSecondRun } from './ci-report.mjs';

const MINUTE_MS = 60_000;
const reports = mkdtempSync(join(tmpdir(), 'sahara-ci-'));

/** @typedef {{ name: string, command: string, minutes: number, vitest?: boolean, again?: boolean, needs?: () => string | undefined }} Step */

/** @type {Step[]} */
const STEPS = [
  { name: 'install', command: 'npm ci --no-progress', minutes: 10 },
  { name: 'lock file', command: 'npm ci --dry-run --no-progress >/dev/null', minutes: 5 },
  { name: 'check', command: 'npm run --silent check', minutes: 5 },
  { name: 'build', command: 'npm run --silent build', minutes: 5 },
  { name: 'test', command: 'npm test --silent --', minutes: 20, vitest: true, again: true },
  { name: 'end to end', command: 'npm run --silent test:e2e --', minutes: 55, vitest: true, again: true },
  { name: 'interop build', command: 'scripts/build-interop-go.sh', minutes: 10, needs: withoutGo },
  { name: 'long', command: 'npm run --silent test:long --', minutes: 20, vitest: true, again: true },
  { name: 'cometbft install', command: 'scripts/install-cometbft all', minutes: 30, needs: withoutGo },
  {
    name: 'cometbft',
    command: 'npm run --silent test:cometbft --',
    minutes: 20,
    vitest: true,
    again: true,
    needs: withoutGo,
  },
  { name: 'start', command: 'node scripts/smoke-start.mjs', minutes: 4 },
  { name: 'package', command: 'node scripts/smoke-package.mjs', minutes: 6 },
  { name: 'demo', command: 'npm run --silent demo', minutes: 5 },
  {
    name: 'demo on validators',
    command: 'npm run --silent demo -- --validators 4',
    minutes: 8,
    needs: withoutGo,
  },
  { name: 'resume demo', command: 'npm run --silent demo:resume', minutes: 5 },
  { name: 'lineage demo', command: 'npm run --silent demo:lineage', minutes: 6 },
  { name: 'examples', command: 'npm run --silent examples', minutes: 8 },
  { name: 'browser install', command: 'scripts/install-browser.sh', minutes: 8 },
  { name: 'browser', command: 'npm run --silent test:browser', minutes: 6 },
  { name: 'simulator 1', command: 'npm run --silent sim -- --seeds 5000', minutes: 25 },
  { name: 'simulator 2', command: 'npm run --silent sim -- --seeds 5000 --seed 5001', minutes: 25 },
  { name: 'faults', command: 'npm run --silent faults --', minutes: 30, vitest: true, needs: withoutMounts },
  { name: 'bridges killed', command: 'npm run --silent ci:bridges', minutes: 8 },
  { name: 'bench (reports, does not judge)', command: 'npm run --silent ci:bench', minutes: 15 },
];

const chosen = process.argv.slice(2);
const totals = { passed: 0, failed: 0, skipped: 0 };
const summary = [];

for (const step of STEPS) {
  if (chosen.length > 0 && !chosen.includes(step.name)) continue;
  const reason = step.needs?.();
  if (reason !== undefined) {
    totals.skipped += 1;
    summary.push(`skipped  ${step.name}: ${reason}`);
    continue;
  }
  console.log(`\n=== ${step.name}: ${step.command}`);
  const started = Date.now();
  const { ok, counts, lines } = step.vitest ? await runTests(step) : await runPlain(step);
  const seconds = Math.round((Date.now() - started) / 1000);
  for (const key of Object.keys(totals)) totals[key] += counts[key];
  const what = step.vitest
    ? ` (${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped)`
    : '';
  summary.push(`${ok ? 'passed ' : 'FAILED '}  ${step.name} in ${seconds} s${what}`, ...lines);
  if (!ok && step.name === 'install') break;
}
rmSync(reports, { recursive: true, force: true });

console.log('\n=== what ran');
for (const line of summary) console.log(line);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(totals.failed > 0 ? 1 : 0);

/** Why the Go peer cannot be built here, if so. */
function withoutGo() {
  const found = spawnSync('go', ['version']).status === 0;
  return found
    ? undefined
    : 'Go is not installed (https://go.dev/dl); the tests with go-libp2p and with CometBFT need it';
}

/** Why file systems of their own cannot be mounted for the fault suite, if so. */
function withoutMounts() {
  const able =
    process.getuid?.() === 0 || spawnSync('unshare', ['--map-root-user', '--mount', 'true']).status === 0;
  return able
    ? undefined
    : 'neither root nor user namespaces; the fault suite mounts small disks to fill them';
}

/** Runs a step that counts as one. */
async function runPlain({ command, minutes }) {
  const ok = await run(command, minutes * MINUTE_MS);
  return { ok, counts: { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 }, lines: [] };
}

/** Runs a step of tests, and once more the few files that did not pass where the step allows that. */
async function runTests({ name, command, minutes, again }) {
  const report = join(reports, `${name.replaceAll(' ', '-')}.json`);
  const vitest = `${command} --reporter=default --reporter=json --outputFile.json=`;
  const ok = await run(vitest + report, minutes * MINUTE_MS);
  const first = readReport(report);
  const files = again && !ok ? toRunAgain(first) : [];
  const problems = problemsOf(first);
  if (files.length === 0) {
    return { ok, counts: sum(first, ok), lines: problems.map((problem) => `  failed    ${problem}`) };
  }
  console.log(`\n=== ${name}, once more: ${files.join(' ')}`);
  const okAgain = await run(`${vitest}${report}.again ${files.join(' ')}`, minutes * MINUTE_MS);
  const second = readReport(`${report}.again`);
  const lines = problems.map((problem) => `  ${okAgain ? 'unsteady' : 'failed  '}  ${problem}`);
  return { ok: okAgain, counts: sum(withSecondRun(first, second), okAgain), lines };
}

/** Runs a shell command in a process group of its own, ended whole when it takes too long. */
function run(command, limitMs) {
  return new Promise((resolve) => {
    const child = spawn('bash', ['-c', command], { stdio: ['ignore', 'inherit', 'inherit'], detached: true });
    const timer = setTimeout(() => {
      console.log(`took longer than ${limitMs / MINUTE_MS} minutes: ended`);
      process.kill(-child.pid, 'SIGKILL');
    }, limitMs);
    child.on('exit', (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });
}
