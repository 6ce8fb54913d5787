import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CallResult } from '../../src/agent/caller.ts';
import { systemClock as clock } from '../../src/base/clock.ts';
import { silentLog as log } from '../../src/base/log.ts';
import type { AskEvent } from '../../src/daemon/admin/types.ts';
import type { Callers } from '../../src/daemon/callers.ts';
import { saveReceipt } from '../../src/daemon/receipts.ts';
import { createResuming, type Resuming, resumeHandlers } from '../../src/daemon/resuming.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { readsFrom } from '../../src/ledger/queries.ts';
import { type CallerProcess, type CallerRig, createCallerRig } from '../calls/caller-rig.ts';
import type { RawCall } from '../calls/raw-agent.ts';
import { QUESTION } from '../calls/rig.ts';

// Nothing is registered: assets are called by their ids.
const ledger: Pick<Ledger, 'read'> = { read: (about) => about(readsFrom(() => undefined)) };
const folder = mkdtempSync(join(tmpdir(), 'sahara-resuming-'));

/** A call that a process of the caller has left over. */
async function leftOver(): Promise<{ readonly rig: CallerRig; readonly call: RawCall; readonly id: string }> {
  const rig = await createCallerRig();
  rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n }).result.catch(() => {});
  const call = await rig.agent.call();
  call.say('One ');
  await Promise.all([rig.openCalls.flushed(), rig.payer.flush()]);
  return { rig, call, id: Buffer.from(call.envelope.id).toString('hex') };
}

function resumingOf({ caller, openCalls }: CallerProcess): {
  readonly resuming: Resuming;
  readonly callers: Callers;
} {
  const save = ({ callId, text }: CallResult): Promise<string> =>
    saveReceipt(folder, Buffer.from(callId).toString('hex'), Buffer.from(text));
  const callers = { remote: caller, local: caller, save };
  return { resuming: createResuming({ callers, openCalls, clock, log }), callers };
}

async function all(events: AsyncIterable<AskEvent>): Promise<readonly AskEvent[]> {
  const seen: AskEvent[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}

const textOf = (events: readonly AskEvent[]): string =>
  events.map((event) => (event.type === 'delta' ? event.text : '')).join('');

describe('calls that are left over', () => {
  it('CALL-47: are gone on with by themselves, and whoever asks gets the whole answer and its evidence', async () => {
    const { rig, call, id } = await leftOver();
    const next = await rig.process(rig.store);
    const { resuming, callers } = resumingOf(next);
    await call.until(() => call.resumed.length > 0);
    const none = new AbortController().signal;
    const handlers = resumeHandlers({ resuming, callers, ledger, clock });
    const asked = all(handlers.resume({ callId: id.slice(0, 8) }, none));
    call.say('two.');
    await call.end();
    const events = await asked;
    expect(textOf(events)).toBe('One two.');
    const end = events.at(-1);
    if (end?.type !== 'end') return expect.unreachable();
    expect(end).toMatchObject({ callId: id, amount: String(call.amount), finish: 'done' });
    expect(readFileSync(end.path, 'utf8')).toBe('One two.');
    await expect.poll(() => next.openCalls.left()).toEqual([]);
    expect(() => resuming.find(id)).toThrow(/call-unknown/);
    await resuming.stop();
  });

  it('CALL-48: are handed to another peer as a ticket, and stopped where nobody wants them', async () => {
    const { rig, call, id } = await leftOver();
    const { resuming, callers } = resumingOf(await rig.process(rig.store));
    const none = new AbortController().signal;
    const given = await resumeHandlers({ resuming, callers, ledger, clock })['resume.ticket'](
      { callId: '' },
      none,
    );
    expect(given.callId).toBe(id);
    await resuming.stop();

    const other = resumingOf(await rig.process((await createCallerRig()).store, 'peer-other'));
    const handlers = resumeHandlers({ ...other, ledger, clock });
    const stopping = all(handlers.resume({ ticket: given.ticket, stop: true }, none));
    await call.until(() => call.stopped);
    await call.end('cancelled');
    const events = await stopping;
    expect([textOf(events), events.at(-1)]).toMatchObject(['One ', { finish: 'cancelled' }]);
    await other.resuming.stop();
  });
});
