/** What can grow in a bridge, and how far. Peers need not share these; `spec/bridges.md` lists them. */
import { invariant } from '../base/errors.ts';
import { QUESTION_BYTES_MAX } from '../protocol/limits.ts';

/** Longest message that Telegram takes, UTF-16 units after entities are parsed. */
export const TELEGRAM_TEXT_MAX = 4096;
/** Most entities that Telegram keeps of one message. */
export const TELEGRAM_ENTITIES_MAX = 100;
/** Longest message that Discord takes, UTF-16 units. */
export const DISCORD_TEXT_MAX = 2000;
/** Longest answer that a bridge shows, UTF-16 units; the receipt covers the whole one. */
export const ANSWER_TEXT_MAX = 65_536;
/** Room of an answer's tables with aligned columns, UTF-16 units; one beyond it is shown as it was written. */
export const TABLES_TEXT_MAX = 65_536;
/** Longest text that an answer is laid out to, UTF-16 units; tables and bullets take more room than their source. */
export const LAID_OUT_TEXT_MAX = 131_072;
/** Deepest Markdown nesting that is laid out; what lies deeper is shown as it was written. */
export const MARKDOWN_DEPTH_MAX = 32;
/** Most messages that one answer is spread over. */
export const SLOTS_MAX = 128;
/** Most bytes of one journalled record. */
export const JOB_BYTES_MAX = 1_048_576;
/** Most jobs that wait for an agent or run at once, over all chats. */
export const JOBS_RUNNING_MAX = 1024;
/** Most questions of one user in flight. */
export const QUESTIONS_PER_USER_MAX = 3;
/** Most earlier turns kept of one conversation. */
export const CONVERSATION_TURNS_MAX = 12;
/** Longest turn kept of one conversation, UTF-16 units. */
export const CONVERSATION_TURN_CHARACTERS_MAX = 4000;
/** Most questions that `/history` lists. */
export const HISTORY_LISTED_MAX = 10;
/** Newest questions of a person among which `/receipt`, `/explain` and `/proof` look for the one that is meant. */
export const QUESTIONS_SEARCHED_MAX = 1000;
/** Most users, over all platforms, that share the account of one DID. */
export const MEMBERS_MAX = 8;
/** Most questions that `/export` gives. */
export const EXPORTED_QUESTIONS_MAX = 500;
/** Longest text of `/export`, UTF-16 units. */
export const EXPORT_CHARACTERS_MAX = 60_000;
/** Most agents that one message lists. */
export const AGENTS_LISTED_MAX = 20;
/** Most agents of which suggestions are made while a name is typed. */
export const AGENTS_INDEXED_MAX = 1000;
/** Longest quoted message that goes along with a question, UTF-16 units. */
export const QUOTE_CHARACTERS_MAX = 4000;
/** Most attachments read of one message. */
export const ATTACHMENTS_MAX = 4;
/** Largest attachment that is read into a question, bytes. */
export const ATTACHMENT_BYTES_MAX: number = QUESTION_BYTES_MAX;
/** How long a finished job and a conversation are remembered, milliseconds: 30 days. */
export const KEPT_MS: number = 30 * 86_400_000;
/** Most users whose rate is followed in memory. */
export const RATED_USERS_MAX = 10_000;
/** Most chats whose pace is followed in memory. */
export const PACED_CHATS_MAX = 10_000;
/** Places that are looked at for what was written while Discord kept no session: those that the bot was last asked in. */
export const CAUGHT_UP_PLACES_MAX = 50;
/** Messages that are read in one of them, the newest ones. */
export const CAUGHT_UP_MESSAGES_MAX = 1000;
/** Age of the oldest message that is taken up then, milliseconds: a day. */
export const CAUGHT_UP_MS = 86_400_000;
/** How long the next message is taken for the amount of a budget after somebody chose to write one, milliseconds: ten minutes. */
export const BUDGET_FORM_MS = 600_000;
/** Messages that are no amount until that is given up. */
export const BUDGET_FORM_TRIES_MAX = 3;
/** How long after its end a form of a budget is remembered, so that the message that filled it in is told the same after a crash, milliseconds: a day. */
export const BUDGET_FORMS_KEPT_MS = 86_400_000;
/** Such forms that are remembered, the last ones; it is looked at each start and once a day. */
export const BUDGET_FORMS_MAX = 10_000;
/** Agents of which pauses are remembered, those that end last; it is looked at each start and once a day. */
export const AGENT_PAUSES_MAX = 10_000;
/** How long a question waits for its asker to agree to the price, milliseconds: five minutes, a third of what Discord keeps an interaction. */
export const APPROVAL_MS = 300_000;
/** How long after that it is remembered how it was decided, milliseconds: a day. */
export const APPROVALS_KEPT_MS = 86_400_000;
/** Such questions that are remembered, the last ones; it is looked at each start and once a day. */
export const APPROVALS_MAX = 10_000;
/** How long an agent is not asked that took money and delivered nothing, milliseconds: ten minutes, doubled each time. */
export const AGENT_PAUSE_FIRST_MS = 600_000;
/** The longest such pause, milliseconds: a day. */
export const AGENT_PAUSE_LAST_MS = 86_400_000;
/** How long after a pause the next one counts as another one, milliseconds: a week. */
export const AGENT_PAUSES_KEPT_MS: number = 7 * 86_400_000;
/** Times that a receipt is asked for at the end of an answer, where that fails. */
export const RECEIPT_TRIES_MAX = 4;
/** Longest look for what became of one call, milliseconds. */
export const LOOK_UP_MS = 15_000;
/** The first wait before it is looked again what became of calls, milliseconds; each that brings nothing doubles it. */
export const UNSETTLED_WAIT_FIRST_MS = 5_000;
/** The longest such wait, milliseconds: ten minutes. */
export const UNSETTLED_WAIT_LAST_MS = 600_000;
/** How long it is looked what became of one call, milliseconds: two days, the age up to which the counters of its caps are kept. */
export const UNSETTLED_KEPT_MS: number = 2 * 86_400_000;
/** Times that a process looks at a call before it gives it up, however old it is. */
export const UNSETTLED_LOOKS_MIN = 5;
/** Largest document that somebody may give by `/learn`, bytes: 2 MiB. */
export const LEARN_BYTES_MAX = 2_097_152;
/** How long a document waits for a yes, milliseconds: ten minutes. */
export const LEARN_OFFER_MS = 600_000;
/** Documents that one user may offer in a UTC day. */
export const LEARN_OFFERS_DAY_MAX = 20;
/** Documents kept of one person. */
export const LEARNED_DOCUMENTS_PERSON_MAX = 64;
/** Bytes kept of one person: 16 MiB. */
export const LEARNED_BYTES_PERSON_MAX = 16_777_216;
/** People of whom documents are kept. */
export const LEARNED_PEOPLE_MAX = 1024;
/** Documents kept of everybody. */
export const LEARNED_DOCUMENTS_MAX = 4096;
/** Bytes kept of everybody: 512 MiB. */
export const LEARNED_BYTES_MAX = 536_870_912;
/** Longest name of a learned document, characters. */
export const LEARNED_NAME_CHARACTERS_MAX = 80;
/** Message ids after the question that are searched for a message whose sending was never confirmed. */
export const FIND_WINDOW = 24;

invariant(ATTACHMENT_BYTES_MAX <= QUESTION_BYTES_MAX, 'an attachment has to fit into a question');
invariant(QUOTE_CHARACTERS_MAX * 3 < QUESTION_BYTES_MAX, 'a quote leaves room for the question');
