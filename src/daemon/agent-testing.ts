/** Tries an agent of this home with the questions of its manifest (AGENT-10 to AGENT-13). */
import { type Groundedness, groundednessOf } from '../agent/groundedness.ts';
import type { Manifest } from '../agent/manifest.ts';
import type { ManifestTest } from '../agent/manifest-tests.ts';
import { explainError } from '../base/error-text.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Citation } from '../protocol/call.ts';
import { fold } from '../vault/text/words.ts';
import type { AskEnd } from './admin/types.ts';
import type { AgentTestEvent } from './admin/types-agent.ts';
import type { Ask } from './asking.ts';

/** What is tried, and how. */
export interface AgentTesting {
  readonly manifest: Manifest;
  /** The agent's DID; it is asked as its operator asks it, without money. */
  readonly did: string;
  readonly ask: Ask;
  /** Least share of an answer's sentences that must be grounded, millionths. */
  readonly groundedMin: number;
}

interface Answered {
  readonly text: string;
  readonly sources: readonly { readonly document: string; readonly text: string }[];
  readonly citations: readonly Citation[];
  readonly end: AskEnd;
}

/** Asks each question of the manifest in turn and tells what came of it. Throws `usage` where there is none. */
export async function* testAgent(
  { manifest, did, ask, groundedMin }: AgentTesting,
  signal: AbortSignal,
): AsyncGenerator<AgentTestEvent> {
  const tests = testsOf(manifest);
  if (tests.length === 0) {
    const reason = `${manifest.name} has no questions to try: its manifest takes tests, and examples of its skills`;
    throw new SaharaError('usage', { reason });
  }
  let passed = 0;
  for (const test of tests) {
    const faults: string[] = [];
    let answer: Answered | undefined;
    try {
      answer = await answerOf(ask({ agent: did, question: test.ask }, signal));
    } catch (error) {
      if (signal.aborted) throw error;
      const { code, facts } = asSaharaError(error);
      faults.push(explainError({ code, facts }));
    }
    const grounded = answer && groundednessOf({ ...answer, sources: answer.sources.map(({ text }) => text) });
    if (answer && grounded) faults.push(...faultsOf(test, answer, { grounded, groundedMin }));
    if (faults.length === 0) passed++;
    yield {
      type: 'test',
      question: test.ask,
      passed: faults.length === 0,
      faults,
      ...(answer && {
        finish: answer.end.finish,
        answer: answer.text,
        documents: [...new Set(answer.sources.map(({ document }) => document))],
        groundedPpm: grounded?.ppm ?? 0,
        outputUnits: answer.end.outputUnits,
        tookMs: answer.end.tookMs,
      }),
    };
  }
  yield { type: 'total', passed, failed: tests.length - passed };
}

/** The tests of a manifest, and the examples of its skills, which have to be answered. */
function testsOf({ tests, skills }: Manifest): readonly ManifestTest[] {
  const asked = new Set(tests.map(({ ask }) => ask));
  const examples = skills.flatMap((skill) => skill.examples).filter((example) => !asked.has(example));
  return [...tests, ...[...new Set(examples)].map((ask) => ({ ask, says: [], cites: [], nothing: false }))];
}

async function answerOf(events: ReturnType<Ask>): Promise<Answered> {
  let text = '';
  const sources: { document: string; text: string }[] = [];
  const citations: Citation[] = [];
  for await (const event of events) {
    if (event.type === 'delta') {
      text += event.text;
      citations.push(...event.citations);
    } else if (event.type === 'source') {
      sources[event.index] = { document: event.document, text: event.text };
    } else if (event.type === 'end') {
      return { text, sources, citations, end: event };
    }
  }
  throw new SaharaError('peer-gone', { reason: 'the answer has no end' });
}

function faultsOf(
  test: ManifestTest,
  { text, sources, end }: Answered,
  { grounded, groundedMin }: { readonly grounded: Groundedness; readonly groundedMin: number },
): readonly string[] {
  const nothing = end.finish === 'nothing-found';
  if (test.nothing)
    return nothing ? [] : ['it answered, and should have found nothing that supports an answer'];
  if (nothing) return ['it found nothing that supports an answer'];
  const said = fold(text);
  const faults = test.says
    .filter((phrase) => !said.includes(fold(phrase)))
    .map((phrase) => `the answer does not say "${phrase}"`);
  for (const name of test.cites) {
    if (!sources.some(({ document }) => document.endsWith(name))) faults.push(`it does not cite ${name}`);
  }
  // An answer without a source has nothing to be grounded in; a test that wants one says so.
  if (sources.length > 0 && grounded.ppm < groundedMin) {
    const share = `${grounded.grounded} of ${grounded.sentences} sentences rest on what they cite`;
    faults.push(`${share}; the first that does not: "${grounded.first ?? ''}"`);
  }
  return faults;
}
