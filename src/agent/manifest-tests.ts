/** The part of a manifest that says what the agent is to be tried with (AGENT-10). */
import { fields, given, invalid, type Place, readBoolean, readList, readText } from './manifest-reader.ts';

/** One question that an agent is tried with, and what its answer has to have. */
export interface ManifestTest {
  readonly ask: string;
  /** Phrases that the answer has, whatever their case; at most 16. Default none. */
  readonly says: readonly string[];
  /** Documents that the answer cites, by name or the end of it; at most 16. Default none. */
  readonly cites: readonly string[];
  /** Whether nothing the agent knows may support an answer. Default false. */
  readonly nothing: boolean;
}

/** Most tests of a manifest. */
const TESTS_MAX = 64;

const QUESTION_BYTES = 4_096;
const PHRASES_MAX = 16;
const PHRASE_BYTES = 512;

/** Reads what an agent is to be tried with. Throws `manifest-invalid`. */
export function readTests(place: Place): readonly ManifestTest[] {
  return readList(place, TESTS_MAX, readTest);
}

function readTest(place: Place): ManifestTest {
  const of = fields(place, ['ask', 'says', 'cites', 'nothing']);
  const ask = of('ask');
  if (ask === undefined) throw invalid({ ...place, field: `${place.field}.ask` }, 'a question', 'nothing');
  const phrases = (name: 'says' | 'cites'): readonly string[] =>
    given(of(name), (at) => readList(at, PHRASES_MAX, (item) => readText(item, { max: PHRASE_BYTES }))) ?? [];
  const test = {
    ask: readText(ask, { max: QUESTION_BYTES }),
    says: phrases('says'),
    cites: phrases('cites'),
    nothing: given(of('nothing'), readBoolean) ?? false,
  };
  if (test.nothing && test.says.length + test.cites.length > 0) {
    throw invalid(place, 'either nothing: true, or what the answer says and cites', 'both');
  }
  return test;
}
