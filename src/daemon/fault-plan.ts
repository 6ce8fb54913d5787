/**
 * Faults on order, for tests alone: `SAHARA_FAULTS` names points of `base/points.ts` and what happens there.
 *
 *   tail:appended=kill            the process is killed the first time that it comes there
 *   journal:batch=3:stop          it is stopped (SIGSTOP) the third time
 *   journal:batch=fail:disk-full  the code there fails with this code
 *   ledger:built=wait:5000        the whole process stands still for so many milliseconds
 *   tail:appended=clock:-7200000  its wall clock jumps by so many milliseconds
 *   now=clock:7200000             the same at once, when the plan is read
 *
 * Several stand behind each other with commas; each happens once. `@file` reads the plan from a file, now and at each
 * SIGUSR2, and answers with the same text in `file.read`, so that a test can order a fault of a daemon that runs.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { type ErrorCode, isErrorCode, SaharaError } from '../base/errors.ts';
import { isPoint, type Point, watchPoints } from '../base/points.ts';

type FaultAction =
  | { readonly type: 'kill' | 'stop' }
  | { readonly type: 'fail'; readonly code: ErrorCode }
  | { readonly type: 'wait' | 'clock'; readonly ms: number };

/** One fault: what happens the `hit`th time that the process comes to `label`. */
export interface PlannedFault {
  /** `now`: at once, without a point. */
  readonly label: Point | 'now';
  /** From 1. */
  readonly hit: number;
  readonly action: FaultAction;
}

const FAULT = /^(now|[a-z]+:[a-z-]+)=(?:(\d{1,9}):)?(kill|stop|fail|wait|clock)(?::([a-z0-9-]+))?$/;
const MS = /^-?\d{1,12}$/;

/** Reads a plan. Throws `config-invalid`. */
export function readFaultPlan(text: string): readonly PlannedFault[] {
  const parts = text.split(',').map((part) => part.trim());
  return parts.filter((part) => part !== '').map(readFault);
}

function readFault(text: string): PlannedFault {
  const [, label = '', hit = '1', type = '', argument = ''] = FAULT.exec(text) ?? [];
  const action = actionOf(type, argument);
  const known = label === 'now' || isPoint(label);
  if (!known || Number(hit) < 1 || action === undefined) {
    const allowed = 'label=[hit:]kill|stop|fail:CODE|wait:MS|clock:MS';
    throw new SaharaError('config-invalid', { field: 'SAHARA_FAULTS', found: text, allowed });
  }
  return { label, hit: Number(hit), action };
}

function actionOf(type: string, argument: string): FaultAction | undefined {
  switch (type) {
    case 'kill':
    case 'stop':
      return argument === '' ? { type } : undefined;
    case 'fail':
      return isErrorCode(argument) ? { type, code: argument } : undefined;
    case 'wait':
    case 'clock':
      return MS.test(argument) ? { type, ms: Number(argument) } : undefined;
    default:
      return undefined;
  }
}

/** Has the faults of `SAHARA_FAULTS` happen in this process. Throws `config-invalid`, or what reading its file throws. */
export function orderFaults(text: string): void {
  const clock = shiftableClock();
  if (!text.startsWith('@')) {
    arm(readFaultPlan(text), clock);
    return;
  }
  const path = text.slice(1);
  const read = (): void => {
    const plan = readFileSync(path, 'utf8');
    arm(readFaultPlan(plan), clock);
    writeFileSync(`${path}.read`, plan);
  };
  read();
  process.on('SIGUSR2', read);
}

function arm(plan: readonly PlannedFault[], shiftClock: (ms: number) => void): void {
  for (const fault of plan) if (fault.label === 'now') act(fault, shiftClock);
  const hits = new Map<Point, number>();
  watchPoints((label) => {
    const hit = (hits.get(label) ?? 0) + 1;
    hits.set(label, hit);
    for (const fault of plan) if (fault.label === label && fault.hit === hit) act(fault, shiftClock);
  });
}

function act({ label, action }: PlannedFault, shiftClock: (ms: number) => void): void {
  process.stderr.write(`fault: ${label} ${action.type}\n`);
  if (action.type === 'fail') throw new SaharaError(action.code, { reason: `ordered at ${label}` });
  if (action.type === 'clock') shiftClock(action.ms);
  else if (action.type === 'wait') standStill(action.ms);
  else process.kill(process.pid, action.type === 'kill' ? 'SIGKILL' : 'SIGSTOP');
  // The signal is on its way; nothing after the point may run before it arrives.
  if (action.type === 'kill') standStill(60_000);
}

function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Puts a clock that can be shifted in the place of the process's own, for libraries too. */
function shiftableClock(): (ms: number) => void {
  const actual = Date.now;
  let offsetMs = 0;
  Date.now = () => actual() + offsetMs;
  return (ms) => {
    offsetMs += ms;
  };
}
