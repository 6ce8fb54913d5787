/** Files of agents that do harm to who takes them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { giveAgent, type MovingParts, takeAgent } from '../../src/daemon/agent-moving.ts';
import { createAgentVersions } from '../../src/daemon/agent-versions.ts';
import { openKeys } from '../../src/daemon/keys.ts';
import { createOperatorKey } from '../../src/daemon/operator-key.ts';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sahara-moving-'));
});
afterEach(() => rm(root, { recursive: true }));

const { signal } = new AbortController();
const PLAIN = JSON.stringify({ name: 'bees', vaults: ['bees'] });
const openai = { kind: 'openai', endpoint: 'http://127.0.0.1:9/v1', model: 'm' };
const withModel = (more: object): string =>
  JSON.stringify({ name: 'bees', vaults: ['bees'], backend: openai, ...more });
const HARMFUL: readonly (readonly [used: string, manifest: string])[] = [
  ['the program sh -c', withModel({ tools: [{ function: 'f', about: 'a', run: ['sh', '-c', 'true'] }] })],
  ['the program nc', withModel({ tools: [{ mcp: 'm', command: ['nc', '-l'] }] })],
  [
    'the environment variable SAHARA_PASSPHRASE',
    withModel({ backend: { ...openai, keyVariable: 'SAHARA_PASSPHRASE' } }),
  ],
];

interface Home {
  readonly parts: MovingParts;
  /** Manifests that it was told to host. */
  readonly hosted: string[];
}

/** A home with real keys and versions, whose hosting only notes what it is given. */
async function home(name: string): Promise<Home> {
  const keys = await openKeys(join(root, name, 'keys'), undefined);
  const hosted: string[] = [];
  const agents: MovingParts['agents'] = {
    versions: createAgentVersions(join(root, name, 'agents')),
    hosted: () => Object.create(null),
    list: async () => [],
    async add(manifest) {
      hosted.push(manifest);
      return Object.create(null);
    },
  };
  const key = createOperatorKey(keys.operator, keys.signing);
  return { parts: { agents, keys, key, ledger: { identity: () => undefined } }, hosted };
}

/** A file of `giver` for `taker` with these manifests, oldest first. */
async function fileOf(giver: Home, taker: Home, manifests: readonly string[]): Promise<Uint8Array> {
  await giver.parts.agents.versions.drop('bees');
  for (const manifest of manifests) await giver.parts.agents.versions.keep('bees', manifest);
  return giveAgent(giver.parts, { name: 'bees', reader: taker.parts.key.publicKey });
}

describe('a file of another operator', () => {
  it('runs nothing here and is given no secret unless a person trusts it (AGENT-31)', async () => {
    const [giver, taker] = [await home('giver'), await home('taker')];
    const take = async (manifests: readonly string[], trusted: boolean): Promise<unknown> =>
      takeAgent(taker.parts, await fileOf(giver, taker, manifests), { trusted, signal });
    for (const [used, manifest] of HARMFUL) {
      // Also where only a rollback would host it.
      for (const manifests of [[manifest], [manifest, PLAIN]]) {
        await expect(take(manifests, false)).rejects.toMatchObject({
          code: 'usage',
          facts: { reason: expect.stringContaining(used) },
        });
      }
    }
    expect(taker.hosted).toEqual([]);
    expect(await taker.parts.agents.versions.list('bees')).toEqual([]);
    for (const [, manifest] of HARMFUL) await take([manifest], true);
    await take([PLAIN], false);
    expect(taker.hosted).toEqual([...HARMFUL.map(([, manifest]) => manifest), PLAIN]);
  });

  it('leaves no key for an agent of another name (AGENT-31)', async () => {
    const [giver, taker] = [await home('giver'), await home('taker')];
    const other = JSON.stringify({ name: 'wasps', vaults: ['bees'] });
    const file = await fileOf(giver, taker, [other]);
    await expect(takeAgent(taker.parts, file, { trusted: true, signal })).rejects.toMatchObject({
      code: 'usage',
    });
    expect(taker.hosted).toEqual([]);
    const [mine, theirs] = [taker, giver].map(({ parts }) => parts.keys.agentSecret('bees'));
    expect(await mine).not.toEqual(await theirs);
  });
});

describe('a file of this operator', () => {
  it('comes back as it was (AGENT-31)', async () => {
    const own = await home('own');
    for (const [, manifest] of HARMFUL) {
      const file = await fileOf(own, own, [manifest]);
      await takeAgent(own.parts, file, { trusted: false, signal });
    }
    expect(own.hosted).toHaveLength(HARMFUL.length);
  });
});
