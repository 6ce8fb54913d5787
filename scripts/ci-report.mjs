/** Reads what a vitest run reported, and joins it with the second run of the files that did not pass. */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

/** Most files that are run once more; more than these failing at once are no accident. */
const SECOND_RUN_FILES_MAX = 3;
const MESSAGE_CHARS_MAX = 160;

/**
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 * @typedef {{ counts: Counts, problems: readonly string[] }} FileResult what became of one test file
 * @typedef {ReadonlyMap<string, FileResult>} Results by path from the root of the repository
 */

/**
 * What the report at `path` says of each file, or undefined if no report was left.
 *
 * A process that dies leaves tests without an outcome and counts none of them as failed; here they are failed.
 * @returns {Results | undefined}
 */
export function readReport(path) {
  try {
    const { testResults } = JSON.parse(readFileSync(path, 'utf8'));
    return new Map(testResults.map((file) => [relative(process.cwd(), file.name), fileResult(file)]));
  } catch {
    return undefined;
  }
}

/** @returns {FileResult} */
function fileResult({ name, status, message, assertionResults }) {
  const file = relative(process.cwd(), name);
  const whole = status === 'passed';
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const problems = [];
  for (const test of assertionResults) {
    const kind = outcome(test.status, whole);
    counts[kind] += 1;
    if (kind !== 'failed') continue;
    const why =
      test.failureMessages?.[0] ?? 'did not end: its process died, or what it needs before it failed';
    problems.push(`${file}: ${test.fullName}: ${firstLine(why)}`);
  }
  if (!whole && counts.failed === 0) {
    counts.failed = 1;
    problems.push(`${file}: ${firstLine(message || 'could not be run')}`);
  }
  return { counts, problems };
}

/** In a file that failed, what was neither passed nor failed was not left out by choice. */
function outcome(status, whole) {
  if (status === 'passed' || status === 'failed') return status;
  return whole ? 'skipped' : 'failed';
}

function firstLine(text) {
  return text.split('\n', 1)[0].slice(0, MESSAGE_CHARS_MAX);
}

/** Files to run once more: those that did not pass, if they are few; none when the run failed as a whole. */
export function toRunAgain(/** @type {Results | undefined} */ results) {
  const files = [...(results ?? [])].filter(([, { counts }]) => counts.failed > 0).map(([file]) => file);
  return files.length <= SECOND_RUN_FILES_MAX ? files : [];
}

/** `first` with the files of `second` in place of its own. @returns {Results} */
export function withSecondRun(/** @type {Results} */ first, /** @type {Results | undefined} */ second) {
  return new Map([...first, ...(second ?? [])]);
}

/** Sums of all files; a run that failed though every file passed counts as one failure. @returns {Counts} */
export function sum(/** @type {Results | undefined} */ results, /** @type {boolean} */ ok) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const { counts } of (results ?? new Map()).values()) {
    for (const kind of Object.keys(total)) total[kind] += counts[kind];
  }
  if (!ok && total.failed === 0) total.failed = 1;
  return total;
}

/** What went wrong, a line each. */
export function problemsOf(/** @type {Results | undefined} */ results) {
  return [...(results ?? new Map()).values()].flatMap(({ problems }) => problems);
}
