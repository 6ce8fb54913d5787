import { describe, expect, it } from 'vitest';
import { atTurnEnd, deferTo } from '../../src/base/turn.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the end of a turn', () => {
  it('runs its stages in order, whatever the order in which they were asked for', async () => {
    const told: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    atTurnEnd('send', () => {
      told.push('send');
      resolve();
    });
    atTurnEnd('sign', () => told.push('sign'));
    atTurnEnd('gather', () => told.push('gather'));
    expect(told).toEqual([]);
    await promise;
    expect(told).toEqual(['gather', 'sign', 'send']);
  });

  it('begins a stage when all that the one before set off is done', async () => {
    const told: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const sign = (what: string): Promise<string> =>
      new Promise((signed) => atTurnEnd('sign', () => signed(what)));
    const say = async (what: string): Promise<void> => {
      for (let i = 0; i < 10; i++) await Promise.resolve();
      told.push(await sign(what));
      atTurnEnd('gather', () => told.push(`gathered after ${what}`));
    };
    atTurnEnd('send', () => {
      told.push('sent');
      resolve();
    });
    atTurnEnd('gather', () => void say('one'));
    atTurnEnd('sign', () => void say('two'));
    await promise;
    expect(told).toEqual(['one', 'gathered after one', 'two', 'gathered after two', 'sent']);
  });

  it('lets the event loop go on while work sets itself off again', async () => {
    let runs = 0;
    let over = false;
    const defer = deferTo('sign');
    const again = (): void => {
      runs++;
      if (!over) defer(again);
    };
    defer(again);
    await nextTurn();
    await nextTurn();
    await nextTurn();
    over = true;
    expect(runs).toBeGreaterThan(1);
    await nextTurn();
  });
});
