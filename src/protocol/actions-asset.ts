/** Actions on assets beyond registering one. */
import type { Hash } from './ids.ts';
import { COLLECT_PATH_MAX } from './limits.ts';
import { bytes, list, record, type Schema } from './schema.ts';

/** Moves what several assets have received on, one after the other, from leaf to ancestors; anyone may. */
export interface CollectPathAction {
  readonly type: 'collect-path';
  /** In the order in which they are collected: each before its parents. */
  readonly assets: readonly Hash[];
}

/** The wire form of a collection along a path. */
export const collectPath: Schema<Omit<CollectPathAction, 'type'>> = record('collect-path', {
  assets: list(bytes(32), COLLECT_PATH_MAX),
});
