/** The sentences about documents that people give, as a part of a language. */
import type { LearnRefusal } from './ports.ts';

/** Sentences about documents. Sizes and dates arrive formatted. */
export interface LearnLanguage {
  /** Nobody's documents are taken. */
  readonly learnOff: string;
  readonly learnDirect: string;
  readonly learnLink: string;
  learnHow(sizeMax: string): string;
  learnTooLarge(sizeMax: string): string;
  readonly learnTooMany: string;
  /** What is agreed to. Another text has another `LEARN_TEXT_VERSION`. */
  learnAsk(parts: {
    readonly agent: string;
    readonly name: string;
    readonly size: string;
    readonly did: string;
    readonly minutes: number;
  }): string;
  learned(parts: { readonly name: string; readonly agent: string }): string;
  readonly learnDeclined: string;
  readonly learnLapsed: string;
  readonly learnOver: string;
  readonly learnUnderWay: string;
  readonly learnRelinked: string;
  readonly learnGone: string;
  readonly learnChanged: string;
  readonly learnUnreadable: string;
  readonly learnFailed: string;
  readonly learnRefused: Readonly<Record<LearnRefusal, string>>;
  readonly learnedTitle: string;
  readonly learnedEmpty: string;
  readonly learnedHow: string;
  learnedLine(parts: {
    readonly number: number;
    readonly name: string;
    readonly agent: string;
    readonly size: string;
    readonly date: string;
  }): string;
  readonly unlearnHow: string;
  readonly unlearnNone: string;
  unlearned(parts: { readonly name: string; readonly agent: string }): string;
  unlearnedAll(count: number): string;
  /** Documents that are still kept when all else is deleted, or a link ends. */
  learnedStay(count: number): string;
  readonly learnedUnknown: string;
}
