/** Every record of the protocol by itself: what is accepted has one encoding. */
import type { Schema } from '../../../src/protocol/schema.ts';
import { changedRecord } from '../records.ts';
import { decodeStrictly, type TargetMaker } from '../target.ts';
import { sampledRecords } from './record-samples.ts';

const RECORD_BYTES_MAX = 262_144;
const records = sampledRecords();
const all = records.flatMap(({ samples }) => samples);

function recordTarget(schema: Schema<unknown>, samples: readonly Uint8Array[]): TargetMaker {
  const name = `record-${schema.name}`;
  return {
    name,
    shortCount: 60,
    create: () => ({
      name,
      sizeBytesMax: RECORD_BYTES_MAX,
      corpus: samples,
      bend: (seed, random) => changedRecord(seed, random, all),
      take: (input) => decodeStrictly(schema, input),
    }),
  };
}

/** One target for each record. */
export const RECORD_TARGETS: readonly TargetMaker[] = records.map(({ schema, samples }) =>
  recordTarget(schema, samples),
);
