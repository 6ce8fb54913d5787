/** Which language a text is in, by its script and its most frequent small words: a fixed rule, and no more than a guess. */

/** Languages that are told apart. */
type Language = 'en' | 'de' | 'fr' | 'es' | 'it' | 'pt' | 'nl' | 'zh' | 'ja' | 'ko' | 'ru';

const SMALL_WORDS: Readonly<Record<string, Language>> = Object.fromEntries(
  (
    [
      ['en', 'the and of to is are in that what how when where does do which who with for you it'],
      ['de', 'der die das und ist sind ein eine nicht wie wann wo was wer mit von den dem im zu wird auf'],
      ['fr', 'le les des du est sont une et que quand où comment pour dans sur avec qui au aux quel quelle'],
      ['es', 'el los las del es son una y que cuándo dónde cómo para con por en está cuál quién se'],
      ['it', 'il gli della è sono una e che quando dove come per con nel chi quale di si'],
      ['pt', 'os as do da é são uma e que quando onde como para com no na quem qual não'],
      ['nl', 'het een en is zijn van wat hoe wanneer waar wie met voor op niet de'],
    ] as const
  ).flatMap(([language, words]) =>
    words.split(' ').map((word) => [`${language}/${word}`, language] as const),
  ),
);
const LATIN: readonly Language[] = ['en', 'de', 'fr', 'es', 'it', 'pt', 'nl'];

/** The language of a text; `undefined` when its script and small words do not tell. */
export function languageOf(text: string): Language | undefined {
  if (/[\u3041-\u30ff]/.test(text)) return 'ja';
  if (/[\uac00-\ud7a3]/.test(text)) return 'ko';
  if (/[\u4e00-\u9fff]/.test(text)) return 'zh';
  if (/[\u0400-\u04ff]/.test(text)) return 'ru';
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const counts = LATIN.map((language) => ({
    language,
    count: words.filter((word) => SMALL_WORDS[`${language}/${word}`] !== undefined).length,
  })).sort((a, b) => b.count - a.count);
  const [first, second] = counts;
  return first && first.count > (second?.count ?? 0) ? first.language : undefined;
}
