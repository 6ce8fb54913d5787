/** A peer of its own process that serves light clients what is not true, in the way that is given; prints its address. */
import { createMemoryStore } from '../../src/base/store.ts';
import { createLightAnswers, type LightAnswers, serveLight } from '../../src/ledger/light/answers.ts';
import type { StateAnswer } from '../../src/ledger/light/messages.ts';
import { addressOf, createFleet } from '../mesh/support.ts';
import { alice, Bench, bob, testGenesis } from './support.ts';

type Records = Extract<StateAnswer, { type: 'records' }>;

const [lie = ''] = process.argv.slice(2);
const bench = await Bench.create(testGenesis(), createMemoryStore());
const pay = (amount: bigint): Promise<unknown> =>
  bench.run(alice, { type: 'transfer', to: bob.publicKey, amount, memo: undefined });
await bench.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: 5_000_000n });
// The chain that others know has two blocks more; this one stops short of them, or has another last one.
if (lie !== 'stale') await pay(1n);
if (lie !== 'stale') await pay(lie === 'two headers' ? 3n : 2n);
const honest = createLightAnswers(bench.parts, (job) => job());

function bent(
  change: (entry: Records['entries'][number]) => Records['entries'][number],
): LightAnswers['state'] {
  return async (question) => {
    const answer = await honest.state(question);
    return answer.type === 'records' ? { ...answer, entries: answer.entries.map(change) } : answer;
  };
}

const states: Readonly<Record<string, LightAnswers['state']>> = {
  value: bent((entry) => ({ ...entry, value: entry.value?.map((byte, i) => (i === 3 ? byte ^ 1 : byte)) })),
  proof: bent(({ value, proof }) => ({ value, proof: { ...proof, siblings: proof.siblings.slice(1) } })),
  withheld: bent(({ proof }) => ({ value: undefined, proof })),
  stale: (question) => honest.state(question.type === 'records' ? { ...question, height: 0 } : question),
  'two headers': (question) => honest.state(question),
};
const state = states[lie];
if (state === undefined) throw new Error(`no such lie: ${lie}`);
const mesh = await createFleet().start({ network: bench.network });
serveLight(mesh, { ...honest, state });
process.stdout.write(`${addressOf(mesh)}\n`);
