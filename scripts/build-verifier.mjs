/** Bundles the standalone verifier into one file, `dist/verifier.js`, for browsers and plain Node. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const file = process.argv[2] ?? join(root, 'dist/verifier.js');

await build({
  input: join(root, 'src/protocol/verifier.ts'),
  platform: 'browser',
  logLevel: 'warn',
  external: [],
  output: { file, format: 'es', minify: true },
});
