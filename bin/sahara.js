#!/usr/bin/env node
// Starts Sahara on a Node that can run it. Plain old JavaScript on purpose: this file must be understood by every
// Node since 12.17, so that somebody with an old one reads a sentence and not a syntax error.
import { spawn } from 'child_process';
import { existsSync } from 'fs';
import { createRequire } from 'module';
import { dirname, join } from 'path';
import { fileURLToPath, pathToFileURL } from 'url';

const NODE_MIN = [22, 18];
const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** A checkout runs its sources as they stand (Node strips the types); the published package holds `dist` alone. */
function entry() {
  const source = join(root, 'src', 'cli', 'main.ts');
  const built = join(root, 'dist', 'cli', 'main.js');
  return existsSync(source) ? source : built;
}

function newEnough() {
  const parts = process.versions.node.split('.').map(Number);
  return parts[0] > NODE_MIN[0] || (parts[0] === NODE_MIN[0] && parts[1] >= NODE_MIN[1]);
}

/** The Node that npm installed beside this package, if it did. */
function bundledNode() {
  const name = process.platform === 'win32' ? 'node.exe' : 'node';
  try {
    const manifest = createRequire(import.meta.url).resolve('node/package.json');
    const binary = join(dirname(manifest), 'bin', name);
    return existsSync(binary) ? binary : undefined;
  } catch (_error) {
    return undefined;
  }
}

/** Runs this file again under `node` and ends as it ends. */
function handOver(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url)].concat(process.argv.slice(2)), {
    stdio: 'inherit',
    env: Object.assign({}, process.env, { SAHARA_LAUNCHED: '1' }),
  });
  ['SIGINT', 'SIGTERM', 'SIGHUP'].forEach((signal) => {
    process.on(signal, () => child.kill(signal));
  });
  child.on('error', (error) => {
    process.stderr.write(`sahara: could not start ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    process.exit(signal === null ? code : 1);
  });
}

if (newEnough()) {
  import(pathToFileURL(entry()).href).catch((error) => {
    process.stderr.write(`sahara: could not start: ${error && error.message ? error.message : error}\n`);
    process.exit(1);
  });
} else {
  const node = process.env.SAHARA_LAUNCHED ? undefined : bundledNode();
  if (node === undefined) {
    process.stderr.write(
      `sahara: needs Node ${NODE_MIN.join('.')} or newer; this is ${process.versions.node}. ` +
        'Install it from https://nodejs.org, or run `npm ci` in a checkout, which brings its own.\n',
    );
    process.exit(2);
  } else {
    handOver(node);
  }
}
