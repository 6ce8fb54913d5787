/** The words and marks of a whole conversation, against files that someone has looked at (`npm run pictures:bridges`). */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { asText, discordTranscript, telegramTranscript } from './transcripts.ts';

const golden = (name: string): Promise<string> =>
  readFile(new URL(`./golden/${name}.txt`, import.meta.url), 'utf8');

// BRG-1 BRG-10 BRG-27
test.each([
  ['telegram', telegramTranscript],
  ['discord', discordTranscript],
] as const)('a conversation on %s reads as it should', async (name, transcript) => {
  expect(asText(await transcript())).toBe(await golden(name));
});
