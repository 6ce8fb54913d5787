import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { newest, remembering, type Turn } from '../../src/cli/conversation.ts';

const said = (text: string, role: Turn['role'] = 'user'): Turn => ({ role, text });
const overflow = (): never => {
  throw new SaharaError('context-overflow', { units: 10, limit: 5 });
};

describe('what of a conversation goes along', () => {
  it('is its newest turns, sixteen at most', () => {
    const turns = Array.from({ length: 40 }, (_, i) => said(`${i}`, i % 2 === 0 ? 'user' : 'agent'));
    expect(newest(turns)).toEqual(turns.slice(-16));
    expect(newest([])).toEqual([]);
  });

  it('is bounded in bytes, and a long turn in its own', () => {
    const turns = [said('first'), said('é'.repeat(12_000)), said('x'.repeat(20_000)), said('last')];
    const kept = newest(turns);
    expect(kept.map(({ text }) => text.slice(0, 5))).toEqual(['xxxxx', 'last']);
    expect(utf8(kept[0]?.text ?? '')).toHaveLength(16_384);
    const [odd] = newest([said(`a${'é'.repeat(12_000)}`)]);
    expect(odd?.text).toBe(`a${'é'.repeat(8_191)}`);
  });

  it('is halved until the model has room for it', async () => {
    const turns = Array.from({ length: 10 }, (_, i) => said(`${i}`));
    const asked: string[][] = [];
    const told: number[] = [];
    const answer = await remembering(turns, {
      ask: async (context) => {
        asked.push(context.map(({ text }) => text));
        return context.length > 2 ? overflow() : 'answered';
      },
      shortened: (count) => told.push(count),
    });
    expect(answer).toBe('answered');
    expect(asked.map(({ length }) => length)).toEqual([10, 5, 2]);
    expect(asked.at(-1)).toEqual(['8', '9']);
    expect(told).toEqual([5, 2]);
  });

  it('can be nothing, and where even that is too much the question is', async () => {
    const told: number[] = [];
    const hopeless = remembering([said('a')], {
      ask: async () => overflow(),
      shortened: (count) => told.push(count),
    });
    await expect(hopeless).rejects.toMatchObject({ code: 'context-overflow' });
    expect(told).toEqual([0]);
    const refused = remembering([said('a')], {
      ask: () => Promise.reject(new SaharaError('rate-limited')),
      shortened: () => expect.fail('asked again'),
    });
    await expect(refused).rejects.toMatchObject({ code: 'rate-limited' });
  });
});
