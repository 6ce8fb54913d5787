import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import { revocationKey } from '../../src/ledger/identities.ts';
import { keyEvidenceOf } from '../../src/ledger/key-evidence.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { createLightClient } from '../../src/ledger/light/client.ts';
import { REVOCATIONS } from '../../src/ledger/records-identity.ts';
import { RESULT_CODES } from '../../src/ledger/result-codes.ts';
import { type LedgerMesh, ledgerTopics } from '../../src/ledger/sync.ts';
import { blockHeader } from '../../src/protocol/block.ts';
import { keyEvidence, openKeyEvidence } from '../../src/protocol/key-evidence.ts';
import { type Signed, signed } from '../../src/protocol/signing.ts';
import { verifyStateProof } from '../../src/protocol/state-proof.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Action } from '../../src/protocol/transaction.ts';
import { CLOSE_DELAY, register, rotate } from './identity-support.ts';
import { createInProcessNetwork, ledgerNetwork } from './in-process.ts';
import { alice, bob, carol, person, sequencer, signAction, suite, testGenesis } from './support.ts';

const genesis = testGenesis();
const name = networkNameOf(suite, genesis);
const [k1, k2] = [person('k1'), person('k2')];
const running: Ledger[] = [];
afterEach(async () => {
  for (const ledger of running.splice(0)) await ledger.stop();
});

async function start(mesh: LedgerMesh, signer?: Signer): Promise<Ledger> {
  const network = ledgerNetwork(mesh, name);
  const store = createMemoryStore();
  const parts = { suite, clock: systemClock, log: silentLog, store, network, ...(signer && { signer }) };
  const ledger = await createEmbeddedLedger(parts, genesis, { pollIntervalMs: 40, republishIntervalMs: 40 });
  running.push(ledger);
  return ledger;
}

const pay: Action = { type: 'transfer', to: carol.publicKey, amount: 1n, memo: undefined };
const of = (key: Signer, nonce: number, action: Action): Signed =>
  signAction(name, key, nonce, action, { sender: alice.publicKey });

function reached(ledger: Ledger, height: number): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (ledger.head().height >= height) resolve();
      else setTimeout(look, 5);
    };
    look();
  });
}

test('LEDGER-70 LEDGER-78: a follower answers as the sequencer does, and idle blocks end with the delay', async () => {
  const network = createInProcessNetwork();
  const leader = await start(network.join('leader'), sequencer);
  const follower = await start(network.join('follower'));
  const told: number[] = [];
  follower.onBlock(({ identities }) => told.push(identities.length));
  await follower.submit(of(alice, 0, register(k1)));
  const { height } = await follower.submit(of(k1, 1, rotate(k1, k2)));
  expect(told).toEqual([1, 1]);
  const identity = follower.identity(alice.publicKey);
  expect(identity).toMatchObject({ key: k1.publicKey, retired: [{ until: height + CLOSE_DELAY }] });
  expect(leader.identity(alice.publicKey)).toEqual(identity);
  await reached(leader, height + CLOSE_DELAY);
  const next = await follower.submit(of(k1, 2, pay));
  expect(next.height).toBe(height + CLOSE_DELAY + 1);
  expect(follower.head()).toEqual(leader.head());
  const report = await follower.verify();
  expect(report).toMatchObject({ height: next.height });
  expect(report.stateRoot).toEqual(follower.head().stateRoot);
});

test('LEDGER-70: what the old key signed is refused once the rotation is in a block, also what waited for it', async () => {
  const leader = await start(createInProcessNetwork().join('leader'), sequencer);
  await leader.submit(of(alice, 0, register(k1)));
  const waiting = leader.submit(of(alice, 2, pay));
  const refused = expect(waiting).rejects.toMatchObject({
    code: 'tx-refused',
    facts: { code: RESULT_CODES['signature-invalid'].code },
  });
  await leader.submit(of(k1, 1, rotate(k1, k2)));
  await refused;
  await expect(leader.submit(of(alice, 2, pay))).rejects.toMatchObject({ code: 'tx-invalid' });
  await leader.submit(of(k1, 2, pay));
  expect(leader.account(alice.publicKey).nonce).toBe(3);
});

test('LEDGER-79: a wrong signature of a registered DID is dropped without blame, of any other it is a fault', async () => {
  const network = createInProcessNetwork();
  const leader = await start(network.join('leader'), sequencer);
  await leader.submit(of(alice, 0, register(k1)));
  const stranger = network.join('stranger');
  const topic = ledgerTopics(name).transactions;
  const judged = async (message: Signed): Promise<string | undefined> => {
    const before = network.verdicts.length;
    await stranger.publish(topic, signed.encode(message));
    while (network.verdicts.length === before) await new Promise((resume) => setTimeout(resume, 2));
    return network.verdicts.at(-1);
  };
  expect(await judged(of(k2, 1, pay))).toBe('ignore');
  expect(await judged(of(k2, 1, rotate(k2, k1)))).toBe('ignore');
  expect(await judged(signAction(name, k2, 0, pay, { sender: bob.publicKey }))).toBe('reject');
  expect(await judged(of(k1, 1, rotate(k1, k2)))).toBe('accept');
});

test('ID-20 LEDGER-146: key evidence is made from a ledger that is kept and from one that is asked', async () => {
  const network = createInProcessNetwork();
  const leader = await start(network.join('leader'), sequencer);
  const asking = createLightClient({
    suite,
    genesis,
    ask: network.join('caller'),
    store: createMemoryStore(),
  });
  const dids = [bob, alice, carol].map(({ publicKey }) => publicKey);
  for (const ledger of [leader, asking]) {
    expect(await keyEvidenceOf(ledger, [])).toBeUndefined();
    expect(await keyEvidenceOf(ledger, dids)).toBeUndefined();
  }
  await leader.submit(of(alice, 0, register(k1)));
  await leader.submit(of(k1, 1, rotate(k1, k2)));
  for (const ledger of [leader, asking]) {
    const evidence = await keyEvidenceOf(ledger, dids);
    if (evidence === undefined) throw new Error('no evidence');
    const decoded = keyEvidence.decode(keyEvidence.encode(evidence));
    const known = openKeyEvidence(suite, decoded, { network: name, sequencer: sequencer.publicKey });
    expect(known.count).toBe(1);
    expect(known.signersOf(alice.publicKey)).toEqual([k1.publicKey, alice.publicKey]);
    expect(known.signersOf(bob.publicKey)).toEqual([bob.publicKey]);
    expect(await keyEvidenceOf(ledger, [bob.publicKey])).toBeUndefined();
  }
});

test('LEDGER-77 LEDGER-146: that a certificate is revoked, and that another is not, is proved offline', async () => {
  const network = createInProcessNetwork();
  const leader = await start(network.join('leader'), sequencer);
  const asking = createLightClient({
    suite,
    genesis,
    ask: network.join('caller'),
    store: createMemoryStore(),
  });
  const [revoked, other] = [1, 2].map((fill) => new Uint8Array(16).fill(fill)) as [Uint8Array, Uint8Array];
  const { height } = await leader.submit(of(alice, 0, { type: 'revoke-certificate', serial: revoked }));
  const keys = [revoked, other].map((serial) => revocationKey(alice.publicKey, serial));
  for (const ledger of [leader, asking]) {
    const { header, entries } = await ledger.prove(keys);
    if (header === undefined) throw new Error('no header');
    const { stateRoot } = blockHeader.decode(header.payload);
    const holds = entries.map(({ value, proof }, i) =>
      verifyStateProof(suite, stateRoot, { key: keys[i] ?? revoked, value }, proof),
    );
    expect(holds).toEqual([true, true]);
    const [first, second] = entries.map(({ value }) => value);
    expect(first && REVOCATIONS.schema.decode(first)).toEqual({ since: height });
    expect(second).toBeUndefined();
  }
});
