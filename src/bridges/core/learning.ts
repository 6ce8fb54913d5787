/**
 * `/learn`: a document of somebody's own becomes knowledge of one agent, with their DID as contributor, after they agreed in
 * plain words to what happens with it. `/learned` lists such documents, `/unlearn` destroys one for good. Nothing else that
 * comes through a chat gets there.
 */
import { equalBytes, toHex, utf8 } from '../../base/bytes.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { LEARN_BYTES_MAX, LEARN_OFFER_MS } from '../limits.ts';
import type { CommandCall } from './commands.ts';
import type { Language } from './language.ts';
import {
  type Agreed,
  digestOf,
  documentName,
  type OfferParts,
  type Offers,
  referenceOf,
} from './learn-offers.ts';
import { sleep } from './pacer.ts';
import { patiently } from './patience.ts';
import { accountOf } from './people.ts';
import { type ChatEvent, faultOf, type Platform } from './platform.ts';
import type { LearnedDocument, LearnOrder, LearnOutcome, LearnPort } from './ports.ts';
import type { Job, LearnOffer, Reply } from './records.ts';
import { plain, type Rich, separated, styled } from './rich.ts';
import { userOf } from './spending.ts';

/** What learning works with. */
export interface LearningParts extends OfferParts {
  readonly platform: Platform;
  readonly offers: Offers;
  /** Absent: nothing is learned here. */
  readonly learn?: LearnPort | undefined;
  /** Aborted when the bridge stops. */
  readonly stopping: AbortSignal;
}

/** Version of the text that people agree to: another text has another number. */
export const LEARN_TEXT_VERSION = 1;

const RETRY_FIRST_MS = 1_000;
const RETRY_LAST_MS = 60_000;
/** Characters of a text that name it. */
const TEXT_NAME_CHARACTERS = 40;

type LearnCommand = (parts: LearningParts, call: CommandCall) => Promise<Reply>;

/** Every command about learning. Their replies are for the person who asks. */
export const LEARN_COMMANDS: Readonly<Record<'learn' | 'learned' | 'unlearn', LearnCommand>> = {
  learn: offered,
  async learned(parts, { event, language }) {
    const documents = await documentsOf(parts, event);
    if (documents.length === 0) return secret(plain(language.learnedEmpty));
    const lines = documents.map((document, i) => plain(language.learnedLine(rowOf(document, i))));
    return secret(
      separated([styled(language.learnedTitle, 'bold'), ...lines, plain(language.learnedHow)], '\n'),
    );
  },
  async unlearn(parts, { event, argument, language }) {
    if (argument === '') return secret(plain(language.unlearnHow));
    const document = named(await documentsOf(parts, event), argument);
    if (document === undefined) return secret(plain(language.unlearnNone));
    await parts.learn?.forget(ownersOf(parts, event), document.id);
    return secret(plain(language.unlearned({ name: document.name, agent: document.agent })));
  },
};

/** Asks whether a document may be kept. The refusals are in the order of BRG-153. */
async function offered(parts: LearningParts, { event, key, language }: CommandCall): Promise<Reply> {
  const { offers, state } = parts;
  const agent = await parts.learn?.open();
  if (agent === undefined) return open(language.learnOff);
  if (!event.place.direct) return open(language.learnDirect);
  const user = userOf(event);
  const account = accountOf(state, user);
  if (!account.startsWith('did:')) return secret(plain(language.learnLink));
  const [file, ...more] = event.attachments;
  const isText = file === undefined;
  if (more.length > 0 || (isText && event.argument.trim() === ''))
    return secret(plain(language.learnHow(limit())));
  if (file !== undefined && file.sizeBytes > LEARN_BYTES_MAX)
    return secret(plain(language.learnTooLarge(limit())));
  const bytes = await bytesFor(parts, event);
  if (bytes === 'gone' || bytes === 'away') return secret(plain(language.learnGone));
  if (bytes === 'too-large' || bytes.length > LEARN_BYTES_MAX)
    return secret(plain(language.learnTooLarge(limit())));
  const name = documentName(isText ? nameOfText(event.argument) : file.name);
  const offer = {
    ...{ user, account, agent: agent.name, name, sizeBytes: bytes.length, hash: digestOf(bytes) },
    ...{ version: LEARN_TEXT_VERSION, language: language.tag },
  };
  if (!(await offers.make(key, offer))) return secret(plain(language.learnTooMany));
  return { rich: askText(offer, language), buttons: ['agree', 'decline'], isPrivate: true };
}

/** The text that is agreed to. */
export function askText(
  offer: Pick<LearnOffer, 'agent' | 'name' | 'sizeBytes' | 'account'>,
  language: Language,
): Rich {
  const { agent, name, sizeBytes, account: did } = offer;
  const minutes = LEARN_OFFER_MS / 60_000;
  return plain(language.learnAsk({ agent, name, size: sizeText(sizeBytes), did, minutes }));
}

/** The reply to a button about documents; `undefined` for any other button. */
export async function learnPress(
  parts: LearningParts,
  job: Job,
  { target, language }: { readonly target: Job; readonly language: Language },
): Promise<Reply | undefined> {
  const { event } = job;
  if (!['agree', 'decline', 'unlearn'].includes(event.text)) return undefined;
  // Nobody, admins included, decides for somebody else.
  if (userOf(event) !== userOf(target.event)) return secret(plain(language.notYours));
  if (event.text === 'unlearn') return unlearnAll(parts, event, language);
  const offer = toHex(target.key);
  if (event.text === 'decline') {
    const isClosed = await parts.offers.close(offer);
    return secret(plain(isClosed ? language.learnDeclined : language.learnOver));
  }
  const user = userOf(event);
  const agreeing = { by: toHex(job.key), user, account: accountOf(parts.state, user) };
  return secret(
    plain(await agreed(parts, offer, { ...(await parts.offers.agree(offer, agreeing)), language })),
  );
}

async function agreed(
  parts: LearningParts,
  key: string,
  { language, ...outcome }: Agreed & { readonly language: Language },
): Promise<string> {
  switch (outcome.type) {
    case 'not-yours':
      return language.notYours;
    case 'under-way':
      return language.learnUnderWay;
    case 'over':
      return language.learnOver;
    case 'lapsed':
    case 'relinked':
      await parts.offers.close(key);
      return outcome.type === 'lapsed' ? language.learnLapsed : language.learnRelinked;
    case 'decided': {
      const kept = (await parts.learn?.list([outcome.offer.user])) ?? [];
      const document = kept.find(({ id }) => id === key);
      return document === undefined ? language.learnOver : language.learned(document);
    }
    default:
      return keepAgreed(parts, key, { offer: outcome.offer, language });
  }
}

/** Hands over what was agreed to. Whatever comes of it ends the offer, unless the bridge stops: then the next start goes on. */
async function keepAgreed(
  parts: LearningParts,
  key: string,
  { offer, language }: { readonly offer: LearnOffer; readonly language: Language },
): Promise<string> {
  const { offers } = parts;
  const bytes = offers.held(key) ?? (await fetchAgreed(parts, key));
  if (typeof bytes === 'string' || !equalBytes(digestOf(bytes), offer.hash)) {
    await offers.end(key);
    return bytes === 'gone' ? language.learnGone : language.learnChanged;
  }
  try {
    await offers.hold(key, bytes);
    const outcome = await handOver(parts, { ...orderOf(key, offer), bytes });
    await offers.end(key);
    return outcome.type === 'kept' ? language.learned(outcome.document) : language.learnRefused[outcome.why];
  } catch (error) {
    parts.stopping.throwIfAborted();
    await offers.end(key);
    const { code } = asSaharaError(error);
    parts.log.warn('a document was not learned', { job: key, code });
    if (code.startsWith('document-')) return language.learnUnreadable;
    return `${language.learnFailed} ${language.failureId(key.slice(0, 12))}`;
  }
}

/** What was agreed to, from where it came; a platform that is away is asked again until it answers. */
async function fetchAgreed(
  parts: LearningParts,
  key: string,
): Promise<Exclude<Awaited<ReturnType<typeof bytesFor>>, 'away'>> {
  const { journal, clock, stopping } = parts;
  for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(2 * waitMs, RETRY_LAST_MS)) {
    const source = journal.find(key)?.event;
    const bytes = source === undefined ? 'gone' : await bytesFor(parts, source);
    stopping.throwIfAborted();
    if (bytes !== 'away') return bytes;
    await sleep(clock, waitMs, stopping);
  }
}

function orderOf(key: string, offer: LearnOffer): Omit<LearnOrder, 'bytes'> {
  const { user: giver, account: contributor, agent, name } = offer;
  const consent = [
    `${giver} agreed to text ${offer.version} (${offer.language})`,
    `at ${new Date(offer.agreedAtMs).toISOString()}`,
    `for agent ${agent}, answers only`,
    `document sha256 ${toHex(offer.hash)}`,
  ].join('; ');
  return { reference: referenceOf(key), giver, contributor, agent, name, consent };
}

/** Hands a document over, again and again while nobody is there to take it: it is kept once. */
async function handOver(parts: LearningParts, order: LearnOrder): Promise<LearnOutcome> {
  const { learn, clock, log, stopping } = parts;
  for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(2 * waitMs, RETRY_LAST_MS)) {
    try {
      if (learn === undefined) throw new SaharaError('daemon-not-running');
      return await until(learn.learn(order), stopping);
    } catch (error) {
      stopping.throwIfAborted();
      const known = asSaharaError(error);
      if (known.kind !== 'unavailable' && known.kind !== 'cancelled') throw known;
      log.warn('a document is handed over again', { job: toHex(order.reference), code: known.code });
    }
    await sleep(clock, waitMs, stopping);
  }
}

async function until<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const stopped = Promise.withResolvers<never>();
  const stop = (): void => stopped.reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    signal.throwIfAborted();
    return await Promise.race([work, stopped.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** What a message brings: its file, or what follows its command. Not there any more, or the platform is away: `gone`, `away`. */
async function bytesFor(
  parts: LearningParts,
  { attachments, argument }: ChatEvent,
): Promise<Uint8Array | 'too-large' | 'gone' | 'away'> {
  const [file] = attachments;
  if (file === undefined) return argument.trim() === '' ? 'gone' : utf8(argument.trim());
  try {
    return await patiently(parts, () => parts.platform.fetchAttachment(file, LEARN_BYTES_MAX));
  } catch (error) {
    const { code } = asSaharaError(error);
    if (code === 'document-too-large') return 'too-large';
    parts.log.warn('a document was not read', { code });
    return code === 'rate-limited' || faultOf(error) === 'uncertain' ? 'away' : 'gone';
  }
}

async function unlearnAll(parts: LearningParts, event: ChatEvent, language: Language): Promise<Reply> {
  const documents = await documentsOf(parts, event);
  for (const { id } of documents) await parts.learn?.forget(ownersOf(parts, event), id);
  return secret(plain(language.unlearnedAll(documents.length)));
}

/** What is added where somebody has all else deleted, or ends a link: documents stay until they are taken back. */
export async function learnedNote(
  parts: Pick<LearningParts, 'learn' | 'log' | 'state'>,
  event: ChatEvent,
  language: Language,
): Promise<string | undefined> {
  try {
    const count = (await documentsOf(parts, event)).length;
    return count === 0 ? undefined : language.learnedStay(count);
  } catch (error) {
    parts.log.warn('not known what was learned', { code: asSaharaError(error).code });
    return language.learnedUnknown;
  }
}

/** The documents that a user gave, for whatever DID, and those that were given for the DID that is linked. */
export async function documentsOf(
  parts: Pick<LearningParts, 'learn' | 'state'>,
  event: ChatEvent,
): Promise<readonly LearnedDocument[]> {
  return (await parts.learn?.list(ownersOf(parts, event))) ?? [];
}

function ownersOf({ state }: Pick<LearningParts, 'state'>, event: ChatEvent): readonly string[] {
  // Others of the same account are not among them: what they gave for other DIDs is theirs.
  return [...new Set([userOf(event), accountOf(state, userOf(event))])];
}

/** The document of that name, or of that number in the list. */
function named(documents: readonly LearnedDocument[], wanted: string): LearnedDocument | undefined {
  const lower = wanted.toLowerCase();
  const number = /^\d{1,4}$/.test(wanted) ? Number(wanted) - 1 : -1;
  return (
    documents.find(({ name }) => name === wanted) ??
    documents.find(({ name }) => name.toLowerCase() === lower) ??
    documents[number]
  );
}

function rowOf(
  { name, agent, sizeBytes, atMs }: LearnedDocument,
  index: number,
): Parameters<Language['learnedLine']>[0] {
  const date = new Date(atMs).toISOString().slice(0, 10);
  return { number: index + 1, name, agent, size: sizeText(sizeBytes), date };
}

function nameOfText(text: string): string {
  const line = text.trim().split('\n')[0] ?? '';
  return `${[...documentName(line)].slice(0, TEXT_NAME_CHARACTERS).join('').trim()}.txt`;
}

function limit(): string {
  return sizeText(LEARN_BYTES_MAX);
}

function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1_048_576 ? `${Math.round(bytes / 1024)} kB` : `${Math.round(bytes / 104_857.6) / 10} MB`;
}

/** What everybody may read. */
function open(text: string): Reply {
  return { rich: plain(text), buttons: [], isPrivate: false };
}

function secret(rich: Rich): Reply {
  return { rich, buttons: [], isPrivate: true };
}
