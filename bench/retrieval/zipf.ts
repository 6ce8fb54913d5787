/** Passages out of nothing but a seed: words of a made-up language whose frequencies fall as they do in real texts. */

/** A passage or a document of a collection. */
export interface BenchPassage {
  readonly id: string;
  readonly title: string;
  readonly text: string;
}

const SYLLABLES =
  'ba be bi bo bu da de di do du fa fe fi fo ga ge gi go ka ke ki ko ku la le li lo lu ma me mi mo mu na ne ni no nu pa pe pi po ra re ri ro ru sa se si so su ta te ti to tu va ve vi vo za ze zi zo'.split(
    ' ',
  );
const VOCABULARY = 60_000;
/** Zipf and Mandelbrot: frequency of rank r falls as 1 / (r + 2.7) to the power of 1.05. */
const EXPONENT = 1.05;
const OFFSET = 2.7;
const WORDS_MIN = 40;
const WORDS_SPREAD = 40;

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function numbersFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The word of a rank; neighbouring ranks look nothing like each other. */
function wordOf(rank: number): string {
  let left = (rank * 48_271) % 262_139;
  let word = '';
  for (let i = 0; i < 2 || left > 0; i++) {
    word += SYLLABLES[left % SYLLABLES.length];
    left = Math.floor(left / SYLLABLES.length);
  }
  return `${word}n`;
}

/** `count` passages of 40 to 80 words. */
export function zipfPassages(count: number, seed: number): BenchPassage[] {
  const next = numbersFrom(seed);
  const cumulative = new Float64Array(VOCABULARY);
  let sum = 0;
  for (let rank = 0; rank < VOCABULARY; rank++) {
    sum += 1 / (rank + 1 + OFFSET) ** EXPONENT;
    cumulative[rank] = sum;
  }
  const words = Array.from({ length: VOCABULARY }, (_, rank) => wordOf(rank));
  const draw = (): string => {
    const wanted = next() * sum;
    let [low, high] = [0, VOCABULARY - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulative[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return words[low] ?? '';
  };
  return Array.from({ length: count }, (_, i) => {
    const length = WORDS_MIN + Math.floor(next() * WORDS_SPREAD);
    const text = Array.from({ length }, draw).join(' ');
    return { id: `p${i}`, title: '', text: `${text}.` };
  });
}

/** Questions of five words, each out of one passage. */
export function zipfQuestions(passages: readonly BenchPassage[], count: number, seed: number): string[] {
  const next = numbersFrom(seed ^ 0x5eed);
  return Array.from({ length: count }, () => {
    const words = passages[Math.floor(next() * passages.length)]?.text.slice(0, -1).split(' ') ?? [];
    const chosen = new Set<string>();
    while (chosen.size < Math.min(5, words.length)) {
      chosen.add(words[Math.floor(next() * words.length)] ?? '');
    }
    return [...chosen].join(' ');
  });
}
