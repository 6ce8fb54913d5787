/** How results look to a person. */
import { formatAmount } from '../base/amount.ts';
import type { AskEnd, AskEvent, CitationRow } from '../daemon/admin/types.ts';
import type { App } from './app.ts';
import { clip, plainName, plural, printable, shortDid, shortId, type Terminal, table } from './terminal.ts';

/** Rows under a header, the header dim. */
export function showTable(
  { terminal }: App,
  header: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  const [head = '', ...lines] = table(header, rows);
  terminal.line(terminal.paint('dim', head));
  for (const line of lines) terminal.line(line);
}

/** An amount out of the admin API's decimal text. */
export function amount(grains: string): string {
  return formatAmount(BigInt(grains));
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

type SourceEvent = Extract<AskEvent, { type: 'source' }>;

/** What a call of an agent costs, in words. */
export function priceOf({ perCall }: { readonly perCall: string }): string {
  return perCall === '0' ? 'free' : `${amount(perCall)} a call`;
}

/** Prints an answer as it comes: the text with numbered citations, then the sources, then what it cost. */
export class AnswerPrinter {
  readonly #terminal: Terminal;
  readonly #sources: SourceEvent[] = [];
  readonly #cited = new Set<number>();
  #bytes = 0;
  #held = '';
  /** The answer's text so far. */
  text = '';

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Takes one event of the answer. */
  event(event: AskEvent): void {
    if (event.type === 'source') this.#sources.push(event);
    if (event.type === 'delta') this.#delta(event.text, event.citations);
    if (event.type === 'end') this.#end(event);
  }

  #delta(text: string, citations: readonly CitationRow[]): void {
    this.text += text;
    const bytes = encoder.encode(text);
    const start = this.#bytes;
    this.#bytes += bytes.length;
    let written = 0;
    for (const [end, marks] of marksByEnd(citations)) {
      const at = Math.min(bytes.length, Math.max(written, end - start));
      this.#say(decoder.decode(bytes.subarray(written, at)));
      this.#terminal.write(this.#terminal.paint('cyan', marks.map((mark) => `[${mark + 1}]`).join('')));
      for (const mark of marks) this.#cited.add(mark);
      written = at;
    }
    this.#say(decoder.decode(bytes.subarray(written)));
  }

  /** White space at the end waits, so that a citation that comes next stands at its sentence. */
  #say(text: string): void {
    const whole = this.#held + printable(text);
    const said = whole.trimEnd();
    this.#held = whole.slice(said.length);
    this.#terminal.write(said);
  }

  #end(end: AskEnd): void {
    const { line, paint } = bound(this.#terminal);
    line('\n');
    for (const source of this.#sources.filter(({ index }) => this.#cited.has(index))) {
      const title = source.title === '' ? '' : `  ${paint('dim', clip(source.title, 60))}`;
      line(
        `${paint('cyan', `[${source.index + 1}]`)} ${clip(source.document, 60)}${title}  ${paint('dim', `by ${shortDid(source.contributor)}`)}`,
      );
    }
    if (this.#cited.size > 0) line();
    if (end.supported !== undefined && end.supported.grounded < end.supported.sentences) {
      line(`${paint('yellow', '○')} ${supportLine(end.supported)}`);
    }
    line(`${paint('green', '●')} ${costLine(end)}`);
    for (const share of end.amount === '0' ? [] : end.shares) {
      line(
        `  ${amount(share.amount).padEnd(20)} ${shareOf(share).padStart(6)}  ${share.role.padEnd(9)} ${plainName(share.name, 60)}`,
      );
    }
    if (end.payment !== undefined)
      line(paint('dim', `  transaction ${shortId(end.payment.transaction)} in block ${end.payment.height}`));
    if (end.spent !== undefined && end.spent !== end.amount)
      line(paint('dim', `  ${amount(end.spent)} in all, for every host that was asked`));
    line(paint('dim', `  receipt ${shortId(end.callId)}, ${end.tookMs} ms, evidence in ${end.path}`));
  }
}

/** What of an answer its sources do not say. */
function supportLine({ sentences, grounded, first = '' }: NonNullable<AskEnd['supported']>): string {
  if (grounded === 0) return 'Not supported by any source: it is the model’s own words.';
  const rest = sentences - grounded;
  const which = rest === 1 ? 'one sentence' : `${rest} of ${sentences} sentences`;
  return `Not supported by what it cites: ${which}, such as "${clip(first, 80)}"`;
}

function marksByEnd(citations: readonly CitationRow[]): readonly (readonly [number, readonly number[]])[] {
  const byEnd = new Map<number, Set<number>>();
  for (const { end, source } of citations) byEnd.set(end, (byEnd.get(end) ?? new Set()).add(source));
  return [...byEnd]
    .sort(([a], [b]) => a - b)
    .map(([end, marks]) => [end, [...marks].sort((a, b) => a - b)] as const);
}

function bound(terminal: Terminal): Pick<Terminal, 'line' | 'paint'> {
  return { line: (text) => terminal.line(text), paint: (style, text) => terminal.paint(style, text) };
}

const FINISHES: Readonly<Record<string, string>> = {
  done: '',
  length: ' (the answer was cut at its length limit)',
  'nothing-found': ' (nothing in its documents answers this)',
  cancelled: ' (stopped)',
  failed: ' (the agent failed)',
};

function costLine(end: AskEnd): string {
  const note = FINISHES[end.finish] ?? '';
  const below =
    end.calls === 0 ? '' : `, ${amount(end.expenses)} of it for ${plural(end.calls, 'call')} below`;
  if (end.amount !== '0') return `paid ${amount(end.amount)}${below}${note}`;
  return end.expenses === '0'
    ? `free${note}`
    : `free, and ${amount(end.expenses)} for others that it asked${note}`;
}

/** `65 %` of 650,000 parts per million; one decimal where it says something. */
/** Expenses are paid back as they were, not shared out. */
function shareOf({ role, ppm }: AskEnd['shares'][number]): string {
  return role === 'calls' ? '' : percent(ppm);
}

function percent(ppm: number): string {
  const rounded = Math.round(ppm / 1000) / 10;
  return `${rounded} %`;
}
