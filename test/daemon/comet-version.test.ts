import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { COMET_INSTALL, COMET_VERSIONS } from '../../src/daemon/comet/version.ts';

test('the versions of CometBFT stand in one place', () => {
  const files = execFileSync('git', ['ls-files', '-z', '--', ':!test/ledger/testdata'], { encoding: 'utf8' });
  const named = files
    .split('\0')
    .filter((path) => /\.(ts|mjs|json|md|toml)$|install-cometbft$/.test(path))
    .filter((path) => COMET_VERSIONS.some((version) => readIfThere(path).includes(version)));
  expect(named).toEqual(['src/daemon/comet/version.ts']);
  expect(COMET_INSTALL).toContain(COMET_VERSIONS[0]);
});

test('a version that is not tried is not installed', () => {
  const { status, stderr } = spawnSync('bash', ['scripts/install-cometbft', '0.37'], { encoding: 'utf8' });
  expect(status).toBe(2);
  for (const version of COMET_VERSIONS) expect(stderr).toContain(version);
});

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
