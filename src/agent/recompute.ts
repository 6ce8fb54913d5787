/**
 * Repeats what a call's evidence claims beyond signatures: who earned by the answer (level 1, from the file alone), and
 * the answer itself (levels 2 and 3, where the vaults and what answered are at hand). A claim that does not hold is told
 * with its place: which passage, which share, what is stated and what comes out (`spec/knowledge.md`, KNOW-158 to 160).
 */
import { compareBytes, equalBytes, toHex, utf8 } from '../base/bytes.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Bundle } from '../protocol/bundle.ts';
import { type CallRequest, type Citation, callRequest, type Source } from '../protocol/call.ts';
import { envelope } from '../protocol/envelope.ts';
import { shortHex } from '../protocol/ids.ts';
import { CALL_DEADLINE_MS_MAX } from '../protocol/limits.ts';
import { type Receipt, receipt as receiptSchema } from '../protocol/payment.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { type Answer, readAnswer } from '../protocol/verify-answer.ts';
import type { Corpus } from '../vault/search/search.ts';
import { ANALYSIS_VERSION } from '../vault/text/words.ts';
import { createVaultAnswerer } from './answerer.ts';
import type { AdapterMeasure } from './attribution/measure.ts';
import { type AttributionEvidence, type AttributionFault, repeatAttribution } from './attribution/record.ts';
import { roleShares } from './attribution/shares.ts';
import { type AttributionStatement, attributionStatement } from './attribution/statement.ts';
import { earnedAssets, SWITCHED_OFF, scoresFault } from './attribution/switched-off.ts';
import type { Backend } from './backends/backend.ts';
import type { Finder } from './embedding/finder.ts';
import type { Manifest } from './manifest.ts';
import type { AnswerPart } from './ports.ts';
import { cardFault, manifestFault } from './recompute-declared.ts';

/** Something that was repeated. */
export interface RecomputeStep {
  readonly check:
    | 'statement'
    | 'game'
    | 'shares'
    | 'manifest'
    | 'retrieval'
    | 'answer'
    | 'adapters'
    | 'record';
  readonly ok: boolean;
  /** What holds, or where it does not: stated and recomputed. */
  readonly detail: string;
}

/** A call's evidence, read for repeating. */
export interface ReadCall {
  readonly request: CallRequest;
  readonly final: Receipt;
  readonly answer: Answer;
  readonly callId: Uint8Array;
  readonly caller: Uint8Array;
}

/** Reads a bundle that was verified before. Throws `malformed` for one that was not. */
export function readCall(bundle: Bundle): ReadCall {
  const { id: callId, from: caller } = envelope.decode(bundle.opening.envelope.payload);
  return {
    request: callRequest.decode(bundle.opening.request),
    final: receiptSchema.decode(bundle.ending.receipt.payload),
    answer: readAnswer(nativeSuite, callId, bundle.deliveries),
    callId,
    caller,
  };
}

/** The statement that was delivered with an answer; `undefined` when there is none. Throws `malformed`. */
export function statementOf({ answer }: ReadCall): AttributionStatement | undefined {
  return answer.attribution && attributionStatement.decode(answer.attribution);
}

/** Level 1: repeats the game and the shares, to the byte, from the file alone. Never throws for what a file holds. */
export function recomputeShares(bundle: Bundle): readonly RecomputeStep[] {
  try {
    const call = readCall(bundle);
    const stated = statementOf(call);
    if (stated === undefined) {
      const cites = call.answer.citations.length > 0;
      const why = cites ? 'the agent delivered none' : 'the answer cites nothing, so nobody earned by it';
      return [{ check: 'statement', ok: !cites, detail: `no attribution to repeat: ${why}` }];
    }
    return sharesSteps(bundle, call, stated);
  } catch (error) {
    return [{ check: 'statement', ok: false, detail: asSaharaError(error).message }];
  }
}

/** Whether a statement divides as `manifest` says; `undefined` where there is no statement. Throws `malformed`. */
export function manifestStep(call: ReadCall, manifest: Manifest): RecomputeStep | undefined {
  const stated = statementOf(call);
  if (stated === undefined) return undefined;
  const fault = manifestFault(call.final, stated, manifest);
  const holds = 'its split, assets and adapters are those of the manifest that the receipt names';
  return { check: 'manifest', ok: fault === undefined, detail: fault ?? holds };
}

function sharesSteps(bundle: Bundle, call: ReadCall, stated: AttributionStatement): RecomputeStep[] {
  const { record } = stated;
  const named = statementFault(call, stated) ?? cardFault(bundle.card.payload, stated);
  if (named !== undefined) return [{ check: 'statement', ok: false, detail: named }];
  const basis = basisOf(stated);
  const steps: RecomputeStep[] = [
    {
      check: 'statement',
      ok: true,
      detail: `rule ${record.rule}; ${basis}, and its sources are those cited`,
    },
  ];
  // What a model's words share with a passage is told without terms.
  const otherTerms = record.rule === 'spans/1' ? undefined : analysisFault(stated);
  if (otherTerms !== undefined) return [...steps, { check: 'game', ok: false, detail: otherTerms }];
  const { faults, again } = repeatAttribution(record, evidenceOf(call, stated));
  const [fault] = faults;
  if (fault !== undefined || again === undefined) {
    const detail = fault === undefined ? `rule ${record.rule} is not known` : placed(fault, call, stated);
    return [...steps, { check: 'game', ok: false, detail }];
  }
  const count = record.sources.length;
  steps.push({
    check: 'game',
    ok: true,
    detail: `the parts of ${count === 1 ? 'one passage' : `${count} passages`} and the residual come out the same`,
  });
  const assets = earnedAssets(stated.assets, stated.adapterParts, call.answer.text);
  const wrong = sharesFault(call.final, roleShares(stated.split, again, assets));
  const { length } = call.final.shares;
  const measured = stated.adapterParts && `; adapters by ${stated.adapterParts.method}`;
  const holds = `${length} shares of the receipt come out the same${measured ?? ''}`;
  return [...steps, { check: 'shares', ok: wrong === undefined, detail: wrong ?? holds }];
}

/** Whether a statement's vaults were committed to under another analysis of terms than this one, in words. */
export function analysisFault({ record }: Pick<AttributionStatement, 'record'>): string | undefined {
  const at = record.corpora.findIndex(({ analysis }) => analysis !== ANALYSIS_VERSION);
  const analysis = record.corpora[at]?.analysis;
  if (analysis === undefined) return undefined;
  const whose = `corpora[${at}] is committed to under version ${analysis} of the analysis of terms`;
  return `${whose}, and here is version ${ANALYSIS_VERSION}: terms and their counts come out only under the same one`;
}

/** What a statement's division rests on, beside what was delivered. */
function basisOf({ record, proofs, how }: AttributionStatement): string {
  if (how?.restricted) return 'it counts nothing, as part of the vault is closed to who asked';
  if (proofs !== undefined) return 'its counts are proven under the vaults';
  return record.rule === 'coverage/1' ? 'its counts are as the agent states them' : 'it needs no counts';
}

/** What is wrong with a statement before any game: its rule, or that it leaves sources or citations out. */
function statementFault(call: ReadCall, { record }: AttributionStatement): string | undefined {
  const { answer, final } = call;
  if (record.rule !== final.attributionRule)
    return `the statement follows ${record.rule}, the receipt says ${final.attributionRule}`;
  const cited = [...new Set(answer.citations.map(({ source }) => source))].flatMap((at) => {
    const source = answer.sources[at];
    return source === undefined ? [] : [{ at, source }];
  });
  for (const { at, source } of cited) {
    const found = record.sources.find(({ id }) => equalBytes(id, source.chunk));
    if (found === undefined) return `${nameOf(source)} is cited and left out of the statement`;
    const here = answer.citations.filter((citation) => citation.source === at).map(placeOf);
    const there = found.citations.map(({ start, end, passageStart, passageEnd }) =>
      [start, end, passageStart, passageEnd].join(),
    );
    if (here.join(' ') !== there.join(' ')) return `citations of ${nameOf(source)} are not those delivered`;
  }
  const extra = record.sources.find(({ id }) => !cited.some(({ source }) => equalBytes(source.chunk, id)));
  return extra && `passage ${shortHex(extra.id)} stands in the statement and is not cited`;
}

function placeOf({ start, end, sourceStart, sourceEnd }: Citation): string {
  return [start, end, sourceStart, sourceEnd].join();
}

function evidenceOf(
  { request, answer }: ReadCall,
  { record, proofs }: AttributionStatement,
): AttributionEvidence {
  const sources = record.sources.map(({ id }) => {
    const { title = '', text = '', licence = '' } = sourceOf(answer, id) ?? {};
    return { title, text, licence };
  });
  const delivered = { question: request.question, answer: answer.text, sources };
  if (proofs === undefined) return { ...delivered, countsBelieved: true };
  const corrected = record.terms.flatMap(({ corrects }) => (corrects === undefined ? [] : [corrects]));
  const correctedProofs = new Map(corrected.map((word, i) => [word, proofs.correctedProofs[i] ?? []]));
  return { ...delivered, chunkPaths: proofs.chunkPaths, termProofs: proofs.termProofs, correctedProofs };
}

function sourceOf({ sources }: Answer, id: Uint8Array): Source | undefined {
  return sources.find(({ chunk }) => equalBytes(chunk, id));
}

function nameOf(source: Source): string {
  return `passage ${shortHex(source.chunk)} of ${source.document}`;
}

/** A fault with the passage that it is about. */
function placed(
  { where, reason }: AttributionFault,
  { answer }: ReadCall,
  { record }: AttributionStatement,
): string {
  const index = /^sources\[(\d+)\]/.exec(where)?.[1];
  const id = index === undefined ? undefined : record.sources[Number(index)]?.id;
  const source = id && sourceOf(answer, id);
  return source === undefined ? `${where} ${reason}` : `${where} (${nameOf(source)}) ${reason}`;
}

type Share = ReturnType<typeof roleShares>[number];

function sharesFault(final: Receipt, again: readonly Share[]): string | undefined {
  const key = ({ asset, role }: Pick<Share, 'asset' | 'role'>): string => `${role} ${shortHex(asset)}`;
  const told = final.shares.filter(({ role }) => role !== 'calls');
  for (const [i, share] of told.entries()) {
    const { role } = share;
    const due = again.find((other) => other.role === role && equalBytes(other.asset, share.asset))?.ppm ?? 0;
    if (due !== share.ppm)
      return `shares[${i}] (${role} ${shortHex(share.asset)}) is ${share.ppm}; the rule gives ${due}`;
  }
  const missing = again.find(
    (share) => !told.some(({ role, asset }) => role === share.role && compareBytes(asset, share.asset) === 0),
  );
  return missing && `no share for ${key(missing)}; the rule gives ${missing.ppm}`;
}

/** What an answer is repeated with. */
export interface RepeatParts {
  /** In the order of the statement's corpora. */
  readonly vaults: readonly Corpus[];
  /** What answered: of the digest that the receipt names, and not of the determinism class `none`. */
  readonly backend: Backend;
  readonly prompt?: string;
  /** How passages are found again; it has to be as the statement says. Default: by words, among all. */
  readonly finder?: Finder;
  /** How adapters are scored again, where the statement has scores. */
  readonly measure?: AdapterMeasure;
}

/**
 * Levels 2 and 3: repeats retrieval and answer with the vaults as they were committed to, and compares passages, text,
 * citations and the statement byte for byte. An answer of a seeded model is the same only inside its class.
 */
export async function repeatAnswer(
  bundle: Bundle,
  parts: RepeatParts,
  { signal }: { readonly signal: AbortSignal },
): Promise<readonly RecomputeStep[]> {
  const call = readCall(bundle);
  const stated = statementOf(call);
  if (stated === undefined) return [{ check: 'retrieval', ok: false, detail: 'no statement to repeat by' }];
  const { split, assets } = stated;
  const { measure, ...rest } = parts;
  const scored = stated.adapterParts?.method === SWITCHED_OFF;
  if (scored && measure === undefined)
    return [{ check: 'adapters', ok: false, detail: 'the statement has scores of a model without adapters' }];
  const { request, callId, caller, final, answer } = call;
  const outputUnitsMax = final.finish === 'length' ? final.outputUnits : request.outputUnitsMax;
  const answerer = createVaultAnswerer(rest, {
    split,
    assets,
    ...(parts.prompt && { prompt: parts.prompt }),
    ...(scored && measure && { measure }),
  });
  // Its deadline was the agent's.
  const asked = { ...request, deadlineMs: CALL_DEADLINE_MS_MAX };
  const again = await collect(
    answerer.answer({ callId, caller, request: asked, outputUnitsMax, calls: undefined }, { signal }).parts,
  );
  const sources = sourcesFault(answer.sources, again.sources);
  const count = answer.sources.length;
  const quoted = `${count === 1 ? '1 passage is' : `${count} passages are`} what the search finds and the answer rests on`;
  const text = textFault(answer, again);
  const same = `${utf8(answer.text).length} bytes and ${answer.citations.length} citations come out the same`;
  return [
    { check: 'retrieval', ok: sources === undefined, detail: sources ?? quoted },
    { check: 'answer', ok: text === undefined, detail: text ?? same },
    // Of another answer there are other scores.
    ...(scored && text === undefined ? [adaptersStep(stated, again)] : []),
    recordStep(stated, again),
  ];
}

function adaptersStep(stated: AttributionStatement, { attribution, text }: Repeated): RecomputeStep {
  const again = attribution && attributionStatement.decode(attribution).adapterParts;
  const missing = again?.scores === undefined ? 'the model here gives no scores' : undefined;
  const fault = missing ?? scoresFault(stated.adapterParts, again, text);
  const holds = `${stated.assets.adapters?.length ?? 0} scores without an adapter come out as near as they have to`;
  return { check: 'adapters', ok: fault === undefined, detail: fault ?? holds };
}

/** The statement to the byte. Scores of a model are compared by themselves, as near as they have to be. */
function recordStep(stated: AttributionStatement, { attribution }: Repeated): RecomputeStep {
  const again = attribution && attributionStatement.decode(attribution);
  const { adapterParts } = stated;
  const ok =
    again !== undefined &&
    equalBytes(attributionStatement.encode(stated), attributionStatement.encode({ ...again, adapterParts }));
  return {
    check: 'record',
    ok,
    detail: ok ? 'the statement comes out the same to the byte' : 'another statement comes out',
  };
}

interface Repeated {
  readonly text: string;
  readonly sources: readonly Source[];
  readonly citations: readonly Citation[];
  readonly attribution: Uint8Array | undefined;
}

async function collect(parts: AsyncIterable<AnswerPart>): Promise<Repeated> {
  const sources: Source[] = [];
  const citations: Citation[] = [];
  let text = '';
  let attribution: Uint8Array | undefined;
  for await (const part of parts) {
    if (part.type === 'source') sources.push(part.source);
    if (part.type === 'attribution') attribution = part.body;
    if (part.type !== 'delta') continue;
    text += part.text;
    citations.push(...part.citations);
  }
  return { text, sources, citations, attribution };
}

function sourcesFault(told: readonly Source[], again: readonly Source[]): string | undefined {
  for (const [i, source] of told.entries()) {
    const other = again[i];
    if (other !== undefined && equalBytes(other.chunk, source.chunk)) continue;
    const found = other === undefined ? 'none' : nameOf(other);
    return `sources[${i}] is ${nameOf(source)}; repeated it is ${found}`;
  }
  const more = again[told.length];
  return more && `sources[${told.length}] is none; repeated it is ${nameOf(more)}`;
}

function textFault(told: Answer, again: Repeated): string | undefined {
  const [a, b] = [utf8(told.text), utf8(again.text)];
  if (!equalBytes(a, b)) {
    let at = 0;
    while (at < a.length && a[at] === b[at]) at++;
    return `the text differs from byte ${at} on: ${snippet(a, at)} was delivered, ${snippet(b, at)} comes out`;
  }
  const same = told.citations.map(placeOf).join(' ') === again.citations.map(placeOf).join(' ');
  return same ? undefined : 'other citations come out';
}

const SNIPPET_BYTES = 24;

function snippet(bytes: Uint8Array, at: number): string {
  return JSON.stringify(Buffer.from(bytes.subarray(at, at + SNIPPET_BYTES)).toString());
}

/** Hashes by which the vaults of a statement are found, in their order. */
export function corporaOf({
  record,
}: {
  readonly record: Pick<AttributionStatement['record'], 'corpora'>;
}): readonly string[] {
  return record.corpora.map(({ chunkRoot, termRoot }) => `${toHex(chunkRoot)}/${toHex(termRoot)}`);
}
