/** The section `calls` of the configuration: how much of this peer's agents others get, and what a call may ask of us. */
import { z } from 'zod';
import { HOST_DEFAULTS, type HostOptions } from '../agent/host.ts';
import { WORK_DEFAULTS } from '../agent/stranger-work.ts';
import { THROTTLE_DEFAULTS } from '../agent/throttle.ts';
import { WORK_BITS_MAX } from '../protocol/work.ts';

/** Limits of calls. */
export interface CallsConfig {
  readonly queueMax: number;
  readonly atOnce: number;
  readonly peerPerSecond: number;
  readonly peerAtOnce: number;
  readonly callerPerSecond: number;
  readonly callerAtOnce: number;
  readonly channelPerSecond: number;
  readonly channelAtOnce: number;
  readonly strangerPerSecond: number;
  readonly strangerAtOnce: number;
  readonly workBitsAsked: number;
  readonly workBitsDone: number;
}

/** Most of anything that a limit may be set to. */
const LIMIT_MAX = 1_000_000;

const limit = (fallback: number, about: string): z.ZodDefault<z.ZodInt> =>
  z.int().min(1).max(LIMIT_MAX).default(fallback).describe(about);
const bits = (fallback: number, about: string): z.ZodDefault<z.ZodInt> =>
  z.int().min(0).max(WORK_BITS_MAX).default(fallback).describe(about);

const all = THROTTLE_DEFAULTS;

/** The schema of the section. */
export const callsSchema: z.ZodType<CallsConfig> = z
  .strictObject({
    queueMax: limit(HOST_DEFAULTS.queueMax, 'Calls that may wait for a place at one agent hosted here.'),
    atOnce: limit(
      all.atOnce,
      'Calls to the agents here that are under way at a time, of everybody together.',
    ),
    peerPerSecond: limit(all.peerPerSecond, 'Calls that one peer may begin in a second.'),
    peerAtOnce: limit(all.peerAtOnce, 'Calls of one peer that are under way at a time.'),
    callerPerSecond: limit(all.callerPerSecond, 'Calls that one caller may begin in a second.'),
    callerAtOnce: limit(all.callerAtOnce, 'Calls of one caller that are under way at a time.'),
    channelPerSecond: limit(all.channelPerSecond, 'Calls that may begin in a second on one channel.'),
    channelAtOnce: limit(all.channelAtOnce, 'Calls of one channel that are under way at a time.'),
    strangerPerSecond: limit(
      all.strangerPerSecond,
      'Calls that a caller may begin in a second who neither pays nor was answered before.',
    ),
    strangerAtOnce: limit(all.strangerAtOnce, 'Calls of such a caller that are under way at a time.'),
    workBitsAsked: bits(
      WORK_DEFAULTS.bitsMax,
      'Most work that such callers are asked for while this peer is busy: zero bits of a hash. 20 is about two seconds of one processor, each bit more twice as much, 0 never asks.',
    ),
    workBitsDone: bits(
      20,
      'Most work that a call from here does when an agent asks for it: zero bits of a hash.',
    ),
  })
  .prefault({});

/** The options of a host that serves others. */
export function hostOptions(calls: CallsConfig): Partial<HostOptions> {
  const { queueMax, workBitsAsked, workBitsDone: _done, ...limits } = calls;
  return { queueMax, limits, work: { bitsMax: workBitsAsked } };
}
