import { describe, expect, it } from 'vitest';
import { createVaultAnswerer } from '../../src/agent/answerer.ts';
import { createExtractiveBackend } from '../../src/agent/backends/extractive.ts';
import { createHosting, serveCapability } from '../../src/agent/hosting.ts';
import { MANIFEST_DEFAULTS } from '../../src/agent/manifest.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { systemClock as clock } from '../../src/base/clock.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { certificateChain, verifyChain } from '../../src/protocol/certificate.ts';
import { checkSigned } from '../../src/protocol/signing.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { openVault } from '../../src/vault/vault.ts';
import {
  AGENT_ASSET,
  createRig,
  hash,
  KNOWLEDGE_ASSET,
  keys,
  NETWORK,
  quotingAnswerer,
  tick,
} from './rig.ts';

const DOCUMENT = `# Channels

A payee claims with the last voucher of the payer. The voucher stays valid when the payer disappears.

# Weather

It rains in autumn.
`;

describe('an agent over a vault', () => {
  it('CALL-46: quotes its documents, delivers the passages it cites and pays their contributor', async () => {
    const vault = await openVault({ store: createMemoryStore(), clock });
    await vault.importDocument({
      name: 'channels.md',
      bytes: utf8(DOCUMENT),
      provenance: {
        contributor: keys.contributor.publicKey,
        contribution: KNOWLEDGE_ASSET,
        licence: 'CC-BY-4.0',
      },
    });
    const answerer = createVaultAnswerer(
      { backend: createExtractiveBackend(), vaults: [vault] },
      {
        split: { knowledge: 800_000, operator: 200_000, model: 0, prompt: 0 },
        assets: { agent: AGENT_ASSET },
      },
    );
    const rig = await createRig({ answerer });
    const ask = (question: string): ReturnType<typeof rig.caller.ask>['result'] =>
      rig.caller.ask({ target: rig.target, question, priceMax: 1_000n }).result;
    const found = await ask('Does the voucher stay valid when the payer disappears?');
    expect(found.finish).toBe('done');
    expect(found.text).toContain('The voucher stays valid when the payer disappears.');
    expect(found.sources.map(({ document }) => document)).toEqual(['channels.md']);
    const earned = found.receipt.shares.find(({ role }) => role === 'knowledge');
    expect(earned?.asset).toEqual(KNOWLEDGE_ASSET);
    expect(earned?.amount).toBeGreaterThan(0n);
    const nothing = await ask('Who won the chess championship?');
    expect([nothing.finish, nothing.amount]).toEqual(['nothing-found', 0n]);
    await vault.close();
  });

  it('CALL-10: is served under its newest card, and for a while under earlier ones', async () => {
    const hosting = createHosting({ suite, clock, network: NETWORK, operator: tick(keys.operator) });
    const manifest = { ...MANIFEST_DEFAULTS, name: 'guide' };
    const model = { name: 'extractive/2', digest: hash(1), determinism: 'exact' as const };
    const agent = { manifest, signer: keys.agent, asset: AGENT_ASSET, model, answerer: quotingAnswerer() };
    const first = await hosting.publish(agent);
    const second = await hosting.publish({ ...agent, manifest: { ...manifest, description: 'newer' } });
    const key = keys.agent.publicKey;
    expect(hosting.find(key)?.cardHash).toEqual(second.cardHash);
    expect(hosting.underCard?.(key, first.cardHash)?.card.description).toBe(manifest.description);
    expect(hosting.cardBytes(second.cardHash)).toEqual(second.cardBytes);
    expect(hosting.list()).toHaveLength(1);
    expect(checkSigned(suite, NETWORK, 'card', key, second.signedCard)).toBeUndefined();
    const chain = certificateChain.decode(second.card.operatorCertificate);
    const subject = { kind: 'key' as const, id: key };
    const capability = serveCapability(key);
    const expected = {
      network: NETWORK,
      root: keys.operator.publicKey,
      subject,
      capability,
      nowMs: clock.nowMs(),
    };
    expect(verifyChain(suite, chain, expected).capabilities).toEqual([capability]);
    await expect(hosting.publish({ ...agent, signer: keys.stranger })).rejects.toMatchObject({
      code: 'agent-exists',
    });
    expect([hosting.withdraw(key), hosting.find(key)]).toEqual([true, undefined]);
  });
});
