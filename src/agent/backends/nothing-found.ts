/** How it is said that nothing here answers a question: in the question's language, as far as that tells. */
import { languageOf } from '../../vault/text/language.ts';

/** In English, and where a language does not tell. */
export const NOTHING_FOUND = 'Nothing in my documents answers this.';

const SENTENCES: Readonly<Record<NonNullable<ReturnType<typeof languageOf>>, string>> = {
  en: NOTHING_FOUND,
  de: 'In meinen Dokumenten steht keine Antwort darauf.',
  fr: "Rien dans mes documents n'y répond.",
  es: 'Nada en mis documentos responde a esto.',
  it: 'Nei miei documenti non c’è una risposta.',
  pt: 'Nada nos meus documentos responde a isto.',
  nl: 'In mijn documenten staat hier geen antwoord op.',
  zh: '我的文档中没有这个问题的答案。',
  ja: '手元の文書にはこの質問の答えがありません。',
  ko: '제 문서에는 이에 대한 답이 없습니다.',
  ru: 'В моих документах нет ответа на это.',
};

/** The sentence for a question. */
export function nothingFound(question: string): string {
  return SENTENCES[languageOf(question) ?? 'en'];
}
