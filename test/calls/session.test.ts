import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CALLER_EDGES, HOST_EDGES, nextState, Session } from '../../src/agent/session.ts';

describe('the states of a call', () => {
  it('CALL-2 CALL-3: the tables are those of the specification, edge by edge', () => {
    const spec = readFileSync(new URL('../../spec/calls.md', import.meta.url), 'utf8');
    for (const edges of [CALLER_EDGES, HOST_EDGES]) {
      for (const [state, out] of Object.entries(edges)) {
        for (const [event, next] of Object.entries(out))
          expect(spec).toContain(`| ${state} | ${event} | ${next} |`);
      }
    }
    const rows = (spec.match(/^\| [a-z]+ \| [a-z]+ \| [a-z]+ \|$/gm) ?? []).filter(
      (row) => row !== '| state | event | next |',
    );
    const edges = [CALLER_EDGES, HOST_EDGES].flatMap((table) =>
      Object.values(table).flatMap((out) => Object.keys(out)),
    );
    expect(rows).toHaveLength(edges.length);
  });

  it('CALL-4: every state can still end, and what has ended stays so', () => {
    for (const table of [CALLER_EDGES, HOST_EDGES] as Readonly<
      Record<string, Readonly<Record<string, string>>>
    >[]) {
      const finals = new Set(
        Object.keys(table).filter((state) => Object.keys(table[state] ?? {}).length === 0),
      );
      for (const start of Object.keys(table)) {
        const seen = new Set([start]);
        for (const state of seen) for (const next of Object.values(table[state] ?? {})) seen.add(next);
        expect([...seen].some((state) => finals.has(state))).toBe(true);
      }
    }
    const session = new Session(CALLER_EDGES, 'settled');
    expect([session.over, session.can('deliver'), nextState(CALLER_EDGES, 'unknown', 'settle')]).toEqual([
      true,
      false,
      undefined,
    ]);
    expect(() => session.move('deliver')).toThrow(/cannot/);
  });
});
