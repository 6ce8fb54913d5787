/** Nodes in processes of their own, from the side of who starts them. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Place, Sample } from './shared.ts';

/** What a node is started with. */
export interface NodePlan {
  readonly engine: 'embedded' | 'comet';
  readonly folder: string;
  readonly number: number;
  readonly validators: number;
  readonly all: readonly Place[];
  /** Accounts that its ledger has before consensus begins. */
  readonly accounts: number;
  /** Blocks between two snapshots, 0 for none. */
  readonly snapshotEveryBlocks: number;
  readonly stateSync?: { readonly rpc: readonly string[]; readonly height: number; readonly hash: string };
}

/** What a node is asked. */
export type NodeRequest =
  | { readonly type: 'load'; readonly messages: readonly Uint8Array[]; readonly inFlight: number }
  | { readonly type: 'stop' };

/** What it answers, and what it says once it has begun. */
export interface NodeAnswer {
  readonly height: number;
  readonly sample: Sample | undefined;
}

/** A node that runs. */
export interface BenchNode {
  /** Hands transactions in by way of this node's ledger, as its daemon does, and waits until blocks have them. */
  load(messages: readonly Uint8Array[], inFlight: number): Promise<Sample>;
  height(): Promise<number>;
  stop(): Promise<void>;
}

const CHILD = fileURLToPath(new URL('node.ts', import.meta.url));

/** Starts one. */
export async function startNode(plan: NodePlan): Promise<BenchNode> {
  const child = fork(CHILD, [JSON.stringify(plan)], { serialization: 'advanced' });
  const ended = once(child, 'exit');
  const heard = (): Promise<NodeAnswer> =>
    Promise.race([
      once(child, 'message').then(([answer]) => answer as NodeAnswer),
      ended.then(() => {
        throw new Error('a node ended by itself');
      }),
    ]);
  const ask = (messages: readonly Uint8Array[], inFlight: number): Promise<NodeAnswer> => {
    const answer = heard();
    const request: NodeRequest = { type: 'load', messages, inFlight };
    child.send(request);
    return answer;
  };
  await heard();
  return {
    async load(messages, inFlight) {
      const { sample } = await ask(messages, inFlight);
      if (sample === undefined) throw new Error('a node said nothing of a load');
      return sample;
    },
    height: async () => (await ask([], 1)).height,
    async stop() {
      const request: NodeRequest = { type: 'stop' };
      if (child.connected) child.send(request);
      await ended;
    },
  };
}

/** Starts all nodes of a network that begins with them. */
export async function startNetwork(
  plan: Pick<NodePlan, 'folder' | 'all' | 'accounts' | 'snapshotEveryBlocks'>,
): Promise<readonly BenchNode[]> {
  const validators = plan.all.length;
  const of = (number: number): NodePlan => ({
    ...plan,
    ...{ engine: 'comet', number, validators, folder: join(plan.folder, `node${number}`) },
  });
  return Promise.all(plan.all.map((_, number) => startNode(of(number))));
}
