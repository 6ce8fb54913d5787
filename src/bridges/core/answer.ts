/** How an answer looks: while it streams, when it has ended, and its sources, receipt and price in words. */
import { formatAmount } from '../../base/amount.ts';
import { fromUtf8, utf8 } from '../../base/bytes.ts';
import type { Citation, Source } from '../../protocol/call.ts';
import { PPM } from '../../protocol/limits.ts';
import type { Receipt } from '../../protocol/payment.ts';
import { ANSWER_TEXT_MAX } from '../limits.ts';
import type { Language } from './language.ts';
import { clipped, renderMarkdown } from './markdown.ts';
import type { AnswerEnding } from './ports.ts';
import type { ShownSource } from './records.ts';
import { joined, plain, type Rich, separated, styled } from './rich.ts';

/** What has arrived of an answer. */
export interface LiveAnswer {
  text: string;
  readonly sources: Source[];
  readonly citations: Citation[];
  ending: AnswerEnding | undefined;
}

/** An answer of which nothing has arrived. */
export function newAnswer(): LiveAnswer {
  return { text: '', sources: [], citations: [], ending: undefined };
}

/** An answer so far. */
export function liveRich(answer: LiveAnswer, agentName: string, language: Language): Rich {
  const body = renderMarkdown(answer.text);
  return body.text === '' ? plain(language.thinking(agentName)) : joined(body, ' …');
}

/** An ended answer: text with source numbers, sources, price and the id of its receipt. */
export function endedRich(
  answer: LiveAnswer,
  parts: { readonly agentName: string; readonly amount: bigint; readonly units: number; readonly id: string },
  language: Language,
): Rich {
  const finish = answer.ending?.finish;
  const marked = withNumbers(answer.text, answer.citations);
  const body = renderMarkdown(marked);
  const notes: Rich[] = [];
  if (body.text !== '') notes.push(body);
  if (marked.length > ANSWER_TEXT_MAX) notes.push(plain(language.cutShort));
  if (finish === 'cancelled') notes.push(plain(language.stopped));
  const isBroken = finish === 'failed' || finish === undefined;
  if (isBroken && parts.amount > 0n)
    notes.push(plain(language.endedEarly({ units: parts.units, amount: formatAmount(parts.amount) })));
  else if (isBroken) notes.push(plain(language.failures.broken));
  if (body.text === '' && finish !== 'cancelled' && !isBroken) notes.push(plain(language.nothingFound));
  if (answer.sources.length > 0) notes.push(sourceLine(answer.sources, language));
  const amount = parts.amount === 0n ? language.free : formatAmount(parts.amount);
  notes.push(plain(language.cost({ amount, agent: parts.agentName, id: parts.id })));
  return separated(notes, '\n\n');
}

/** What came of an answer whose cost is not known yet. */
export function openRich(
  answer: LiveAnswer,
  parts: { readonly agentName: string; readonly amountMax: bigint; readonly id: string },
  language: Language,
): Rich {
  const body = renderMarkdown(withNumbers(answer.text, answer.citations));
  const told = plain(language.outcomeOpen(formatAmount(parts.amountMax)));
  const id = plain(language.failureId(parts.id));
  return separated(body.text === '' ? [told, id] : [body, told, id], '\n\n');
}

function sourceLine(sources: readonly Source[], language: Language): Rich {
  const names = sources.map((source, i) => `${superscript(i + 1)} ${oneLine(source.document, 60)}`);
  return joined(styled(language.sources, 'bold'), `: ${names.join(' · ')}`);
}

/** The sources of an answer in full. */
export function sourcesRich(sources: readonly ShownSource[], language: Language): Rich {
  if (sources.length === 0) return plain(language.noSources);
  const entries = sources.map(({ title, excerpt, licence }, i) =>
    joined(
      `${superscript(i + 1)} `,
      styled(title, 'bold'),
      `\n${excerpt}`,
      licence === '' ? '' : `\n${licence}`,
    ),
  );
  return separated([styled(language.sources, 'bold'), ...entries], '\n\n');
}

/** What is kept of a source for its button. */
export function shownSource(source: Source): ShownSource {
  return {
    title: oneLine(source.title === '' ? source.document : `${source.document} - ${source.title}`, 200),
    excerpt: oneLine(source.text, 400),
    licence: oneLine(source.licence, 60),
  };
}

/** Who earned what by one call. */
export function receiptRich(receipt: Receipt, language: Language, id: string): Rich {
  const lines = receipt.shares.map((share) =>
    language.receiptLine({
      who: share.role,
      share: `${(share.ppm * 100) / PPM} %`,
      amount: formatAmount(share.amount),
    }),
  );
  return joined(
    styled(language.receiptTitle, 'bold'),
    ` ${id}\n${formatAmount(receipt.amount)}\n${lines.join('\n')}`,
  );
}

/** How a receipt's price came about, in words. */
export function explainRich(receipt: Receipt, language: Language): Rich {
  const { price, inputUnits, outputUnits } = receipt;
  const input = price.perInputUnit * BigInt(inputUnits);
  const output = price.perOutputUnit * BigInt(outputUnits);
  const explained = language.explain({
    perCall: formatAmount(price.perCall),
    input: `${inputUnits} × ${formatAmount(price.perInputUnit)} = ${formatAmount(input)}`,
    output: `${outputUnits} × ${formatAmount(price.perOutputUnit)} = ${formatAmount(output)}`,
    total: formatAmount(receipt.amount),
    shares: receipt.shares.length,
  });
  return plain(explained);
}

/** Puts each citation's source number behind the words it supports, but never into a code block. */
function withNumbers(answer: string, citations: readonly Citation[]): string {
  const bytes = utf8(answer);
  const marks = new Map<number, Set<number>>();
  for (const { end, source } of citations) {
    const before = fromUtf8(bytes.subarray(0, Math.min(end, bytes.length)));
    if (before === undefined || insideCode(before)) continue;
    const at = before.trimEnd().length;
    const numbers = marks.get(at) ?? new Set();
    marks.set(at, numbers.add(source + 1));
  }
  let text = '';
  let from = 0;
  for (const [at, numbers] of [...marks].sort(([a], [b]) => a - b)) {
    text +=
      answer.slice(from, at) +
      [...numbers]
        .sort((a, b) => a - b)
        .map(superscript)
        .join('˒');
    from = at;
  }
  return text + answer.slice(from);
}

function insideCode(before: string): boolean {
  const fences = before.match(/^ {0,3}(```|~~~)/gm)?.length ?? 0;
  const lastLine = before.slice(before.lastIndexOf('\n') + 1);
  return (
    fences % 2 === 1 || /^ {0,3}(```|~~~)/.test(lastLine) || (lastLine.match(/`/g)?.length ?? 0) % 2 === 1
  );
}

function superscript(number: number): string {
  return [...String(number)].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]).join('');
}

function oneLine(text: string, max: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= max ? line : `${clipped(line, max - 1)}…`;
}
