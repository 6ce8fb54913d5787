/** `/learn`, `/learned`, `/unlearn`: what people give, agree to, and take back, on both platforms, over real vaults. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { toHex, utf8 } from '../../src/base/bytes.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { LANGUAGES } from '../../src/bridges/core/languages.ts';
import { documentName } from '../../src/bridges/core/learn-offers.ts';
import { askText, LEARN_TEXT_VERSION } from '../../src/bridges/core/learning.ts';
import { learnOfferSchema } from '../../src/bridges/core/records.ts';
import { put, putText } from '../../src/bridges/core/state.ts';
import { LEARN_BYTES_MAX, LEARN_OFFER_MS, LEARN_OFFERS_DAY_MAX } from '../../src/bridges/limits.ts';
import { learnedVaultName } from '../../src/daemon/learned-vault.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { ZIP_ENTRY_BYTES_MAX } from '../../src/vault/limits.ts';
import { checkPurpose } from '../../src/vault/terms.ts';
import { LEARNER } from '../stand-ins/learning.ts';
import { signerOf } from '../stand-ins/money.ts';
import { makeZip } from '../vault/fixtures.ts';
import { type LearnSide, type LearnStage, learnStage, type Said, type SentFile } from './learning-stage.ts';

const DID = didOf(signerOf(9).publicKey);
const NOTES = 'The quokka lighthouse at Port Zorbel was lit in 1874 by Amra Fennick.';
const file = (name = 'notes.md', text = NOTES): SentFile => ({ name, content: utf8(text) });

let stage: LearnStage;

const learned = () => stage.home.learning.list([DID]);
const question = (side: LearnSide, user: number, sent: SentFile = file()): Promise<Said> =>
  side.reply(
    user,
    () => side.command(user, 'learn', { file: sent }),
    /nothing of it is kept but your message/,
  );
const press = (side: LearnSide, user: number, on: Said, action: string, pattern: RegExp): Promise<Said> =>
  side.reply(user, () => side.press(user, on, action), pattern);
async function give(side: LearnSide, user: number, sent?: SentFile): Promise<void> {
  await press(side, user, await question(side, user, sent), 'agree', /is knowledge of guide now/);
}

describe.each(['telegram', 'discord'] as const)('on %s', (platform) => {
  let side: LearnSide;
  beforeEach(async () => {
    stage = await learnStage();
    side = stage[platform];
  });
  afterEach(() => stage.close());

  // BRG-151 BRG-152 BRG-154 BRG-156 BRG-157 BRG-158 BRG-159
  test('a document is asked about, kept after a yes, listed, exported and destroyed', async () => {
    await stage.link(side, 7, 9);
    const asked = await question(side, 7);
    for (const part of [
      'notes.md',
      'guide',
      DID,
      'encrypted',
      'Everybody who asks',
      'answers only',
      'train',
      'ledger',
      '/unlearn',
      '10 minutes',
    ]) {
      expect(asked.text).toContain(part);
    }
    expect(await learned()).toEqual([]);
    expect(await stage.home.vaults.names()).toEqual([]);
    await press(side, 7, asked, 'agree', /“notes.md” is knowledge of guide now/);

    const [document] = await learned();
    expect(document).toMatchObject({ name: 'notes.md', agent: LEARNER, contributor: DID });
    const hash = createHash('sha256').update(utf8(NOTES)).digest('hex');
    expect(document?.consent).toMatch(
      new RegExp(
        `^${platform}:7 agreed to text 1 \\(en\\); at .*; for agent guide, .*; document sha256 ${hash}$`,
      ),
    );
    const vault = await stage.home.vaults.open(learnedVaultName(LEARNER));
    const kept = await vault.document(`notes.md by ${DID}`);
    expect(kept).toMatchObject({
      consent: document?.consent,
      licence: expect.stringContaining('no training'),
    });
    expect(toHex(kept?.contributor ?? new Uint8Array())).toBe(toHex(signerOf(9).publicKey));
    expect((await vault.search({ question: 'Who lit the lighthouse?' })).hits).toHaveLength(1);
    await expect(checkPurpose(vault.books, 'answer', 0)).resolves.toBeUndefined();
    for (const purpose of ['train', 'label', 'export'] as const) {
      await expect(checkPurpose(vault.books, purpose, 0)).rejects.toMatchObject({ code: 'grant-refused' });
    }

    await side.reply(7, () => side.command(7, 'learned'), /1\. notes\.md · 69 B · guide · \d{4}-/);
    const exported = await side.reply(7, () => side.command(7, 'export'), /"account"/);
    expect(exported.text).toContain(hash);
    await side.reply(8, () => side.command(8, 'learned'), /No document of yours/);
    await side.reply(8, () => side.command(8, 'unlearn', { argument: 'notes.md' }), /No document of yours/);
    expect(await learned()).toHaveLength(1);
    await side.reply(7, () => side.command(7, 'unlearn', { argument: 'NOTES.md' }), /is destroyed/);
    expect(await learned()).toEqual([]);
    expect((await vault.search({ question: 'Who lit the lighthouse?' })).hits).toEqual([]);
    await side.reply(7, () => side.command(7, 'unlearn', { argument: '1' }), /No document of yours/);
  });

  // BRG-151 BRG-153
  test('is refused in a group, without a link, without a document, and above the limit', async () => {
    await side.reply(7, () => side.inGroup(7, 'learn', { file: file() }), /in a direct chat with me only/);
    await side.reply(7, () => side.command(7, 'learn', { file: file() }), /Link a DID of your own first/);
    await stage.link(side, 7, 9);
    await side.reply(7, () => side.command(7, 'learn'), /Nothing but your message is kept before you agree/);
    const large = { name: 'large.txt', content: new Uint8Array(LEARN_BYTES_MAX + 1).fill(65) };
    await side.reply(7, () => side.command(7, 'learn', { file: large }), /too large: at most 2 MB/);
    await side.reply(7, () => side.command(7, 'unlearn'), /Say which one/);
    expect(await stage.home.vaults.names()).toEqual([]);
  });

  // BRG-154
  test('nobody says yes for somebody else, and a second press changes nothing', async () => {
    await stage.link(side, 7, 9);
    await stage.link(side, 8, 10);
    const asked = await question(side, 7);
    // The other presses the same button under a message of their own.
    const others = await question(side, 8, file('other.md', 'Another text about a heron in Vellmar.'));
    await press(side, 8, { ...others, buttons: asked.buttons }, 'agree', /You have no answer/);
    expect(await learned()).toEqual([]);
    await press(side, 7, asked, 'agree', /is knowledge of guide now/);
    await press(side, 7, asked, 'agree', /was decided already/);
    await press(side, 7, asked, 'decline', /was decided already/);
    expect(await learned()).toHaveLength(1);
    await press(side, 8, others, 'decline', /Nothing was kept/);
    await press(side, 8, others, 'agree', /was decided already/);
    expect(await stage.home.learning.list([didOf(signerOf(10).publicKey)])).toEqual([]);
  });

  // BRG-154
  test('a file that is another one when the yes comes is not kept', async () => {
    await stage.link(side, 7, 9);
    const content = utf8(NOTES);
    const asked = await question(side, 7, { name: 'notes.md', content });
    content.set(utf8('An evil'), 0);
    await press(side, 7, asked, 'agree', /is not the one that you were asked about/);
    expect(await learned()).toEqual([]);
    expect(await stage.home.vaults.names()).toEqual([]);
  });

  // BRG-153
  test('what is refused leaves nothing of what was written, and what is over no name', async () => {
    const ask = (pattern: RegExp): Promise<Said> =>
      side.reply(7, () => side.command(7, 'learn', { argument: NOTES }), pattern);
    await ask(/Link a DID of your own first/);
    expect(await written()).toBe(false);
    await stage.link(side, 7, 9);
    const asked = await question(side, 7, file('diary.md'));
    expect(await named('diary.md')).toBe(true);
    await press(side, 7, asked, 'decline', /Nothing was kept/);
    expect(await named('diary.md')).toBe(false);
  });

  // BRG-152 BRG-154
  test('what was written behind the command is learned, and is gone where nobody agrees in time', async () => {
    await stage.link(side, 7, 9);
    const ask = (): Promise<Said> =>
      side.reply(
        7,
        () => side.command(7, 'learn', { argument: NOTES }),
        /nothing of it is kept but your message/,
      );
    const late = await ask();
    expect(await written()).toBe(true);
    stage.pass(LEARN_OFFER_MS + 1);
    await press(side, 7, late, 'agree', /That was too late/);
    expect(await written()).toBe(false);
    await ask();
    stage.pass(LEARN_OFFER_MS + 1);
    await stage.restart();
    await stage.telegramService.until(
      () => stage.state.getText('learn/open/none') === undefined,
      'the start',
    );
    await untilGone();
    await press(side, 7, await ask(), 'agree', /“The quokka .*txt” is knowledge/);
    expect(await learned()).toHaveLength(1);
    await untilGone();
  });

  // BRG-159
  test('a link that ends or changes takes no document along, and who gave it can take it back', async () => {
    await stage.link(side, 7, 9);
    await give(side, 7);
    const asked = await question(side, 7, file('more.md', 'A second text about the reef of Ombra.'));
    await side.reply(7, () => side.command(7, 'unlink'), /link is ended.*stays knowledge of an agent/);
    await press(side, 7, asked, 'agree', /not linked any more to the DID/);
    await stage.link(side, 7, 11);
    const asks = await side.reply(7, () => side.command(7, 'forget'), /stays knowledge of an agent/);
    expect((await learned()).map(({ contributor }) => contributor)).toEqual([DID]);
    await press(side, 7, asks, 'unlearn', /1 document is destroyed/);
    expect(await learned()).toEqual([]);
  });

  /** Whether a journal still has what was written. */
  async function written(): Promise<boolean> {
    for await (const [, value] of stage.state.entries('job/')) {
      if (Buffer.from(value).includes(NOTES)) return true;
    }
    return false;
  }
  /** Whether an offer still has a name. */
  async function named(name: string): Promise<boolean> {
    for await (const [, value] of stage.state.entries('learn/offer/')) {
      if (Buffer.from(value).includes(name)) return true;
    }
    return false;
  }
  async function untilGone(): Promise<void> {
    while (await written()) await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

describe('documents', () => {
  let side: LearnSide;
  beforeEach(async () => {
    stage = await learnStage({ personDocumentsMax: 3, peopleMax: 1 });
    side = stage.telegram;
    await stage.link(side, 7, 9);
  });
  afterEach(() => stage.close());

  // BRG-151
  test('of others are not taken: forwarded, in an answer to somebody, or quoted', async () => {
    const { telegramService: telegram } = stage;
    const own = telegram.say({ chat: 7, user: 7, text: '', document: file('mine.md') });
    const others = telegram.say({ chat: 7, user: 8, text: '', document: file('theirs.md') });
    const sends = (more: object) => () => void telegram.say({ chat: 7, user: 7, text: '/learn', ...more });
    await side.reply(7, sends({ replyTo: others.id }), /Nothing but your message is kept before you agree/);
    await side.reply(
      7,
      sends({ document: file(), forwarded: true }),
      /Nothing but your message is kept before you agree/,
    );
    await side.reply(7, sends({ replyTo: own.id }), /“mine\.md”/);
  });

  // BRG-154
  test('of somebody are not decided about by others who see the buttons', async () => {
    const asked = await question(side, 7);
    const { telegramService: telegram } = stage;
    const press = (): void => void telegram.press(7, 8, Number(asked.id), asked.buttons[0] ?? '');
    await side.reply(7, press, /Only the person who asked can do that/);
    expect(await learned()).toEqual([]);
  });

  // BRG-160
  test('are kept within limits, once, and for who gave them first', async () => {
    await give(side, 7);
    await press(side, 7, await question(side, 7, file('again.md')), 'agree', /this very document already/);
    await stage.link(stage.discord, 8, 10);
    const copied = await question(stage.discord, 8, file('copy.md'));
    await press(stage.discord, 8, copied, 'agree', /stays theirs/);
    const fresh = await question(stage.discord, 8, file('fresh.md', 'A text of somebody else about Ombra.'));
    await press(stage.discord, 8, fresh, 'agree', /As many people as may be/);
    await give(side, 7, file('notes.md', 'A second text, on the reef of Ombra.'));
    await give(side, 7, file('notes.md', 'A third text, on the mill of Tarn.'));
    expect((await learned()).map(({ name }) => name)).toEqual(['notes.md', 'notes 2.md', 'notes 3.md']);
    const fourth = await question(side, 7, file('four.md', 'A fourth text, on nothing much.'));
    await press(side, 7, fourth, 'agree', /as many documents as may be/);
    await side.reply(7, () => side.command(7, 'unlearn', { argument: 'notes 2.md' }), /is destroyed/);
    await give(side, 7, file('four.md', 'A fourth text, on nothing much.'));
    await side.reply(7, () => side.command(7, 'unlearn', { argument: 'notes.md' }), /is destroyed/);
    // What nobody has any more may be given by anybody.
    await stage.link(side, 7, 9);
    await give(side, 7);
  });

  // BRG-161
  test.each([
    [
      'a bomb',
      { name: 'b.docx', content: makeZip([['word/document.xml', Buffer.alloc(ZIP_ENTRY_BYTES_MAX + 1)]]) },
    ],
    ['bytes that are no text', { name: 'x.md', content: new Uint8Array([0x7f, 0, 0xfd, 1, 0, 0, 2, 0xc0]) }],
    ['another kind than its name says', { name: 'x.pdf', content: makeZip([['a.txt', 'text']]) }],
    ['nothing', { name: 'empty.md', content: utf8('   \n') }],
    [
      'a chat that others wrote',
      {
        name: 'result.json',
        content: utf8(
          JSON.stringify({
            name: 'Dunes',
            type: 'private_group',
            id: 1,
            messages: [
              {
                id: 1,
                type: 'message',
                date: '2024-01-01T10:00:00',
                from: 'Ana',
                from_id: 'user1',
                text: 'Hello there',
              },
            ],
          }),
        ),
      },
    ],
  ])('that are %s are refused after the yes, and nothing is kept', async (_, sent) => {
    await press(side, 7, await question(side, 7, sent), 'agree', /no document that I can read/);
    expect(await learned()).toEqual([]);
  });

  // BRG-153
  test('may be offered so often a day', async () => {
    for (let i = 1; i < LEARN_OFFERS_DAY_MAX; i++) await question(side, 7, file(`${i}.md`, `Text ${i}`));
    const last = await question(side, 7, file('last.md', 'The last text of a day.'));
    const more = (): void => side.command(7, 'learn', { file: file('more.md') });
    await side.reply(7, more, /as many documents as may be in a day/);
    // What is refused does not take the place of the one before.
    await press(side, 7, last, 'agree', /is knowledge of guide now/);
    stage.pass(86_400_000);
    await question(side, 7);
  });

  // BRG-151 BRG-45
  test('are the only thing of a chat that is learned: files, questions and answers are not', async () => {
    const { telegramService: telegram } = stage;
    telegram.say({ chat: 7, user: 7, text: 'words=4 topic=secrets', document: file('asked.md') });
    await telegram.until(() => stage.agents.calls.size === 1, 'the call');
    expect([...stage.agents.calls.values()].map(({ request }) => request.training)).toEqual(['excluded']);
    expect(await stage.home.vaults.names()).toEqual([]);
  });
});

describe('who shares a DID', () => {
  beforeEach(async () => {
    stage = await learnStage();
  });
  afterEach(() => stage.close());

  // BRG-159
  test('reaches what was given for it, and not what another gave for another one', async () => {
    const { telegram, discord } = stage;
    await stage.link(telegram, 7, 9);
    await give(telegram, 7);
    await telegram.reply(7, () => telegram.command(7, 'unlink'), /link is ended/);
    await stage.link(telegram, 7, 11);
    await give(telegram, 7, file('shared.md', 'A text of both, about the mill of Tarn.'));
    await stage.link(discord, 8, 11);
    const listed = await discord.reply(8, () => discord.command(8, 'learned'), /shared\.md/);
    expect(listed.text).not.toContain('notes.md');
    const unlearn = (): void => discord.command(8, 'unlearn', { argument: 'notes.md' });
    await discord.reply(8, unlearn, /No document of yours/);
    await telegram.reply(7, () => telegram.command(7, 'learned'), /notes\.md[\s\S]*shared\.md/);
  });
});

describe('what is handed over', () => {
  afterEach(() => stage.close());

  // BRG-155
  test('is kept once although answers are lost and the bridge stops, and a yes is not lost', async () => {
    stage = await learnStage();
    const { telegram: side } = stage;
    await stage.link(side, 7, 9);
    let calls = 0;
    const gate = Promise.withResolvers<void>();
    stage.between((port) => ({
      ...port,
      async learn(order) {
        calls += 1;
        // It is kept, and nobody hears of it.
        if (calls > 1) await port.learn(order);
        gate.resolve();
        if (calls < 4) throw new SaharaError('daemon-not-running');
        return port.learn(order);
      },
    }));
    await stage.restart();
    const asked = await question(side, 7);
    side.press(7, asked, 'agree');
    await gate.promise;
    expect(stage.state.getBytes(`learn/bytes/${keyOf(asked)}`)).toBeDefined();
    // A no that comes late, or another document, changes nothing about what was agreed to.
    await press(side, 7, asked, 'decline', /was decided already/);
    await question(side, 7, file('more.md', 'Another text, about the mill of Tarn.'));
    await stage.restart();
    await side.reply(7, () => undefined, /“notes.md” is knowledge of guide now/);
    expect(await learned()).toHaveLength(1);
    expect(stage.state.getBytes(`learn/bytes/${keyOf(asked)}`)).toBeUndefined();
  });

  // BRG-155
  test('does not lie in the store once nothing hands it over', async () => {
    stage = await learnStage();
    await stage.link(stage.telegram, 7, 9);
    const key = keyOf(await question(stage.telegram, 7));
    const offer = stage.state.get(`learn/offer/${key}`, learnOfferSchema);
    expect(offer).toBeDefined();
    if (offer === undefined) return;
    const orphan = { ...offer, state: 'agreed', agreedBy: '00'.repeat(16) } as const;
    await stage.state.update(() => ({
      operations: [put(`learn/offer/${key}`, learnOfferSchema, orphan), putText(`learn/bytes/${key}`, NOTES)],
      result: undefined,
    }));
    await stage.restart();
    const isGone = (): boolean => stage.state.getBytes(`learn/bytes/${key}`) === undefined;
    await stage.telegramService.until(isGone, 'the end of what nobody hands over');
    await press(stage.telegram, 7, await question(stage.telegram, 7), 'agree', /is knowledge of guide now/);
  });

  // BRG-155 BRG-160
  test('is not kept anew under an id that was taken back, also after a restart', async () => {
    stage = await learnStage();
    const order = {
      ...{ reference: new Uint8Array(16).fill(1), giver: 'telegram:7', contributor: DID, agent: LEARNER },
      ...{ name: 'a.md', bytes: utf8(NOTES), consent: 'yes' },
    };
    const id = '01'.repeat(16);
    expect(await stage.home.learning.learn(order)).toMatchObject({ type: 'kept', document: { id } });
    expect(await stage.home.learning.learn(order)).toMatchObject({ type: 'kept', document: { id } });
    await expect(stage.home.learning.learn({ ...order, bytes: utf8('other') })).rejects.toMatchObject({
      code: 'malformed',
    });
    expect(await stage.home.learning.forget(['telegram:8', 'did:key:zOther'], id)).toBe(false);
    expect(await stage.home.learning.forget(['telegram:7'], id)).toBe(true);
    await stage.home.restart();
    expect(await stage.home.learning.learn(order)).toEqual({ type: 'refused', why: 'over' });
    await stage.home.restart({ agent: '' });
    expect(await stage.home.learning.open()).toBeUndefined();
    const other = { ...order, reference: new Uint8Array(16).fill(2) };
    expect(await stage.home.learning.learn(other)).toEqual({ type: 'refused', why: 'off' });
  });

  // BRG-155
  test.each([0, 1, 2, 3, 4])('is whole or not there when its daemon dies at write %i', async (writes) => {
    stage = await learnStage();
    const order = {
      ...{ reference: new Uint8Array(16).fill(1), giver: 'telegram:7', contributor: DID, agent: LEARNER },
      ...{ name: 'a.md', bytes: utf8(NOTES), consent: 'yes' },
    };
    let left = writes;
    const { records } = stage.home;
    const dying = {
      ...records,
      async batch(...given: Parameters<typeof records.batch>) {
        if (left-- <= 0) throw new Error('died');
        await records.batch(...given);
      },
    };
    await stage.home.restart({ records: dying });
    const { learning } = stage.home;
    await learning
      .learn(order)
      .then(() => learning.forget([DID], '01'.repeat(16)))
      .catch(() => undefined);
    await stage.home.restart();
    const before = await learned();
    const again = await stage.home.learning.learn(order);
    expect(again.type).toBe(writes < 3 ? 'kept' : 'refused');
    expect(before).toHaveLength(writes === 0 ? 0 : writes < 3 ? 1 : 0);
    expect(await learned()).toHaveLength(writes < 3 ? 1 : 0);
    const vault = await stage.home.vaults.open(learnedVaultName(LEARNER));
    expect(vault.stats().documents).toBe(writes < 3 ? 1 : 0);
  });
});

describe('what could not be brought to its end', () => {
  beforeEach(async () => {
    stage = await learnStage({ personDocumentsMax: 2 });
  });
  afterEach(() => stage.close());
  const order = (id: number, more: object = {}) => ({
    ...{ reference: new Uint8Array(16).fill(id), giver: 'telegram:7', contributor: DID, agent: LEARNER },
    ...{ name: 'a.md', bytes: utf8(`${NOTES} ${id}`), consent: 'yes', ...more },
  });
  /** A store that fails at those of its writes. */
  const failing = async (...at: readonly number[]): Promise<void> => {
    const { records } = stage.home;
    let writes = 0;
    const batch = async (...given: Parameters<typeof records.batch>): Promise<void> => {
      if (at.includes(writes++)) throw new Error('died');
      await records.batch(...given);
    };
    await stage.home.restart({ records: { ...records, batch } });
  };

  // BRG-155
  test('is not said to be kept: what its vault refused is handed over again whole', async () => {
    await failing(1);
    const { vaults } = stage.home;
    const create = vaults.create.bind(vaults);
    let isRefused = true;
    vaults.create = async (name) => {
      if (isRefused) throw new Error('full');
      return create(name);
    };
    await expect(stage.home.learning.learn(order(1))).rejects.toThrow();
    isRefused = false;
    expect(await stage.home.learning.learn(order(1))).toMatchObject({ type: 'kept' });
    const vault = await vaults.open(learnedVaultName(LEARNER));
    expect(vault.stats().documents).toBe(1);
  });

  // BRG-155 BRG-159
  test('is still listed, has its name, and can be taken back again', async () => {
    await failing(3);
    const { learning } = stage.home;
    await learning.learn(order(1));
    const id = '01'.repeat(16);
    await expect(learning.forget([DID], id)).rejects.toThrow();
    expect(await learned()).toHaveLength(1);
    expect(await learning.learn(order(2))).toMatchObject({ document: { name: 'a 2.md' } });
    expect(await learning.forget([DID], id)).toBe(true);
    expect(await learning.learn(order(1))).toEqual({ type: 'refused', why: 'over' });
    const vault = await stage.home.vaults.open(learnedVaultName(LEARNER));
    expect(vault.stats().documents).toBe(1);
    expect(await vault.document(`a 2.md by ${DID}`)).toBeDefined();
  });

  // BRG-160 BRG-162
  test('one person is one, with however many DIDs, and a numbered name is no longer than others', async () => {
    const { learning } = stage.home;
    const name = `${'n'.repeat(100)}.md`;
    await learning.learn(order(1, { name }));
    const second = await learning.learn(order(2, { name }));
    expect(second).toMatchObject({ document: { name: `${'n'.repeat(75)} 2.md` } });
    const other = order(3, { contributor: didOf(signerOf(10).publicKey) });
    expect(await learning.learn(other)).toEqual({ type: 'refused', why: 'documents' });
    expect(await learning.learn({ ...other, giver: 'telegram:8' })).toMatchObject({ type: 'kept' });
  });
});

describe('the text that is agreed to', () => {
  // BRG-152
  test('is the one that its version says', () => {
    const about = { agent: 'guide', name: 'a.md', sizeBytes: 2048, account: DID };
    const hashes = LANGUAGES.map((language) => [
      language.tag,
      createHash('sha256').update(askText(about, language).text).digest('hex').slice(0, 16),
    ]);
    expect([LEARN_TEXT_VERSION, hashes]).toMatchInlineSnapshot(`
      [
        1,
        [
          [
            "en",
            "492c9790895b90d4",
          ],
          [
            "de",
            "06940cc64d036e8c",
          ],
        ],
      ]
    `);
  });

  // BRG-162
  test.each([
    ['../../etc/passwd', 'etc passwd'],
    ['C:\\x\\y.md', 'C x y.md'],
    ['a\u202egnp.md\u0000\n', 'agnp.md'],
    ['a\u3164b\u115f\u2800.md\ufe0f', 'ab.md'],
    ['.hidden', 'hidden'],
    ['   ', 'document'],
    ['*bold*_`code`|<b>.md', 'bold _ code b .md'],
    [`${'é'.repeat(300)}.markdown`, `${'é'.repeat(71)}.markdown`],
    [`${'😀'.repeat(300)}.md`, `${'😀'.repeat(77)}.md`],
  ])('names %j plainly', (given, name) => {
    expect(documentName(given)).toBe(name);
    expect(documentName(name)).toBe(name);
  });
});

/** The key of the job that a question's buttons name. */
function keyOf({ buttons }: Said): string {
  return buttons[0]?.split(':')[1] ?? '';
}
