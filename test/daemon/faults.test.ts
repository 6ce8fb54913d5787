import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { FAULT_STOP_MARGIN_MS, watchFaults } from '../../src/daemon/faults.ts';

/** A process that tells what happened to it. */
class Ending extends EventEmitter {
  readonly told: unknown[] = [];

  readonly end = (): void => {
    this.told.push('end');
  };
}

describe('faults that nobody handled', () => {
  it('are told with their stack, stop everything once, and end with 1', async () => {
    const process = new Ending();
    const { told } = process;
    const done = Promise.withResolvers<void>();
    const stop = (): Promise<void> => {
      told.push('stop');
      return done.promise;
    };
    const log = { ...silentLog, error: (_event: string, facts: unknown) => told.push(facts) };
    const unwatch = watchFaults(
      { source: process, end: process.end, log, stop, clock: systemClock },
      { drainMs: 10 },
    );
    process.emit('unhandledRejection', new Error('first'));
    process.emit('uncaughtException', 'second');
    expect(told).toEqual([
      { event: 'unhandledRejection', stack: expect.stringMatching(/first[\s\S]*faults\.test/) },
      'stop',
      { event: 'uncaughtException', stack: 'second' },
    ]);
    done.resolve();
    await expect.poll(() => told.at(-1)).toBe('end');
    unwatch();
    expect(process.listenerCount('uncaughtException')).toBe(0);
  });

  it('end a stop that never ends', () => {
    const process = new Ending();
    const late: { readonly delayMs: number; readonly run: () => void }[] = [];
    const after = (delayMs: number, run: () => void): (() => void) => {
      late.push({ delayMs, run });
      return () => {};
    };
    const stop = (): Promise<void> => new Promise(() => {});
    watchFaults(
      { source: process, end: process.end, log: silentLog, stop, clock: { after } },
      { drainMs: 10 },
    );
    process.emit('uncaughtException', new Error('fault'));
    late.find(({ delayMs }) => delayMs === 10 + FAULT_STOP_MARGIN_MS)?.run();
    expect(process.told).toEqual(['end']);
  });
});
