/**
 * The scripted agent. What it answers stands in the question, so that the same question always gives the same bytes;
 * how long it takes is the world's. A question reads `parts=12 words=8 sources=2 pauseMs=40 failAt=5 ...`.
 */
import type { Answerer, AnswerPart } from '../../src/agent/ports.ts';
import { SaharaError } from '../../src/base/errors.ts';
import type { Hash, PublicKey } from '../../src/protocol/ids.ts';
import type { Life, Scheduler } from './time.ts';

/** What an agent is asked to do. */
export interface Script {
  /** Makes the question its own. */
  readonly tag: string;
  /** Pieces of the answer. */
  readonly parts: number;
  /** Words of each piece. */
  readonly words: number;
  readonly sources: number;
  /** Between two pieces, virtual milliseconds. */
  readonly pauseMs: number;
  /** Piece at which the backend fails; absent: it does not. */
  readonly failAt?: number;
  /** Finds nothing. */
  readonly empty?: boolean;
}

/** The question that asks for `script`. */
export function questionOf(script: Script): string {
  return Object.entries(script)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(' ');
}

/** The script in a question. */
export function scriptOf(question: string): Script {
  const found = new Map(question.split(' ').map((entry) => entry.split('=') as [string, string]));
  const number = (name: string): number => Number(found.get(name) ?? 0);
  const failAt = found.get('failAt');
  return {
    tag: found.get('tag') ?? '',
    parts: number('parts'),
    words: number('words'),
    sources: number('sources'),
    pauseMs: number('pauseMs'),
    ...(failAt !== undefined && { failAt: Number(failAt) }),
    empty: found.get('empty') === 'true',
  };
}

/** Every piece of the answer to `script`, in order. */
export function* piecesOf(script: Script, knowledge: Knowledge): Generator<AnswerPart> {
  const { tag, parts, words, sources, empty } = script;
  const passage = (at: number): string => `passage ${at} of ${tag} says so.`;
  if (empty) {
    yield { type: 'delta', text: 'nothing is known.', citations: [] };
    yield { type: 'end', finish: 'nothing-found' };
    return;
  }
  let length = 0;
  for (let at = 0; at < parts; at++) {
    if (at < sources) {
      const source = {
        ...knowledge,
        document: `${tag}.md`,
        title: '',
        text: passage(at),
        licence: 'CC0-1.0',
      };
      yield { type: 'source', source };
      const text = passage(at);
      const citation = {
        start: length,
        end: length + text.length,
        source: at,
        sourceStart: 0,
        sourceEnd: text.length,
      };
      length += text.length;
      yield { type: 'delta', text, citations: [citation] };
      continue;
    }
    let text = '';
    for (let word = 0; word < words; word++) text += ` ${tag}p${at}w${word}`;
    length += text.length;
    yield { type: 'delta', text, citations: [] };
  }
  yield { type: 'end', finish: 'done' };
}

/** Where the passages come from. */
export interface Knowledge {
  readonly chunk: Hash;
  readonly contributor: PublicKey;
  readonly asset: Hash;
}

/** An agent that does what it is asked, in virtual time. */
export function createScriptedAnswerer(parts: {
  readonly scheduler: Scheduler;
  readonly life: Life;
  readonly knowledge: Knowledge;
  readonly agentAsset: Hash;
}): Answerer {
  const { scheduler, life, knowledge, agentAsset } = parts;
  return {
    answer(job, { signal }) {
      const script = scriptOf(job.request.question);
      const answer = async function* (): AsyncGenerator<AnswerPart> {
        let at = 0;
        for (const piece of piecesOf(script, knowledge)) {
          if (script.pauseMs > 0) await scheduler.pause(script.pauseMs, life);
          signal.throwIfAborted();
          if (script.failAt === at++)
            throw new SaharaError('backend-failed', { reason: 'as the script says' });
          yield piece;
        }
      };
      return {
        parts: answer(),
        shares: ({ citations }) => ({
          rule: 'sim/1',
          shares:
            citations.length === 0
              ? [{ asset: agentAsset, role: 'agent', ppm: 1_000_000 }]
              : [
                  { asset: knowledge.asset, role: 'knowledge', ppm: 600_001 },
                  { asset: agentAsset, role: 'agent', ppm: 399_999 },
                ],
        }),
      };
    },
  };
}
