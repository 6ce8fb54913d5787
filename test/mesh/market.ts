/** Agents with keys, cards and directories of their own, for tests of the directory and the market. */
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { systemDice } from '../../src/base/random.ts';
import type { LocalAgent } from '../../src/mesh/announcer.ts';
import {
  createDirectory,
  type Directory,
  type DirectoryOptions,
  type DirectoryParts,
} from '../../src/mesh/directory.ts';
import type { Mesh } from '../../src/mesh/interface.ts';
import { type Card, card } from '../../src/protocol/card.ts';
import { certificate, certificateChain } from '../../src/protocol/certificate.ts';
import {
  createTickSigner,
  createVerifier,
  signed,
  signOne,
  type TickSigner,
} from '../../src/protocol/signing.ts';
import type { Signer, Suite } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite } from '../../src/protocol/suite-native.ts';

export const NETWORK = 'local';
export const suite: Suite = nativeSuite;

/** A random key. */
export const newKey = (): Signer => createSigner(systemDice.bytes(32));

/** Signs with a key. */
export const tickSigner = (signer: Signer): TickSigner =>
  createTickSigner({ suite, signer, network: NETWORK });

/** An agent with its own key and a card that its operator vouches for. */
export interface MadeAgent {
  readonly card: Card;
  /** The signed card in its wire form, and its hash. */
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
  readonly key: Signer;
  readonly signer: TickSigner;
  readonly local: LocalAgent;
}

/** Makes an agent. */
export function makeAgent(name: string, changes: Partial<Card> = {}): MadeAgent {
  const key = newKey();
  const operator = newKey();
  const nowMs = Date.now();
  const link = signOne(suite, operator, NETWORK, {
    type: 'certificate',
    payload: certificate.encode({
      version: 1,
      network: NETWORK,
      issuer: operator.publicKey,
      subject: { kind: 'key', id: key.publicKey },
      roles: ['agent'],
      capabilities: ['serve:agent/*'],
      notBeforeMs: nowMs - 1_000,
      notAfterMs: nowMs + 3_600_000,
      serial: systemDice.bytes(16),
    }),
  });
  const said: Card = {
    version: 1,
    network: NETWORK,
    agent: key.publicKey,
    operator: operator.publicKey,
    name,
    description: 'answers',
    languages: ['en'],
    skills: [{ name: 'ask', description: 'answers questions', examples: [] }],
    price: { perCall: 100n, perInputUnit: 1n, perOutputUnit: 2n },
    free: { calls: 0, windowSeconds: 0 },
    limits: { questionBytes: 1_000, outputUnits: 1_000, deadlineMs: 10_000, concurrency: 4 },
    licence: 'CC-BY-4.0',
    manifestHash: systemDice.bytes(32),
    model: { name: 'extractive', digest: systemDice.bytes(32), determinism: 'exact' },
    asset: systemDice.bytes(32),
    issuedAtMs: nowMs,
    operatorCertificate: certificateChain.encode([link]),
    ...changes,
  };
  const bytes = signed.encode(signOne(suite, key, NETWORK, { type: 'card', payload: card.encode(said) }));
  const signer = tickSigner(key);
  return {
    card: said,
    bytes,
    hash: suite.sha256(bytes),
    key,
    signer,
    local: {
      signer,
      card: bytes,
      describe: () => ({
        operator: operator.publicKey,
        name,
        skills: said.skills.map((skill) => skill.name),
        perCall: said.price.perCall,
        queue: 0,
        latencyMs: undefined,
        modelDigest: said.model.digest,
      }),
    },
  };
}

/** Parts that every part of the mesh takes. */
export function partsOf(mesh: Mesh): DirectoryParts {
  return {
    mesh,
    suite,
    verifier: createVerifier(suite),
    clock: systemClock,
    dice: systemDice,
    log: silentLog,
  };
}

/** Directories of one test; `stop` stops them all. */
export interface Directories {
  start(
    mesh: Mesh,
    options?: Partial<DirectoryOptions>,
    more?: Pick<DirectoryParts, 'measured' | 'conduct'>,
  ): Directory;
  stop(): Promise<void>;
}

/** No directories yet. */
export function createDirectories(): Directories {
  const started: Directory[] = [];
  return {
    start(mesh, options = {}, more = {}) {
      const given = { network: NETWORK, probeTimeoutMs: 2_000, ...options };
      const directory = createDirectory({ ...partsOf(mesh), ...more }, given);
      started.push(directory);
      return directory;
    },
    async stop() {
      await Promise.all(started.splice(0).map((directory) => directory.stop()));
    },
  };
}

/** Names of the agents that a directory lists. */
export const namesIn = (directory: Directory): string[] => directory.agents().map(({ name }) => name);
