/**
 * The fault suite: real daemons, killed, stopped, cut off and starved at every labelled point (`docs/faults.md`).
 *
 *   npm run faults                              all of it
 *   npm run faults -- --short                   every fourth point and a sample of the cuts
 *   npm run faults -- --only host:admitted      one point, or several with commas
 *   npm run faults -- disk sockets              only some of the files; other arguments go to vitest
 *
 * Its full disks are small file systems of their own: they need the right to mount, which a user namespace gives
 * where this user is not root.
 */
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values, tokens } = parseArgs({
  options: { only: { type: 'string' }, short: { type: 'boolean' } },
  strict: false,
  allowPositionals: true,
  tokens: true,
});
const others = tokens.flatMap((token) => {
  if (token.kind === 'positional') return [token.value];
  if (token.kind !== 'option' || token.name === 'only' || token.name === 'short') return [];
  return [token.inlineValue ? `${token.rawName}=${token.value}` : token.rawName];
});
const only = typeof values.only === 'string' ? values.only : undefined;
const vitest = ['vitest', 'run', '--config', 'vitest.faults.config.ts', ...(only ? ['kill'] : []), ...others];
const root = process.getuid?.() === 0;
const [command = 'npx', ...args] = root
  ? ['npx', ...vitest]
  : ['unshare', '--map-root-user', '--mount', 'npx', ...vitest];
const child = spawn(command, args, {
  stdio: 'inherit',
  env: {
    ...process.env,
    ...(only !== undefined && { FAULTS_ONLY: only }),
    ...(values.short === true && { FAULTS_SHORT: '1' }),
  },
});
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
