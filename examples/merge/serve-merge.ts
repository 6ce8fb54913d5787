/**
 * Registers a merge with its shares on a network of three, serves it as an agent, pays for a call, and shows that the
 * money reaches the makers of its parents. Called by `merge.ts`.
 */
import { ok, strictEqual } from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createPeers, type Peer } from '../../scripts/peers.ts';
import { formatAmount } from '../../src/base/amount.ts';
import { QUESTION } from './ask-model.ts';
import { WHOLE_ANSWER } from './talking-models.ts';

const LOCAL = ['--mesh-host', '127.0.0.1', '--mesh-mdns', 'false', '--mesh-dht', 'false'];
const PPM = 1_000_000n;

/** What is served: the folder of a merge, that of its models, and the shares by model, parts per million. */
export interface MergeToServe {
  readonly directory: string;
  readonly merge: string;
  /** Names of the models that went into it, the base among them. */
  readonly models: readonly string[];
  readonly shares: Readonly<Record<string, number>>;
}

/** Registers, serves, asks and collects. Throws when a grain does not arrive where it should. */
export async function serveMerge(of: MergeToServe): Promise<void> {
  const peers = await createPeers();
  try {
    const [maker, lawyer, caller] = [
      await peers.add('maker'),
      await peers.add('lawyer'),
      await peers.add('caller'),
    ];
    const { addresses } = await maker.start(...LOCAL);
    for (const peer of [lawyer, caller]) await peer.start(...LOCAL, '--bootstrap', addresses[0] ?? '');
    const assets = await register(of, { maker, lawyer });
    await host(of, { maker, asset: assets.merge });
    const { text, part } = await ask(caller);
    strictEqual(text, WHOLE_ANSWER);
    await json(maker, 'channel', 'claim');
    await json(maker, 'collect', assets.merge, '--path');
    for (const name of ['law', 'medicine'] as const) {
      const due = (part * BigInt(of.shares[name] ?? 0)) / PPM;
      const { received } = await json(maker, 'lineage', assets[name]);
      strictEqual(received, String(due), `${name} receives its share`);
      console.log(
        `of ${formatAmount(part)} that a call paid to the merge, ${name} received ${formatAmount(due)}`,
      );
    }
  } finally {
    await peers.clear();
  }
}

interface Assets {
  readonly law: string;
  readonly medicine: string;
  readonly merge: string;
}

// Law belongs to somebody else than the rest; the maker's own models are found by their content.
async function register(
  { directory, merge, models }: MergeToServe,
  { maker, lawyer }: { readonly maker: Peer; readonly lawyer: Peer },
): Promise<Assets> {
  const model = async (peer: Peer, name: string): Promise<string> => {
    const { asset } = await json(peer, 'asset', 'register', join(directory, name), '--kind', 'model');
    return String(asset);
  };
  const [law, medicine] = [await model(lawyer, 'law'), await model(maker, 'medicine')];
  await model(maker, 'base');
  await until(maker, 'licence', 'show', law);
  const places = ['--parents', ...models.map((name) => join(directory, name))];
  const command = ['merge', 'register', join(directory, merge), ...places, '--parent-asset', `law=${law}`];
  const { asset } = await json(maker, ...command, '--terms', 'open');
  const again = await json(maker, ...command);
  strictEqual(again.asset, asset, 'nothing is registered twice');
  return { law, medicine, merge: String(asset) };
}

async function host(
  { directory, merge }: MergeToServe,
  { maker, asset }: { readonly maker: Peer; readonly asset: string },
): Promise<void> {
  await sahara(maker, 'model', 'add', join(directory, merge, 'model.gguf'), '--name', 'clinic');
  const manifest = join(maker.home.root, 'clinic.yaml');
  await writeFile(
    manifest,
    `name: clinic
description: Knows about contracts and fevers.
backend: { kind: llama, model: clinic, context: 2048, asset: ${asset} }
split: { knowledge: 0, operator: 20 %, model: 80 %, prompt: 0 }
price: { perCall: 0.1 SAHARA }
`,
  );
  await sahara(maker, 'agent', 'add', manifest);
}

interface Checked {
  readonly ok: boolean;
  readonly answer: string;
  readonly shares: readonly { readonly role: string; readonly amount: string }[];
}

// One paid call; `part` is what of its price belongs to the merge, by the receipt that the caller verifies.
async function ask(caller: Peer): Promise<{ readonly text: string; readonly part: bigint }> {
  while (!(await caller.client.call('agents', { waitMs: 1_000 })).some(({ name }) => name === 'clinic'));
  const bundle = join(caller.home.root, 'call.bundle');
  console.log(await sahara(caller, 'ask', 'clinic', QUESTION, '--max-price', '0.2', '--receipt', bundle));
  const checked: Checked = JSON.parse(await sahara(caller, 'verify', bundle, '--json'));
  ok(checked.ok);
  const share = checked.shares.find(({ role }) => role === 'model');
  return { text: checked.answer, part: BigInt(share?.amount ?? 0) };
}

async function sahara(peer: Peer, ...args: readonly string[]): Promise<string> {
  const { stdout, stderr, code } = await peer.sahara(args);
  strictEqual(code, 0, `sahara ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

async function json(peer: Peer, ...args: readonly string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await sahara(peer, ...args, '--json'));
}

const TRIES_MAX = 100;

/** Waits until a peer has seen what another one sent. */
async function until(peer: Peer, ...args: readonly string[]): Promise<void> {
  for (let i = 0; i < TRIES_MAX; i++) if ((await peer.sahara(args)).code === 0) return;
  ok(false, `${peer.name} has not seen it: sahara ${args.join(' ')}`);
}
