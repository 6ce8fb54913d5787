/** Documents that people give through a bridge elsewhere: over real HTTP with a bearer token, into real vaults. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseManifest } from '../../src/agent/manifest.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import type { LearnOrder } from '../../src/bridges/core/ports.ts';
import { LEARN_BYTES_MAX } from '../../src/bridges/limits.ts';
import { createRemotePorts } from '../../src/daemon/bridges-client.ts';
import { serveBridges } from '../../src/daemon/bridges-remote.ts';
import { bridgesSchema } from '../../src/daemon/config-bridges.ts';
import { LEARNED_LICENCE, learnedVaultName, vaultNames, vaultsFor } from '../../src/daemon/learned-vault.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { searchCorpora } from '../../src/vault/search/search.ts';
import { agentsOver } from '../stand-ins/agents.ts';
import { LEARNER, type LearningHome, learningHome } from '../stand-ins/learning.ts';
import { createMoneyService, signerOf } from '../stand-ins/money.ts';

const TOKEN = 'a-bearer-token-for-tests-only';
const DID = didOf(signerOf(9).publicKey);
const ORDER: LearnOrder = {
  ...{ reference: new Uint8Array(16).fill(7), giver: 'telegram:7', contributor: DID, agent: LEARNER },
  ...{ name: '../notes.md', bytes: utf8('The lighthouse of Port Zorbel was lit in 1874.'), consent: 'yes' },
};

let home: LearningHome;
let server: { readonly address: string; stop(): Promise<void> };

beforeEach(async () => {
  home = await learningHome(systemClock);
  const agents = agentsOver('http://127.0.0.1:1');
  const parts = { agents, money: createMoneyService(), learn: home.learning, log: silentLog };
  server = await serveBridges(parts, { listen: '127.0.0.1:0', token: TOKEN });
});
afterEach(async () => {
  await server.stop();
  await home.close();
});

// BRG-156
describe('the vault of what people gave', () => {
  it('is searched beside those of the manifest by the agent that learns, and by no other', async () => {
    const { vaults } = home;
    const own = await vaults.create('own');
    const provenance = { contributor: new Uint8Array(32), contribution: undefined, licence: '' };
    await own.importDocument({ name: 'own.md', bytes: utf8('Camels walk far.'), provenance });
    const of = (name: string, names: string) =>
      parseManifest(`name: ${name}\nvaults: [${names}]\n`, { file: 'm' });
    const parts = {
      knowledge: { vaults },
      config: { bridges: { ...bridgesSchema.parse({}), learn: LEARNER } },
    };
    const both = await vaultsFor(of(LEARNER, 'own'), parts);
    expect(both.map((vault) => vault.stats().documents)).toEqual([1, 0]);
    const { hits } = await searchCorpora(both, { question: 'How far do camels walk?' });
    expect(hits).toHaveLength(1);
    await home.learning.learn(ORDER);
    expect(both[1]?.stats().documents).toBe(1);
    expect(await vaultsFor(of('other', 'own'), parts)).toHaveLength(1);
    const given = learnedVaultName(LEARNER);
    expect(vaultNames(of(LEARNER, 'own'), LEARNER)).toEqual(['own', given]);
    await expect(vaultsFor(of('other', `own, ${given}`), parts)).rejects.toMatchObject({
      code: 'grant-refused',
    });
  });

  it('has a name of its own for every agent', () => {
    expect(learnedVaultName('guide')).toBe('learned-guide');
    const odd = ['Führer', 'a b', 'A B', 'x'.repeat(64)].map(learnedVaultName);
    expect(new Set(odd).size).toBe(4);
    for (const name of odd) expect(name).toMatch(/^learned-[0-9a-f]{32}$/);
  });
});

// BRG-163
describe('a daemon that learns for bridges elsewhere', () => {
  it('keeps a document once under its id, lists it for its owners, and destroys it for them', async () => {
    const { learn } = createRemotePorts(server.address, TOKEN);
    expect(await learn.open()).toEqual({ name: LEARNER, documents: 0, people: 0, sizeBytes: 0 });
    const [first, second] = await Promise.all([learn.learn(ORDER), learn.learn(ORDER)]);
    expect(second).toEqual(first);
    expect(await learn.open()).toMatchObject({ documents: 1, people: 1 });
    const [document] = await learn.list(['discord:8', DID]);
    expect(document).toMatchObject({ name: 'notes.md', contributor: DID, consent: 'yes' });
    const vault = await home.vaults.open(learnedVaultName(LEARNER));
    expect(await vault.document(`notes.md by ${DID}`)).toMatchObject({ licence: LEARNED_LICENCE });
    const id = document?.id ?? '';
    expect(await learn.forget(['telegram:8'], id)).toBe(false);
    expect(await learn.forget(['telegram:7'], id)).toBe(true);
    expect(await learn.learn(ORDER)).toEqual({ type: 'refused', why: 'over' });
    expect(vault.stats().documents).toBe(0);
  });

  it('takes nothing without the token, too large, unreadable, or malformed', async () => {
    const stranger = createRemotePorts(server.address, 'another-token-that-is-wrong').learn;
    await expect(stranger.learn(ORDER)).rejects.toMatchObject({ code: 'token-refused' });
    const { learn } = createRemotePorts(server.address, TOKEN);
    const bytes = new Uint8Array(LEARN_BYTES_MAX + 4).fill(65);
    await expect(learn.learn({ ...ORDER, bytes })).rejects.toMatchObject({ code: 'malformed' });
    await expect(learn.learn({ ...ORDER, bytes: utf8(' ') })).rejects.toMatchObject({
      code: 'document-unreadable',
    });
    await expect(learn.learn({ ...ORDER, contributor: 'somebody' })).rejects.toMatchObject({
      code: 'malformed',
    });
    await expect(learn.learn({ ...ORDER, consent: '' })).rejects.toMatchObject({ code: 'malformed' });
    expect(await home.vaults.names()).toEqual([]);
    const largest = { ...ORDER, bytes: new Uint8Array(LEARN_BYTES_MAX).fill(65) };
    expect(await learn.learn({ ...largest, name: 'a.txt' })).toMatchObject({ type: 'kept' });
  });
});
