/** Text with marked ranges: what every reply is before a platform writes it. Offsets and lengths are UTF-16 units. */

/** How a range looks. */
export type SpanStyle = 'bold' | 'italic' | 'strike' | 'code' | 'pre' | 'link' | 'quote';

/** One marked range. Spans nest properly; `code` and `pre` hold no others; `quote` holds no quote. */
export interface Span {
  readonly style: SpanStyle;
  readonly offset: number;
  readonly length: number;
  /** Where a `link` leads. */
  readonly url?: string;
  /** Language of a `pre`. */
  readonly language?: string;
}

/** A text and its spans, by offset, the longer first. */
export interface Rich {
  readonly text: string;
  readonly spans: readonly Span[];
}

/** Text without spans. */
export function plain(text: string): Rich {
  return { text, spans: [] };
}

/** `content` with one span over all of it. */
export function styled(content: Rich | string, style: SpanStyle, more: { readonly url?: string } = {}): Rich {
  const inner = typeof content === 'string' ? plain(content) : content;
  if (inner.text === '') return inner;
  return {
    text: inner.text,
    spans: [{ style, offset: 0, length: inner.text.length, ...more }, ...inner.spans],
  };
}

/** All `parts` one after another. */
export function joined(...parts: readonly (Rich | string)[]): Rich {
  let text = '';
  const spans: Span[] = [];
  for (const part of parts) {
    const piece = typeof part === 'string' ? plain(part) : part;
    for (const span of piece.spans) spans.push({ ...span, offset: span.offset + text.length });
    text += piece.text;
  }
  return { text, spans };
}

/** `parts` with `separator` between each two. */
export function separated(parts: readonly Rich[], separator: string): Rich {
  return joined(...parts.flatMap((part, i) => (i === 0 ? [part] : [separator, part])));
}

/** The range `from..to` with the spans that reach into it. */
export function sliced(rich: Rich, from: number, to: number): Rich {
  const spans: Span[] = [];
  for (const span of rich.spans) {
    const start = Math.max(span.offset, from);
    const end = Math.min(span.offset + span.length, to);
    if (end > start) spans.push({ ...span, offset: start - from, length: end - start });
  }
  return { text: rich.text.slice(from, to), spans };
}

/** The same text with spans that every platform accepts: see `Span`. */
export function normalised(rich: Rich): Rich {
  const fixed = rich.spans.filter((span) => span.style === 'code' || span.style === 'pre');
  const spans: Span[] = [];
  let quoteEnd = -1;
  for (const span of rich.spans) {
    if (span.style === 'quote') {
      if (span.offset < quoteEnd) continue;
      quoteEnd = span.offset + span.length;
      spans.push(span);
    } else if (span.style === 'code' || span.style === 'pre') spans.push(span);
    else spans.push(...around(span, fixed).flatMap((part) => trimmedSpan(rich.text, part)));
  }
  spans.sort((a, b) => a.offset - b.offset || b.length - a.length);
  return { text: rich.text, spans: spans.filter((span) => span.length > 0) };
}

function around(span: Span, holes: readonly Span[]): readonly Span[] {
  const parts: Span[] = [];
  let from = span.offset;
  const end = span.offset + span.length;
  for (const hole of holes) {
    if (hole.offset + hole.length <= from || hole.offset >= end) continue;
    if (hole.offset > from) parts.push({ ...span, offset: from, length: hole.offset - from });
    from = hole.offset + hole.length;
  }
  if (from < end) parts.push({ ...span, offset: from, length: end - from });
  return parts;
}

function trimmedSpan(text: string, span: Span): readonly Span[] {
  const inside = text.slice(span.offset, span.offset + span.length);
  const length = inside.trim().length;
  if (length === 0) return [];
  return [{ ...span, offset: span.offset + inside.length - inside.trimStart().length, length }];
}
