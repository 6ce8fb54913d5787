import { describe, expect, it } from 'vitest';
import { MARKDOWN_WORK_MAX, markdownWork } from '../../src/base/markdown-cost.ts';

const SIZE = 65_536;

describe('the work that Markdown asks for', () => {
  it.each([
    'a* ',
    '*a ',
    '_a ',
    'a**b',
    '~~a ',
    '[a](',
    '[',
    'a] ',
    '![a',
    '[^a]',
    '\\*',
    'a<!--...',
    '<?',
    'a<![CDATA[',
    '> ',
    '- ',
    '>- ',
    '1. ',
    'a\n-\n',
    'a\n=\n\n',
    '- - - - - - - - a\n',
  ])('is too much for %j, over and over', (part) => {
    expect(markdownWork(part.repeat(SIZE / part.length))).toBeGreaterThan(MARKDOWN_WORK_MAX);
    expect(markdownWork(part.repeat(3))).toBeLessThan(MARKDOWN_WORK_MAX / 10);
  });

  it('is not hidden by what looks like code, a list or a table', () => {
    const hostile = 'a* '.repeat(SIZE / 3);
    for (const before of [
      '<div>\n```\n',
      '<!--\n\n```\n-->\n',
      '- a\n  ```\n',
      '> ```\n',
      '``` `\n',
      'x\n    - ',
      '|a\n|-|-\n',
    ]) {
      expect(markdownWork(`${before}${hostile}`), before).toBeGreaterThan(MARKDOWN_WORK_MAX);
    }
    expect(markdownWork('a *b*\n'.repeat(5000))).toBeGreaterThan(MARKDOWN_WORK_MAX);
    expect(markdownWork(`a\n${'    - *b*\n'.repeat(5000)}`)).toBeGreaterThan(MARKDOWN_WORK_MAX);
    expect(markdownWork(`- - - - - - - - a${'\n'.repeat(10 * SIZE)}`)).toBeGreaterThan(MARKDOWN_WORK_MAX);
  });

  it('is nothing for what people write, however long', () => {
    const ordinary = [
      'Some *words* in **a** paragraph with [a link](http://x) and `code`.\n\n',
      '- [one](http://a) **b**\n  - two\n    - three\n',
      '| [a](b) | *c* |\n',
      '> quoted\n> > deeper\n\n',
      '```c\nint *a[] = {*b, *c};\n```\n',
      'Line of snake_case_words and file_names\n',
    ];
    for (const part of ordinary) {
      const head = part.startsWith('|') ? '| h | i |\n|---|---|\n' : '';
      expect(markdownWork(head + part.repeat(20_000)), part).toBe(0);
    }
    expect(markdownWork(`\`\`\`\n${'int *a[3];\n'.repeat(20_000)}\`\`\`\n`)).toBe(0);
  });
});
