/** Changes to documents that people write: lines and marks, with bytes now and then. */
import { fromUtf8, utf8 } from '../../src/base/bytes.ts';
import { changedBytes } from './bytes.ts';
import type { Random } from './random.ts';

/** Marks that YAML, Markdown, HTML, JSON and PDF give a meaning to. */
const MARKS: readonly string[] = [
  ...[
    '&a ',
    '*a',
    '!!binary ',
    '!!js/function ',
    '<<: *a',
    '%YAML 9.9',
    '---',
    '...',
    '? ',
    ': ',
    '- ',
    '\t',
  ],
  ...[
    '|',
    '>',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '#',
    '~',
    '.inf',
    '.nan',
    '0x1F',
    '1e999',
    '-1',
    '99999999999999999999',
  ],
  ...[
    'null',
    'true',
    '__proto__',
    'constructor',
    '__proto__: 1',
    '\ufeff',
    '\0',
    '\u2028',
    '\r\n',
    '\\u0000',
    '\x1b[2J',
  ],
  ...[
    '# ',
    '> ',
    '>>>>',
    '```',
    '~~~',
    '**',
    '__',
    '![',
    '](',
    '<!--',
    '-->',
    '|-|',
    '[^1]',
    '[a]: <',
    '\\',
    '&#x0;',
  ],
  ...[
    '<div>',
    '</div>',
    '<table>',
    '<template>',
    '<svg>',
    '<script>',
    '<p hidden>',
    '<!doctype html>',
    '&amp;',
    '<a',
  ],
  ...[
    'obj',
    'endobj',
    'stream',
    'endstream',
    '<<',
    '>>',
    '/Kids',
    '/Parent 2 0 R',
    '/Length 0',
    'xref',
    'trailer',
  ],
  ...[
    'did:key:z',
    '.',
    '0.000000001',
    ' SAHARA',
    ' grains',
    '/ip4/127.0.0.1/tcp/1',
    'é',
    'ﬁ',
    '𝔘',
    '\u202e',
    '٣',
  ],
];

type Change = (text: string, random: Random) => string;

const CHANGES: readonly Change[] = [
  (text, random) => inserted(text, random, random.pick(MARKS)),
  (text, random) => inserted(text, random, random.pick(MARKS).repeat(2 ** (1 + random.below(12)))),
  (text, random) => inserted(text, random, random.pick(MARKS) + random.pick(MARKS)),
  (text, random) => {
    const pair = [random.pick(MARKS), random.pick(MARKS)].join('');
    return inserted(text, random, pair.repeat(2 ** (1 + random.below(11))));
  },
  (text, random) => withLines(text, (lines) => void lines.splice(random.below(lines.length), 1)),
  (text, random) =>
    withLines(text, (lines) => {
      const line = random.pick(lines);
      lines.splice(random.below(lines.length + 1), 0, line);
    }),
  (text, random) =>
    withLines(text, (lines) => {
      const at = random.below(lines.length);
      lines[at] = `${' '.repeat(random.below(9))}${lines[at] ?? ''}`;
    }),
  (text, random) =>
    withLines(text, (lines) => {
      const at = random.below(lines.length);
      lines[at] = (lines[at] ?? '').replace(/[^:\s]+\s*$/, () => random.pick(MARKS));
    }),
  (text, random) => {
    const from = random.below(text.length);
    const part = text.slice(from, from + 1 + random.below(64));
    return inserted(text, random, part.repeat(1 + random.below(128)));
  },
  (text, random) => text.slice(0, random.below(text.length + 1)),
];

/** `encoded` after one to four changes; bytes that are no text, and every eighth, are changed as bytes. */
export function changedText(encoded: Uint8Array, random: Random): Uint8Array {
  const text = fromUtf8(encoded);
  if (text === undefined || random.once(8)) return changedBytes(encoded, random);
  let changed = text;
  for (let left = 1 + random.below(4); left > 0; left--) changed = random.pick(CHANGES)(changed, random);
  return utf8(changed);
}

function inserted(text: string, random: Random, added: string): string {
  const at = random.below(text.length + 1);
  return text.slice(0, at) + added + text.slice(at);
}

function withLines(text: string, change: (lines: string[]) => void): string {
  const lines = text.split('\n');
  change(lines);
  return lines.join('\n');
}
