/** Everything that is fuzzed. */
import type { TargetMaker } from './target.ts';
import { CALL_TARGETS } from './targets/calls.ts';
import { DOCUMENT_TARGETS } from './targets/documents.ts';
import { EVIDENCE_TARGETS } from './targets/evidence.ts';
import { LEDGER_TARGETS } from './targets/ledger.ts';
import { LEDGER_FILE_TARGETS } from './targets/ledger-files.ts';
import { MARKET_TARGETS } from './targets/market.ts';
import { MERGE_TARGETS } from './targets/merges.ts';
import { MODEL_TARGETS } from './targets/models.ts';
import { RECORD_TARGETS } from './targets/records.ts';
import { SEALED_TARGETS } from './targets/sealed.ts';
import { SETTINGS_TARGETS } from './targets/settings.ts';
import { STANDING_TARGETS } from './targets/standing.ts';
import { STREAM_TARGETS } from './targets/streams.ts';

/** Every target, by the folder that it belongs to. */
export const TARGETS: readonly TargetMaker[] = [
  ...RECORD_TARGETS,
  ...EVIDENCE_TARGETS,
  ...STREAM_TARGETS,
  ...CALL_TARGETS,
  ...SEALED_TARGETS,
  ...STANDING_TARGETS,
  ...MARKET_TARGETS,
  ...LEDGER_TARGETS,
  ...LEDGER_FILE_TARGETS,
  ...DOCUMENT_TARGETS,
  ...SETTINGS_TARGETS,
  ...MODEL_TARGETS,
  ...MERGE_TARGETS,
];
