/**
 * Three daemons as processes of their own, a sequencer, a host with a flat-priced and a metered agent, and a caller,
 * any of which can be ordered to meet a fault at a labelled point while it runs.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { asSaharaError } from '../../src/base/errors.ts';
import { eventually, LOOPBACK } from '../e2e/support.ts';
import { startTeller, tellMe } from './teller.ts';

/** What one of the peers does here. */
export type Role = 'ledger' | 'host' | 'caller';

/** What an answer of the guide costs, grains. */
export const GUIDE_PRICE = 2_000_000n;
/** What the teller takes, grains: so much that its answers are metered. */
export const TELLER_PRICE = { perCall: 1_000_000n, perInputUnit: 0n, perOutputUnit: 100_000n };

/** Most that a question may cost here, grains: so much that it is never put at stake at once. */
const PRICE_MAX = '5000000000';

/** How one question ended. */
export interface Asked {
  readonly agent: string;
  /** Text that came, whatever came after it. */
  readonly text: string;
  /** Path of the evidence, when the answer came to its end. */
  readonly path: string | undefined;
  /** Grains, when the answer came to its end. */
  readonly amount: bigint | undefined;
  /** Code of the failure, when it did not. */
  readonly code: string | undefined;
}

/** The daemons of one run. */
export interface Town {
  readonly peers: Peers;
  readonly of: Readonly<Record<Role, Peer>>;
  /** Everything that was asked, in the order in which it ended. */
  readonly asked: readonly Asked[];
  /** Starts one of them, with a plan of faults for its start if there is one. */
  start(role: Role, plan?: string): Promise<void>;
  /** Orders faults of a running daemon; returns once they are in force. */
  order(role: Role, plan: string): Promise<void>;
  /** Asks and tells how it went; never throws. */
  ask(agent: string, question: string, options?: AskOptions): Promise<Asked>;
  /** The same for a question that one transaction pays; it does not count among those asked. */
  payOnce(agent: string, question: string): Promise<Asked>;
  stop(): Promise<void>;
}

/** How a question is asked. */
export interface AskOptions {
  /** Leave after so many characters. */
  readonly stopAfter?: number;
  /** Told of every piece of text. */
  readonly onText?: (text: string) => void;
}

/** Variations of a town. */
export interface TownOptions {
  /** Flags for one of the daemons. */
  readonly flags?: Partial<Readonly<Record<Role, readonly string[]>>>;
  /** Whether the caller dials nobody but the ledger's peer, which carries its sealed calls. */
  readonly relayed?: boolean;
  /** Called with every peer before its first start. */
  readonly prepare?: (role: Role, peer: Peer) => Promise<void>;
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Starts a town whose caller has asked each agent once, so that its channel stands. */
export async function startTown(options: TownOptions = {}): Promise<Town> {
  const peers = await createPeers();
  const teller = await startTeller();
  const stop = async (): Promise<void> => {
    await peers.clear();
    await teller.close();
  };
  try {
    const town = await found(peers, stop, options);
    await town.of.host.client.call('agent.add', { manifest: tellerManifest(teller.url) });
    for (const [agent, question] of FIRST_QUESTIONS) {
      await eventually(`${agent} answers`, async () => (await town.ask(agent, question)).amount);
    }
    return town;
  } catch (error) {
    await stop();
    throw error;
  }
}

const FIRST_QUESTIONS: readonly (readonly [agent: string, question: string])[] = [
  ['guide', 'What is a voucher?'],
  ['teller', tellMe(2)],
];

async function found(peers: Peers, stop: Town['stop'], options: TownOptions): Promise<Town> {
  const of = {
    ledger: await peers.add('ledger'),
    host: await peers.add('host'),
    caller: await peers.add('caller'),
  };
  const asked: Asked[] = [];
  const common = [...LOOPBACK, '--wallet-claim-every-seconds', '3600', '--wallet-channel-deposit', '20'];
  const flags: Record<Role, readonly string[]> = {
    ledger: [
      ...common,
      ...['--guide-host', 'never', '--mesh-port', String(await freePort())],
      ...(options.relayed ? ['--gateway-serve', 'all'] : []),
    ],
    host: [...common, '--guide-host', 'always', '--mesh-port', String(await freePort())],
    caller: common,
  };
  const planOf = (role: Role): string => join(of[role].home.root, '..', `${role}.faults`);
  const start: Town['start'] = async (role, plan = '') => {
    await writeFile(planOf(role), plan);
    of[role].environment.SAHARA_FAULTS = `@${planOf(role)}`;
    await of[role].start(...flags[role], ...(options.flags?.[role] ?? []));
  };
  for (const role of ['ledger', 'host', 'caller'] as const) {
    await mkdir(join(of[role].home.root, '..'), { recursive: true });
    await options.prepare?.(role, of[role]);
    await start(role);
    if (role !== 'ledger') continue;
    const [address = ''] = (await of.ledger.client.call('status', {})).addresses;
    for (const other of ['host', 'caller'] as const) flags[other] = [...flags[other], '--bootstrap', address];
    if (options.relayed) flags.caller = [...flags.caller, '--gateway-via', address, '--mesh-private', 'true'];
  }
  return {
    peers,
    of,
    asked,
    start,
    async order(role, plan) {
      const { pid } = of[role];
      if (pid === undefined) throw new Error(`${role} does not run`);
      await writeFile(planOf(role), plan);
      await writeFile(`${planOf(role)}.read`, 'nothing yet');
      process.kill(pid, 'SIGUSR2');
      await eventually(`${role} has its orders`, async () =>
        (await readFile(`${planOf(role)}.read`, 'utf8')) === plan ? true : undefined,
      );
    },
    async ask(agent, question, askOptions) {
      const ended = await askOnce(of.caller, { agent, question, ...askOptions });
      asked.push(ended);
      return ended;
    },
    payOnce: (agent, question) => askOnce(of.caller, { agent, question, once: true }),
    stop,
  };
}

/** The manifest of an agent that tells what the model at `endpoint` tells. */
export function tellerManifest(endpoint: string): string {
  const { perCall, perOutputUnit } = TELLER_PRICE;
  return JSON.stringify({
    name: 'teller',
    backend: { kind: 'openai', endpoint, model: 'teller', seeded: true },
    price: { perCall: Number(perCall), perOutputUnit: Number(perOutputUnit) },
    limits: { outputUnits: 50_000, deadlineSeconds: 120 },
    split: { operator: '100%' },
  });
}

async function askOnce(
  caller: Peer,
  input: { readonly agent: string; readonly question: string; readonly once?: true } & AskOptions,
): Promise<Asked> {
  const { agent, question, once, stopAfter = Number.POSITIVE_INFINITY, onText } = input;
  let text = '';
  try {
    for await (const event of caller.client.stream('ask', { agent, question, priceMax: PRICE_MAX, once })) {
      if (event.type === 'delta') {
        text += event.text;
        onText?.(event.text);
      }
      if (event.type === 'end')
        return { agent, text, path: event.path, amount: BigInt(event.amount), code: undefined };
      if (text.length >= stopAfter) break;
    }
    return { agent, text, path: undefined, amount: undefined, code: 'left' };
  } catch (error) {
    return { agent, text, path: undefined, amount: undefined, code: asSaharaError(error).code };
  }
}

/** Resolves when the daemon has ended by a signal of its own making. */
export async function died(peer: Peer, label: string): Promise<void> {
  const finished = await peer.ended;
  expect(finished?.signal, `${label}: ${finished?.stderr}`).toBe('SIGKILL');
  expect(finished?.stderr).toContain(`fault: ${label} kill`);
}

export { eventually };
