/** What can be said of a home without its daemon. */
import { existsSync, statSync } from 'node:fs';
import { explainError } from '../base/error-text.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Finding } from '../daemon/admin/types.ts';
import { loadConfig } from '../daemon/config.ts';
import { openKeystore } from '../daemon/keystore.ts';
import type { App } from './app.ts';

/** Findings about Node, the home, its configuration and its keys. */
export async function examineHome({ home, environment }: App): Promise<readonly Finding[]> {
  const findings: Finding[] = [
    { name: 'node', state: 'ok', found: `${process.versions.node} on ${process.platform} ${process.arch}` },
    { name: 'daemon', state: 'fault', found: 'not running', next: 'Start it with `sahara up`.' },
  ];
  findings.push(folder(home.root));
  findings.push(
    await tried('config', home.config, () =>
      loadConfig({ file: { path: home.config, required: false }, environment }),
    ),
  );
  if (existsSync(home.keys))
    findings.push(await tried('keys', home.keys, async () => (await openKeystore(home.keys)).list()));
  return findings;
}

function folder(path: string): Finding {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined)
    return { name: 'home', state: 'note', found: `${path} is made at the first start` };
  if (found.isDirectory()) return { name: 'home', state: 'ok', found: path };
  return {
    name: 'home',
    state: 'fault',
    found: `${path} is a file`,
    next: 'Name another folder with SAHARA_HOME.',
  };
}

async function tried(name: string, what: string, work: () => unknown): Promise<Finding> {
  try {
    await work();
    return { name, state: 'ok', found: what };
  } catch (error) {
    return { name, state: 'fault', found: explainError(asSaharaError(error)) };
  }
}
