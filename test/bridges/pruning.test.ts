import { expect, test } from 'vitest';
import { createMemoryStore } from '../../src/base/store.ts';
import { APPROVALS } from '../../src/bridges/core/approving.ts';
import { BUDGET_FORMS } from '../../src/bridges/core/budget.ts';
import { PAUSES, pausedUntil } from '../../src/bridges/core/pausing.ts';
import { staleForms } from '../../src/bridges/core/pruning.ts';
import { agentPauseSchema, approvalSchema, budgetFormSchema } from '../../src/bridges/core/records.ts';
import { createState, put } from '../../src/bridges/core/state.ts';
import {
  AGENT_PAUSES_KEPT_MS,
  AGENT_PAUSES_MAX,
  APPROVALS_KEPT_MS,
  APPROVALS_MAX,
  BUDGET_FORMS_KEPT_MS,
  BUDGET_FORMS_MAX,
} from '../../src/bridges/limits.ts';

const NOW_MS = 10 ** 12;

async function keysLeft(
  entries: readonly (readonly [key: string, untilMs: number])[],
): Promise<{ readonly keys: readonly string[]; readonly isPaused: (agent: string) => boolean }> {
  const state = createState(createMemoryStore());
  const written = entries.map(([key, untilMs]) => {
    if (key.startsWith(PAUSES)) return put(key, agentPauseSchema, { times: 3, untilMs });
    if (key.startsWith(APPROVALS)) return put(key, approvalSchema, { untilMs, takenBy: '' });
    return put(key, budgetFormSchema, { untilMs, tries: 1, takenBy: '' });
  });
  await state.update(() => ({ operations: written, result: undefined }));
  const operations = await staleForms(state, NOW_MS);
  await state.update(() => ({ operations, result: undefined }));
  const keys: string[] = [];
  for await (const [key] of state.entries('')) keys.push(key);
  return { keys, isPaused: (agent) => pausedUntil(state, agent, NOW_MS) !== undefined };
}

// BRG-169
test.each([
  [BUDGET_FORMS, BUDGET_FORMS_KEPT_MS, BUDGET_FORMS_MAX],
  [APPROVALS, APPROVALS_KEPT_MS, APPROVALS_MAX],
  [PAUSES, AGENT_PAUSES_KEPT_MS, AGENT_PAUSES_MAX],
])(
  'what stands below %s is dropped when it is old, and beyond a number the oldest first',
  async (prefix, keptMs, max) => {
    const old = [`${prefix}old`, NOW_MS - keptMs - 1] as const;
    const ended = [`${prefix}ended`, NOW_MS - keptMs] as const;
    const holds = [`${prefix}holds`, NOW_MS + 1] as const;
    expect((await keysLeft([old, ended, holds])).keys).toEqual([ended[0], holds[0]]);

    const many = Array.from({ length: max }, (_, i) => [`${prefix}many-${i}`, NOW_MS + 2 + i] as const);
    const left = await keysLeft([old, ended, holds, ...many]);
    expect(new Set(left.keys)).toEqual(new Set(many.map(([key]) => key)));
  },
);

// BRG-148 BRG-169
test('who is paused now stays so', async () => {
  const { isPaused } = await keysLeft([
    [`${PAUSES}did:key:a`, NOW_MS + 1],
    [`${PAUSES}did:key:b`, NOW_MS - AGENT_PAUSES_KEPT_MS - 1],
  ]);
  expect([isPaused('did:key:a'), isPaused('did:key:b')]).toEqual([true, false]);
});
