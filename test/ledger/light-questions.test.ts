import { afterEach, expect, test } from 'vitest';
import { createMemoryStore } from '../../src/base/store.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import { createLightAnswers, serveLight } from '../../src/ledger/light/answers.ts';
import { createLightClient } from '../../src/ledger/light/client.ts';
import { LIGHT_QUESTIONS_AT_ONCE_MAX, Questions } from '../../src/ledger/light/questions.ts';
import { addressOf, createFleet, until } from '../mesh/support.ts';
import { alice, Bench, bob, suite, testGenesis } from './support.ts';

const genesis = testGenesis();
const name = networkNameOf(suite, genesis);
const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const key = (value: number): Uint8Array => new Uint8Array(32).fill(value);

test('LEDGER-166: 64 reads at once are answered by one peer, which serves 8 questions at a time', async () => {
  const fleet = createFleet();
  stops.push(() => fleet.stop());
  const [node, home] = [await fleet.start({ network: name }), await fleet.start({ network: name })];
  const bench = await Bench.create(genesis);
  await bench.run(alice, { type: 'transfer', to: bob.publicKey, amount: 7n, memo: undefined });
  const answers = createLightAnswers(bench.parts, (job) => job());
  let asked = 0;
  const state: typeof answers.state = (question) => {
    asked++;
    return answers.state(question);
  };
  stops.push(serveLight(node, { ...answers, state }));
  const client = createLightClient({ suite, genesis, ask: home, store: createMemoryStore() });
  await home.connect(addressOf(node));
  await until(() => home.peers().length === 1);
  await client.follow();
  const different = await Promise.all(Array.from({ length: 64 }, (_, i) => client.account(key(i))));
  expect(different.every(({ value }) => value.balance === 0n)).toBe(true);
  expect(asked).toBe(64);
  const equal = await Promise.all(Array.from({ length: 64 }, () => client.account(bob.publicKey)));
  const { balance } = bench.queries.account(bob.publicKey);
  expect(equal.every(({ value }) => value.balance === balance)).toBe(true);
  expect(asked).toBe(65);
});

test('LEDGER-166: who leaves while waiting is not waited for; a question goes out while anybody wants it', async () => {
  const sent: { readonly question: number; readonly signal: AbortSignal; answer(): void }[] = [];
  const questions = new Questions((_peer, question, signal) => {
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    sent.push({ question: question[0] ?? 0, signal, answer: () => resolve(question) });
    return promise;
  });
  const first = Array.from({ length: LIGHT_QUESTIONS_AT_ONCE_MAX }, (_, i) =>
    questions.ask('peer', Uint8Array.of(i), undefined),
  );
  const leaver = new AbortController();
  const gone = questions.ask('peer', Uint8Array.of(100), leaver.signal);
  const shared = questions.ask('peer', Uint8Array.of(101), leaver.signal);
  const stays = questions.ask('peer', Uint8Array.of(101), undefined);
  leaver.abort();
  await expect(gone).rejects.toMatchObject({ code: 'cancelled' });
  await expect(shared).rejects.toMatchObject({ code: 'cancelled' });
  expect(sent).toHaveLength(LIGHT_QUESTIONS_AT_ONCE_MAX);
  for (const one of sent.slice(0, 1)) one.answer();
  await first[0];
  await until(() => sent.length === LIGHT_QUESTIONS_AT_ONCE_MAX + 1);
  expect(sent.at(-1)?.question).toBe(101);
  for (const one of sent) one.answer();
  expect(await stays).toEqual(Uint8Array.of(101));
  await Promise.all(first);
  // A question under way that nobody wants any more is stopped.
  const alone = questions.ask('peer', Uint8Array.of(102), AbortSignal.any([leaver.signal]));
  await expect(alone).rejects.toMatchObject({ code: 'cancelled' });
  const stop = new AbortController();
  const stopped = questions.ask('peer', Uint8Array.of(103), stop.signal);
  stop.abort();
  await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
  expect(sent.at(-1)).toMatchObject({ question: 103, signal: { aborted: true } });
});
