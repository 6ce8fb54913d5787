/** Agents that leave this home as a file for one other operator, and that come as one (AGENT-30 to AGENT-33). */
import { type Manifest, parseManifest } from '../agent/manifest.ts';
import { SaharaError } from '../base/errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { didOf, type PublicKey } from '../protocol/ids.ts';
import { bytes, bytesUpTo, list, record, type Schema, text, uint } from '../protocol/schema.ts';
import { openBox, sealTo } from '../protocol/sealed-box.ts';
import type { Signer } from '../protocol/suite.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { HostedAgentRow } from './admin/types.ts';
import type { AgentKeeper } from './agents.ts';
import type { DaemonKeys } from './keys.ts';
import type { OperatorKey } from './operator-key.ts';

/** What agents move with. */
export interface MovingParts {
  readonly agents: Pick<AgentKeeper, 'add' | 'hosted' | 'list' | 'versions'>;
  readonly keys: Pick<DaemonKeys, 'agentSecret' | 'dropAgent' | 'operatorSeal' | 'takeAgent'>;
  readonly key: OperatorKey;
  readonly ledger: Pick<Ledger, 'identity'>;
}

/** What is inside, for its reader alone. */
interface MovedAgent {
  readonly name: string;
  /** Seed of the agent's own key: its DID, and so its name and what others think of it. */
  readonly seed: Uint8Array;
  /** Manifests that it was hosted with, oldest first, the present one last. */
  readonly manifests: readonly string[];
}

interface Envelope {
  readonly version: number;
  /** Whom it is for, and the key of theirs that it is sealed to. */
  readonly reader: PublicKey;
  readonly sealedTo: PublicKey;
  /** Who gave it away, and the key of theirs that signed. */
  readonly from: PublicKey;
  readonly signer: PublicKey;
  readonly encapsulated: Uint8Array;
  readonly sealed: Uint8Array;
}

const VERSION = 1;

/** Most manifests that go along; the newest. */
const MANIFESTS_MAX = 20;
const MANIFEST_BYTES_MAX = 262_144;

/** Largest file of an agent, bytes. */
const MOVED_BYTES_MAX = 8_388_608;

const moved: Schema<MovedAgent> = record('moved-agent', {
  name: text(64),
  seed: bytes(32),
  manifests: list(text(MANIFEST_BYTES_MAX), MANIFESTS_MAX),
});
const envelopeFields = {
  version: uint(255),
  reader: bytes(32),
  sealedTo: bytes(32),
  from: bytes(32),
  signer: bytes(32),
  encapsulated: bytes(32),
  sealed: bytesUpTo(MOVED_BYTES_MAX),
};
const envelope: Schema<Envelope> = record('agent-file', envelopeFields);
const signedEnvelope: Schema<Envelope & { readonly signature: Uint8Array }> = record('signed-agent-file', {
  ...envelopeFields,
  signature: bytes(64),
});

const INFO = new TextEncoder().encode('sahara/1/agent-file');

/** The file of an agent, for the operator `reader` alone. Throws `agent-unknown`, `seal-invalid`. */
export async function giveAgent(
  { agents, keys, key, ledger }: MovingParts,
  { name, reader }: { readonly name: string; readonly reader: PublicKey },
): Promise<Uint8Array> {
  agents.hosted(name);
  const versions = await agents.versions.list(name);
  const manifests = versions
    .slice(0, MANIFESTS_MAX)
    .map(({ manifest }) => manifest)
    .reverse();
  const inside = moved.encode({ name, seed: await keys.agentSecret(name), manifests });
  const sealedTo = ledger.identity(reader)?.key ?? reader;
  const box = await sealTo(sealedTo, { info: INFO, context: reader }, inside);
  const fields = { version: VERSION, reader, sealedTo, from: key.publicKey, signer: key.signing, ...box };
  const signature = (key satisfies Pick<Signer, 'sign'>).sign(signable(fields));
  return signedEnvelope.encode({ ...fields, signature });
}

/**
 * Hosts the agent of a file. Throws `usage` for a file that is none, is for somebody else or not signed by who gave it,
 * one with manifests of another name or, unless it is `trusted`, of another operator that use what is this home's,
 * `agent-exists` for a name that is taken, and what hosting its manifest throws; then nothing is kept.
 */
export async function takeAgent(
  { agents, keys, key, ledger }: MovingParts,
  file: Uint8Array,
  { trusted, signal }: { readonly trusted: boolean; readonly signal: AbortSignal },
): Promise<{ readonly row: HostedAgentRow; readonly from: string }> {
  const { signature, ...fields } = readFile(file);
  const { reader, sealedTo, from, signer } = fields;
  if (didOf(reader) !== didOf(key.publicKey)) throw refused(`it is for ${didOf(reader)}`);
  const known = ledger.identity(from);
  const signers = known === undefined ? [from] : [known.key, ...known.retired.map((old) => old.key)];
  const mayHave = signers.some((one) => didOf(one) === didOf(signer));
  if (!mayHave || !nativeSuite.verify(signer, signable(fields), signature)) {
    throw refused('it is not signed by who gave it away');
  }
  const inside = moved.decode(
    await openBox(await keys.operatorSeal(sealedTo), { info: INFO, context: reader }, fields),
  );
  const { name, seed, manifests } = inside;
  // A former key of this operator may be a thief's by now.
  const own = didOf(from) === didOf(key.publicKey) && didOf(signer) === didOf(key.signing);
  checkManifests(inside, own || trusted);
  if ((await agents.list()).some((row) => row.name === name)) throw new SaharaError('agent-exists', { name });
  const fresh = await keys.takeAgent(name, seed);
  try {
    for (const earlier of manifests.slice(0, -1)) await agents.versions.keep(name, earlier);
    const row = await agents.add(manifests.at(-1) ?? '', { replace: false, signal });
    return { row, from: didOf(from) };
  } catch (error) {
    // An agent that this home knew before keeps what it was.
    if (fresh) await Promise.all([keys.dropAgent(name), agents.versions.drop(name)]);
    throw error;
  }
}

/** All of them: a rollback hosts an earlier one without looking at it again. */
function checkManifests({ name, manifests }: MovedAgent, trusted: boolean): void {
  for (const text of manifests) {
    const manifest = parseManifest(text, { file: 'manifest' });
    // Under another name the key would wait here for an agent that this operator makes, known to who gave it.
    if (manifest.name !== name) throw refused(`it has a manifest of another agent, ${manifest.name}`);
    const [used] = trusted ? [] : usedOf(manifest);
    if (used === undefined) continue;
    const hint = 'Take it as trusted only if you know who gave it, and what that does';
    throw refused(`it would use ${used} of this machine. ${hint}`);
  }
}

/** What of this home an agent uses that its manifest can turn against the home. */
function usedOf({ backend, tools, search }: Manifest): readonly string[] {
  const programs = tools.flatMap((tool) => {
    if (tool.kind === 'function') return [tool.run];
    return tool.kind === 'mcp' && 'command' in tool.place ? [tool.place.command] : [];
  });
  const variables = [
    backend.kind === 'openai' ? backend.keyVariable : undefined,
    search?.embedder?.keyVariable,
  ];
  return [
    ...programs.map((words) => `the program ${words.join(' ').slice(0, 120)}`),
    ...variables.flatMap((variable) =>
      variable === undefined ? [] : [`the environment variable ${variable}`],
    ),
  ];
}

function readFile(file: Uint8Array): Envelope & { readonly signature: Uint8Array } {
  try {
    const read = signedEnvelope.decode(file);
    if (read.version === VERSION) return read;
  } catch {
    throw refused('it is no file of an agent, or not whole');
  }
  throw refused('it was made by another version of Sahara');
}

function signable(fields: Envelope): Uint8Array {
  return nativeSuite.sha256(INFO, envelope.encode(fields));
}

function refused(reason: string): SaharaError {
  return new SaharaError('usage', { reason: `The agent was not taken: ${reason}` });
}
