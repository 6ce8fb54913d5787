import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AnswerRequest, Passage } from '../../src/agent/backends/backend.ts';
import { requestParts } from '../../src/agent/backends/backend.ts';
import { createExtractiveBackend } from '../../src/agent/backends/extractive.ts';
import { NOTHING_FOUND } from '../../src/agent/backends/nothing-found.ts';
import { integerRoot, lengthDivisor } from '../../src/agent/backends/sentences.ts';
import { fromUtf8, utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { countUnits, UnitCounter } from '../../src/protocol/units.ts';
import { openVault } from '../../src/vault/vault.ts';
import { addText } from '../vault/fixtures.ts';
import { readVectors } from '../vault/vectors.ts';
import { type Answered, backendConforms, readAnswer } from './backend-conforms.ts';

backendConforms('extractive', async () => createExtractiveBackend());

const passage = (text: string, title = '', fill = 1): Passage => ({
  id: new Uint8Array(32).fill(fill),
  title,
  text,
  score: 100,
});

function ask(
  question: string,
  passages: readonly Passage[],
  more: Partial<AnswerRequest> = {},
): Promise<Answered> {
  const request = { question, context: [], passages, unitsMax: 500, ...more };
  return readAnswer(createExtractiveBackend().answer(request, { signal: new AbortController().signal }));
}

interface AnswerVector {
  readonly question: string;
  readonly terms?: readonly { readonly term: string; readonly weight: number }[];
  readonly passages: readonly { readonly title: string; readonly text: string; readonly score: number }[];
  readonly unitsMax: number;
  readonly answer: string;
  readonly finish: string;
  readonly citations: readonly (readonly number[])[];
  readonly units: { readonly input: number; readonly output: number };
}

describe('extractive answers', () => {
  test('KNOW-21: every sentence is verbatim and cited, and nothing else is said', async () => {
    const words = fc.constantFrom(
      'voucher',
      'payer',
      'Ünïts',
      'ceiling',
      '東京',
      'rises',
      '😀',
      'claim.',
      'It',
      'channel:',
    );
    const text = fc.array(
      fc.array(words, { minLength: 3, maxLength: 14 }).map((all) => `${all.join(' ')}.`),
      {
        minLength: 1,
        maxLength: 6,
      },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 60 }),
        async (all, unitsMax) => {
          const passages = all.map((lines, i) => passage(lines.join(i % 2 === 0 ? ' ' : '\n\n'), 'Title', i));
          const {
            text: answer,
            citations,
            end,
          } = await ask('voucher ceiling claim?', passages, { unitsMax });
          expect(countUnits(answer)).toBeLessThanOrEqual(unitsMax);
          expect(end.units.output).toBe(countUnits(answer));
          if (end.finish === 'nothing-found') {
            expect(citations).toEqual([]);
            return;
          }
          const bytes = utf8(answer);
          let covered = 0;
          for (const { start, end: stop, passage: index, passageStart, passageEnd } of citations) {
            const quoted = utf8(passages[index]?.text ?? '').subarray(passageStart, passageEnd);
            expect(fromUtf8(bytes.subarray(start, stop))).toBe(fromUtf8(quoted));
            expect(fromUtf8(bytes.subarray(covered, start))?.trim()).toBe('');
            covered = stop;
          }
          expect(covered).toBe(bytes.length);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('KNOW-23: says so when no single sentence covers the question', async () => {
    const passages = [passage('The world is round. A cup holds tea. In 1998 it rained. They won the prize.')];
    const { text, citations, end } = await ask('who won the world cup in 1998', passages);
    expect([text, citations, end.finish]).toEqual([NOTHING_FOUND, [], 'nothing-found']);
    expect((await ask('voucher?', [])).end.finish).toBe('nothing-found');
    expect((await ask('what is the', passages)).end.finish).toBe('nothing-found');
    expect((await ask('zebra prize', passages)).end.finish).toBe('nothing-found');
  });

  test('a pronoun brings its sentence, a colon what it announces', async () => {
    const glued = await ask('When does the ceiling rise?', [
      passage(
        'A voucher is signed by the payer. Its ceiling can rise at any time. Nothing else matters much here.',
      ),
    ]);
    expect(glued.text).toBe('A voucher is signed by the payer. Its ceiling can rise at any time.');
    const code = await ask('How do I start the daemon?', [
      passage('To start the daemon run:\n\n```sh\nsahara up\n```\n\nLater you may stop it.'),
    ]);
    expect(code.text).toBe('To start the daemon run:\n\n```sh\nsahara up\n```');
  });

  test('the kind of question decides between equals', async () => {
    const both = passage('The treaty was signed by the envoys. The treaty was signed in May 1998.');
    expect((await ask('When was the treaty signed?', [both])).text).toMatch(/1998\.$/);
    const why = passage('Vouchers rise always and often. Vouchers rise because old ones must not return.');
    expect((await ask('Why do vouchers rise?', [why])).text).toContain('because');
  });

  test('KNOW-23: a passage that only repeats the question does not answer it', async () => {
    const asked = 'What does a watchtower claim?';
    const faq = passage(`People ask: ${asked} And others too.`);
    expect((await ask(asked, [faq])).end.finish).toBe('nothing-found');
    const { text } = await ask(asked, [faq, passage('A watchtower claims what is due.', '', 2)]);
    expect(text).toBe('A watchtower claims what is due.');
  });

  test('KNOW-22: copies in other passages are not said twice', async () => {
    const { text } = await ask('What is a voucher?', [
      passage('A voucher is a signed ceiling.', '', 1),
      passage('A voucher is a signed ceiling.', '', 2),
    ]);
    expect(text).toBe('A voucher is a signed ceiling.');
  });

  test('answers from a vault, with a misspelt word', async () => {
    const vault = await openVault({ store: createMemoryStore(), clock: systemClock });
    await addText(
      vault,
      'w.md',
      '# Roles\n\nA watchtower claims for a payee who is offline. It cannot steal.',
    );
    await addText(vault, 'v.md', '# Money\n\nA grain is the unit of account.');
    const question = 'what does a wachtower claim';
    const found = requestParts(await vault.search({ question }));
    const { text } = await ask(question, found.passages, { terms: found.terms });
    expect(text).toBe('A watchtower claims for a payee who is offline.');
  });

  test('KNOW-23: what the sentence before names counts a little, words of asking hardly at all', async () => {
    const vpn = passage('The VPN runs on WireGuard. Keys are rotated every 90 days.', 'Network');
    const { text } = await ask('How often are VPN keys rotated?', [vpn]);
    expect(text).toBe('Keys are rotated every 90 days.');
  });

  test('KNOW-23: two words that only stand apart do not answer a question about both together', async () => {
    const apart = [
      passage('Every asset is credited when the claim is paid.', 'Claims', 1),
      passage('The card of an agent states its price.', 'Cards', 2),
    ];
    expect((await ask('Can I pay with a credit card?', apart)).end.finish).toBe('nothing-found');
    const together = passage('You can pay with a credit card at the desk.', 'Desk', 3);
    expect((await ask('Can I pay with a credit card?', [...apart, together])).text).toBe(together.text);
  });

  test('a definition comes before other sentences about the same word', async () => {
    const passages = [
      passage('What a call costs, in grains.', 'Grain', 1),
      passage('| word | what it is |\n| grain | the unit of account of every amount |', 'Glossary', 2),
    ];
    expect((await ask('What is a grain?', passages)).text).toContain('| grain | the unit of account');
  });

  test('KNOW-22: options are part of the digest', () => {
    const digest = (options?: object) =>
      Buffer.from(createExtractiveBackend(options).model.digest).toString('hex');
    expect(digest()).toBe(digest({}));
    expect(new Set([digest(), digest({ sentencesMax: 2 }), digest({ supportMin: 1 })]).size).toBe(3);
  });

  test.each(readVectors<AnswerVector>('answers').valid)(
    'KNOW-21, KNOW-22, KNOW-23: vector $question',
    async (vector) => {
      const passages = vector.passages.map((all, i) => ({ ...all, id: new Uint8Array(32).fill(i) }));
      const { terms, unitsMax } = vector;
      const { text, citations, end } = await ask(vector.question, passages, {
        unitsMax,
        ...(terms && { terms }),
      });
      expect(text).toBe(vector.answer);
      expect(end).toEqual({ type: 'end', finish: vector.finish, units: vector.units });
      const numbers = citations.map((all) => [
        all.start,
        all.end,
        all.passage,
        all.passageStart,
        all.passageEnd,
      ]);
      expect(numbers).toEqual(vector.citations);
    },
  );

  test('KNOW-22: roots are exact', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 120n }), (value) => {
        const root = integerRoot(value);
        expect(root * root <= value && (root + 1n) * (root + 1n) > value).toBe(true);
      }),
    );
    expect([6, 18, 288].map(lengthDivisor)).toEqual([759, 1000, 2000]);
  });
});

describe('units', () => {
  test.each(readVectors<{ text: string; units: number }>('units').valid)(
    'KNOW-20: $text has $units',
    ({ text, units }) => {
      expect(countUnits(text)).toBe(units);
    },
  );

  test('KNOW-20: pieces count as the whole, and a limit cuts at a unit', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 8 })), fc.nat(6), (pieces, max) => {
        const counter = new UnitCounter();
        for (const piece of pieces) counter.push(piece);
        const whole = pieces.join('');
        expect(counter.count).toBe(countUnits(whole));
        const limited = new UnitCounter();
        const taken = whole.slice(0, limited.take(whole, max));
        expect(limited.count).toBe(Math.min(max, counter.count));
        expect(countUnits(taken)).toBe(limited.count);
      }),
    );
  });
});

describe('words and kinds', () => {
  test.each([
    ['Where does the ferry go?', 'The ferry goes to Skarholm.', true],
    ['What was added to the soup?', 'The cook adds salt to the soup.', true],
    ['How fast does the zyzzyvine grow?', 'The zyzzyvine grows three metres in one night.', true],
    ['Which tower is the highest?', 'The high tower is the clock tower.', true],
    ['Who made the clock?', 'The clock stands in the hall.', false],
    ['Who made the clock?', 'The clock was made by Ada Berg.', true],
  ])('KNOW-188: "%s" of "%s": %s', async (question, text, answered) => {
    const { end } = await ask(question, [passage(text)]);
    expect(end.finish).toBe(answered ? 'done' : 'nothing-found');
  });

  test.each([
    ['What does the kiln cost?', 'The kiln costs nine hundred crowns.', 'The kiln costs us much work.'],
    ['How deep is the lake?', 'The lake is forty metres deep.', 'The lake is closed to swimmers.'],
    ['When does the gate open?', 'The gate opens at dawn.', 'The gate opens to the left.'],
    ['How heavy is the bell?', 'The bell weighs two tons.', 'The bell is loud.'],
    ['How hot is the oven?', 'The oven is at 250 degrees.', 'The oven is red.'],
  ])('KNOW-189: "%s" is answered by "%s" before "%s"', async (question, has, lacks) => {
    const { text } = await ask(question, [passage(lacks, '', 1), passage(has, '', 2)]);
    expect(text).toContain(has);
  });

  test.each([
    ['What did the storage unit cost?', 'The storage unit in the cellar holds ten kilowatt hours.', false],
    ['What did the storage unit cost?', 'The storage unit in the cellar cost 900 euros.', true],
    ['How deep is the pool?', 'The pool is open from nine to five.', false],
    ['How old is the tower clock?', 'The tower clock strikes every hour.', false],
    ['How old is the tower clock?', 'The tower clock is ninety years old.', true],
    ['How late is the reading room open?', 'The reading room is open until nine.', true],
    ['How fast does the night train go?', 'The night train goes to Holm.', false],
    ['Wie tief ist das Becken?', 'Bei Gewitter müssen alle Gäste das Becken verlassen.', false],
    ['Wie tief ist das Becken?', 'Das Becken ist zwei Meter tief.', true],
    ['Hoe diep is het bad?', 'Het bad is open op zondag.', false],
    ['泳池有多深？', '泳池的水温保持在二十七度。', false],
    ['泳池有多深？', '泳池深三米。', true],
    ['公園の広さはどのくらいですか？', '公園は朝六時に開き、夜九時に閉まります。', false],
  ])('KNOW-196: "%s" of "%s": %s', async (question, text, answered) => {
    const { end } = await ask(question, [passage(text, 'Notes', 1)]);
    expect(end.finish).toBe(answered ? 'done' : 'nothing-found');
  });

  test('KNOW-196: a time of day is no number of anything', async () => {
    const hall = (text: string) => ask('How many backups are kept?', [passage(text, 'Backups', 1)]);
    expect((await hall('A backup is kept at two in the morning.')).end.finish).toBe('nothing-found');
    expect((await hall('Nine backups are kept.')).end.finish).toBe('done');
  });

  test('KNOW-189: a row has the kind of thing that the head of its table names', async () => {
    const table = (head: string) =>
      ask('What does a berth cost?', [
        passage(`| Place | ${head} |\n|---|---|\n| berth | 40 |\n| seat | 12 |`, 'Night train', 1),
      ]);
    expect((await table('Price in euros')).text).toContain('berth | 40');
    expect((await table('How many')).end.finish).toBe('nothing-found');
  });

  test('KNOW-189: who and why are asked for somebody and for a reason', async () => {
    const first = async (question: string, has: string, lacks: string): Promise<string> =>
      (await ask(question, [passage(lacks, 'Notes', 1), passage(has, 'Notes', 1)])).text;
    const mended = 'The mill was mended by Ada Berg.';
    expect(await first('Who mended the mill?', mended, 'The mill was mended in brick.')).toBe(mended);
    const closed = 'The path is closed because herons breed.';
    expect(await first('Why is the path closed?', closed, 'The path is closed in March.')).toBe(closed);
  });

  test('KNOW-197: what names something leaves the rest to the sentence before', async () => {
    const asked = (text: string) => ask('Where do I get the VPN client?', [passage(text, 'Work at home', 1)]);
    const both = 'Employees connect through the VPN. The client is downloaded from the intranet.';
    expect((await asked(both)).text).toContain('The client is downloaded from the intranet.');
    const apart = 'Employees connect through the VPN. Lunch is at noon. The client is downloaded.';
    expect((await asked(apart)).end.finish).toBe('nothing-found');
  });

  test('KNOW-189: a unit without the kind of thing that is asked for does not answer alone', async () => {
    const asked = 'How deep is the lake?';
    expect((await ask(asked, [passage('The steep path above the lake is closed.')])).end.finish).toBe(
      'nothing-found',
    );
  });

  test.each([
    ['Kann ich meinen Hund mitbringen?', 'Hunde bleiben an der Leine.', true],
    ['Quand ouvre la piscine ?', 'La piscine est ouverte du lundi au vendredi.', true],
    ['¿Cuánto cuesta la entrada?', 'La entrada a la torre vale cuatro euros para los adultos.', true],
    ['¿Cuánto cuesta la entrada?', 'La entrada está detrás de la torre.', false],
    ['Quanti vagoni ha il treno?', 'Il treno ha nove vagoni.', true],
    ['Hoe vaak rijdt de bus?', 'De bus rijdt elke dag.', true],
    ['Когда закрываются ворота?', 'Ворота закрываются в полночь.', true],
    ['What does a tripod cost?', 'A tripod is steady.', false],
    ['May I bring my dog?', 'Dogs stay on a lead.', true],
    [
      'Сколько стоит комната в месяц?',
      'Машина стоит в подвале и работает за жетоны по десять рублей.',
      false,
    ],
  ])('KNOW-192, KNOW-194: "%s" of "%s": %s', async (question, text, answered) => {
    const { end } = await ask(question, [passage(text)]);
    expect(end.finish).toBe(answered ? 'done' : 'nothing-found');
  });

  test('KNOW-23: a refusal is in the language of the question', async () => {
    const said = async (question: string) => (await ask(question, [passage('Nothing of it.')])).text;
    expect(await said('Wie hoch ist die Miete?')).toBe('In meinen Dokumenten steht keine Antwort darauf.');
    expect(await said('¿Cuándo abre la piscina y el museo?')).toBe('Nada en mis documentos responde a esto.');
    expect(await said('Quel est le prix du pain ?')).toBe("Rien dans mes documents n'y répond.");
    expect(await said('泳池有多深？')).toMatch(/没有这个问题的答案/);
    expect(await said('タオルはどこで借りられますか？')).toMatch(/答えがありません/);
    expect(await said('Xyzzy?')).toBe(NOTHING_FOUND);
  });
});
