/**
 * Proves the published package: packs it, installs the archive into an empty folder without development
 * dependencies, runs its command, imports its public names, and verifies a bundle with the standalone verifier.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(new URL('.', import.meta.url).pathname, '..');
const folder = mkdtempSync(join(tmpdir(), 'sahara-package-'));
// The project's own Node: whoever installs the package brings one that is new enough.
const node = join(root, 'node_modules', '.bin', 'node');
const run = (command, args, cwd) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
try {
  run('npm', ['run', '--silent', 'build'], root);
  const [packed] = JSON.parse(
    run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], root),
  );
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  run(
    'npm',
    ['install', '--no-save', '--no-audit', '--no-fund', '--omit=dev', join(folder, packed.filename)],
    folder,
  );
  const version = run(node, ['node_modules/sahara/bin/sahara.js', '--version'], folder).trim();
  const [sound] = JSON.parse(readFileSync(join(root, 'spec/vectors/bundle.json'), 'utf8')).valid;
  writeFileSync(
    join(folder, 'try.js'),
    `import { didOf, createSigner } from 'sahara';
import { verify } from 'sahara/verifier';
const { ok } = verify(Uint8Array.from(Buffer.from('${sound.hex}', 'hex')));
console.log(ok && didOf(createSigner(new Uint8Array(32)).publicKey).startsWith('did:key:z6Mk'));
`,
  );
  const imported = run(node, ['try.js'], folder).trim();
  console.log(
    `packed ${packed.files.length} files, ${packed.size} bytes; version ${version}; imports: ${imported}`,
  );
  if (imported !== 'true' || version === '') process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
