import { describe, expect, it } from 'vitest';
import { concat, utf8 } from '../../src/base/bytes.ts';
import { readPickle } from '../../src/merge/torch/pickle.ts';

describe('MRG-40: files of PyTorch', () => {
  it.each([
    ['dictionaries', '}'],
    ['lists', ']'],
    ['nothing', 'N'],
    ['marks', '('],
    ['memories', 'N\u0094\u0094\u0094'],
  ])('are refused when a pickle asks for more memory than tensors need, of %s', (_, code) => {
    const bomb = Buffer.from(code.repeat(12_000_000 / code.length), 'latin1');
    expect(() => readPickle(concat(bomb, utf8('.')))).toThrow(/more than any tensors need/);
  });
});
