/** `model.*`: model files come, are shown and go. */
import { Bell } from '../../agent/bell.ts';
import type { ModelEvent } from '../../agent/models/download.ts';
import { fitOf } from '../../agent/models/estimate.ts';
import { TELL_EVERY_MS } from '../../agent/models/limits.ts';
import type { StoredModel } from '../../agent/models/model.ts';
import { MARKED_P_MAX, type MarkReport, SCORED_TOKENS_MIN } from '../../agent/watermark/detect.ts';
import { fromHex, toHex } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { ModelComing, ModelRow, WhosaidReport } from '../admin/methods-model.ts';
import type { AgentKeeper } from '../agents.ts';
import { answersWith, type Models } from '../models.ts';

type ModelNames = Extract<keyof AdminHandlers, `model.${string}`> | 'whosaid';

/** Tokens of context that a need is told for where nothing is said. */
const CONTEXT_TOKENS = 4096;
/** What waits to be told at most, besides how far it is. */
const WAITING_MAX = 64;

/** Model files of this home. */
export function modelHandlers(parts: {
  readonly models: Models;
  readonly clock: Clock;
  readonly agents: Pick<AgentKeeper, 'answeringWith' | 'marking'>;
}): Pick<AdminHandlers, ModelNames> {
  const { models, clock, agents } = parts;
  const { store } = models;
  const usersOf = (model: StoredModel): readonly string[] => agents.answeringWith(answersWith(model));
  const row = (model: StoredModel): ModelRow => rowOf(model, usersOf(model));
  return {
    async 'model.list'() {
      const unfinished = (await store.unfinished()).map(({ totalBytes, ...part }) => ({
        ...part,
        ...(totalBytes !== undefined && { totalBytes }),
      }));
      return { models: (await store.list()).map(row), unfinished };
    },
    async 'model.info'({ name, contextTokens, sequences = models.sequences }, signal) {
      const model = await store.open(name, { signal });
      const { facts } = model;
      const report = {
        ...row(model),
        layers: facts.layers,
        vocabulary: facts.vocabulary,
        hasTemplate: facts.hasTemplate,
      };
      if (facts.kind === 'adapter') return report;
      // Longer ones than a model was made for are never opened.
      const tokens = Math.min(contextTokens ?? CONTEXT_TOKENS, facts.contextMax);
      const fit = fitOf(facts, { tokens, sequences }, { free: models.free });
      const { need, fits, where, freeBytes, contextMax: fittingTokens } = fit;
      return {
        ...report,
        need: { contextTokens: tokens, sequences, ...need, freeBytes, where, fits, fittingTokens },
      };
    },
    async 'model.remove'({ name }, signal) {
      const found = await store.open(name, { signal }).catch((error: unknown) => {
        // One that is damaged or not whole yet has no users to be asked for.
        if (error instanceof SaharaError && /^model-/.test(error.code)) return undefined;
        throw error;
      });
      const agents = found === undefined ? [] : usersOf(found);
      if (agents.length > 0) throw new SaharaError('model-in-use', { name, agents });
      await store.remove(found?.name ?? name);
      return { removed: found?.name ?? name };
    },
    async whosaid({ text, agent }, signal) {
      const marking = (await agents.marking()).filter(({ name }) => agent === undefined || name === agent);
      if (marking.length === 0) throw new SaharaError('usage', { reason: nobodyMarks(agent) });
      const reports: MarkReport[] = [];
      for (const model of new Set(marking.map((one) => one.model))) {
        const keys = marking.filter((one) => one.model === model);
        reports.push(await models.detect({ model, text, keys }, { signal }));
      }
      return whosaidOf(reports, marking.length);
    },
    'model.add': ({ path, name }, signal) =>
      coming(clock, signal, row, (tell, until) => store.add(path, { name, tell, signal: until })),
    'model.pull': ({ from, name, sha256 }, signal) =>
      coming(clock, signal, row, (tell, until) =>
        store.pull(from, {
          ...{ name, tell, signal: until },
          sha256: sha256 === undefined ? undefined : fromHex(sha256),
        }),
      ),
  };
}

/** How far a model is, now and then, everything else at once, and the model. */
async function* coming(
  clock: Clock,
  signal: AbortSignal,
  row: (model: StoredModel) => ModelRow,
  work: (tell: (event: ModelEvent) => void, signal: AbortSignal) => Promise<StoredModel>,
): AsyncGenerator<ModelComing> {
  const left = new AbortController();
  const bell = new Bell();
  const waiting: ModelComing[] = [];
  let latest: ModelComing | undefined;
  let toldAtMs = Number.NEGATIVE_INFINITY;
  const tell = (event: ModelEvent): void => {
    if (event.type !== 'progress') {
      if (waiting.length < WAITING_MAX) waiting.push(event);
    } else {
      const { totalBytes, ...rest } = event;
      latest = { ...rest, ...(totalBytes !== undefined && { totalBytes }) };
    }
    bell.ring();
  };
  const ended = { done: false };
  const working = work(tell, AbortSignal.any([signal, left.signal])).finally(() => {
    ended.done = true;
    bell.ring();
  });
  // Awaited below; a consumer that leaves first must not make it an unhandled one.
  working.catch(() => {});
  try {
    for (;;) {
      yield* waiting.splice(0);
      const due = clock.monotonicMs() - toldAtMs >= TELL_EVERY_MS;
      if (latest !== undefined && (due || ended.done || isWhole(latest))) {
        const progress = latest;
        latest = undefined;
        toldAtMs = clock.monotonicMs();
        yield progress;
        continue;
      }
      if (ended.done) break;
      await bell.wait();
    }
    yield { type: 'done', model: row(await working) };
  } finally {
    left.abort(new SaharaError('cancelled'));
    await working.catch(() => {});
  }
}

function nobodyMarks(agent: string | undefined): string {
  const who = agent === undefined ? 'No agent here marks' : `${agent} does not mark`;
  return `${who} what it says: a manifest asks for that with \`backend: {kind: llama, ..., watermark: true}\``;
}

/** What several models' divisions of a text say together: corrected for all keys. */
function whosaidOf(reports: readonly MarkReport[], keys: number): WhosaidReport {
  const scores = reports
    .flatMap((report) => report.scores)
    .map(({ name, scored, z, p }) => ({ agent: name, scored, z, p, pAll: Math.min(1, p * keys) }))
    .sort((a, b) => a.p - b.p);
  const longest = Math.max(...reports.map(({ tokens, repeated }) => tokens - repeated));
  const [best] = scores;
  const short = (best?.scored ?? 0) < SCORED_TOKENS_MIN;
  const marked = best !== undefined && best.pAll <= MARKED_P_MAX;
  const [first] = reports.filter(({ tokens, repeated }) => tokens - repeated === longest);
  return {
    verdict: short ? 'too-short' : marked ? 'marked' : 'not-shown',
    scores: scores.slice(0, SCORES_MAX),
    keys,
    tokens: first?.tokens ?? 0,
    repeated: first?.repeated ?? 0,
  };
}

/** Keys that are told of. */
const SCORES_MAX = 16;

function isWhole(event: ModelComing): boolean {
  return event.type === 'progress' && event.bytes === event.totalBytes;
}

function rowOf(model: StoredModel, usedBy: readonly string[]): ModelRow {
  const { name, digest, sizeBytes, source, addedAtMs, facts } = model;
  const { kind, architecture, title, quantisation, parameters, contextMax } = facts;
  return {
    ...{ name, digest: toHex(digest), sizeBytes, kind, architecture, title, quantisation },
    ...{ parameters, contextMax, source, addedAtMs, usedBy },
  };
}
