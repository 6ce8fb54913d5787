/** Commands about a user's own money: paying in, being paid out, and linking a DID of one's own. */
import { formatAmount, parseAmount } from '../../base/amount.ts';
import { equalBytes, fromHex, toHex } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError } from '../../base/errors.ts';
import { didOf, publicKeyOf } from '../../protocol/ids.ts';
import type { Cash } from './cash.ts';
import type { CommandCall } from './commands.ts';
import { codeText, LINK_VERSION, type LinkGrant } from './grant.ts';
import type { Language } from './language.ts';
import { type LearningParts, learnedNote } from './learning.ts';
import { accountOf, askedNonce, asking, hasRoom, isUsed, joining, leaving, membersOf } from './people.ts';
import type { MoneyPort } from './ports.ts';
import type { Reply } from './records.ts';
import { joined, plain, type Rich, styled } from './rich.ts';
import { type Spending, userOf } from './spending.ts';
import type { State } from './state.ts';

/** What these commands work with. */
export interface MoneyCommandParts extends Pick<LearningParts, 'learn' | 'log'> {
  readonly spending: Spending;
  readonly state: State;
  readonly clock: Clock;
  readonly money: MoneyPort;
  readonly cash: Cash;
}

type MoneyCommand = (parts: MoneyCommandParts, call: CommandCall) => Promise<Rich>;

/** Every command about money. Their replies are for the person who asks. */
export const MONEY_COMMANDS: Readonly<Record<string, MoneyCommand>> = {
  async deposit({ cash }, { event, language }) {
    // What would not be seen must not be paid in.
    if (!(await cash.seesDeposits())) return plain(language.moneyOff);
    const { did, memo } = await cash.depositCode(userOf(event));
    return joined(`${language.deposit}\n`, styled(`sahara pay ${did} 1 --memo ${memo}`, 'code'));
  },
  withdraw,
  link: (parts, call) => (call.argument === '' ? giveCode(parts, call) : takeGrant(parts, call)),
  unlink,
};

async function withdraw(
  { cash, spending, state }: MoneyCommandParts,
  { event, key, argument, language }: CommandCall,
): Promise<Rich> {
  const user = userOf(event);
  const account = accountOf(state, user);
  const [text = '', to = account] = argument.split(/\s+/);
  const fee = await cash.fee();
  const { payable } = spending.standing(event);
  const all = payable > fee ? payable - fee : 0n;
  const isAll = /^(all|alles)$/i.test(text);
  const amount = isAll ? all : parseAmount(text);
  if (amount === undefined || publicKeyOf(to) === undefined) return plain(language.withdrawHow);
  if (amount === 0n && !cash.isKnown(key)) return plain(language.withdrawNothing);
  try {
    return plain(withdrawn(language, await cash.withdraw(key, { user, to, amount }), { amount, to }));
  } catch (error) {
    if (asSaharaError(error).code !== 'funds-insufficient') throw error;
    return plain(language.withdrawTooMuch({ payable: formatAmount(payable), fee: formatAmount(fee) }));
  }
}

function withdrawn(
  language: Language,
  done: Awaited<ReturnType<Cash['withdraw']>>,
  { amount, to }: { readonly amount: bigint; readonly to: string },
): string {
  if (done.type === 'under-way') return language.withdrawUnderWay;
  if (done.type === 'refused') return language.withdrawRefused;
  return language.withdrawPaid({ amount: formatAmount(amount), to, block: done.block });
}

async function giveCode(
  { money, state }: MoneyCommandParts,
  { event, key, language }: CommandCall,
): Promise<Rich> {
  const { did, network } = await money.whoami();
  const bridge = publicKeyOf(did) ?? new Uint8Array(32);
  const nonce = fromHex(key) ?? new Uint8Array(16);
  const user = userOf(event);
  await state.update(() => ({ operations: [asking(user, nonce)], result: undefined }));
  const code = codeText({ version: LINK_VERSION, network, bridge, user, nonce });
  return joined(`${language.linkHow}\n`, styled(`sahara bridge link ${code}`, 'code'));
}

/** The grant is for this very user, answers the last code, holds still, and was made where nobody else reads it. */
async function takeGrant(parts: MoneyCommandParts, call: CommandCall): Promise<Rich> {
  const { money, state, spending, clock } = parts;
  const { event, argument, language } = call;
  // A slash command shows its argument to nobody; a message in a group does.
  if (!event.place.direct && event.messageId !== undefined) return plain(language.openDirect);
  let grant: LinkGrant;
  try {
    grant = await money.grant(argument);
  } catch (error) {
    if (asSaharaError(error).kind === 'unavailable') throw error;
    return plain(language.linkWrong);
  }
  const user = userOf(event);
  const did = didOf(grant.did);
  const atMs = clock.nowMs();
  const outcome = await state.update(() => {
    const account = accountOf(state, user);
    if (isUsed(state, grant.nonce) && account === did && grant.user === user)
      return { operations: [], result: 'linked' };
    const isOther = account.startsWith('did:') && account !== did;
    if (isOther || !hasRoom(state, did, user)) return { operations: [], result: 'taken' };
    if (!isAnswer(state, user, grant) || grant.expiresAtMs <= atMs)
      return { operations: [], result: 'wrong' };
    const id = toHex(grant.nonce);
    const operations = [...spending.moveTo(user, did, { id, atMs }), ...joining(state, user, did, grant)];
    return { operations, result: 'linked' };
  });
  if (outcome === 'taken') return plain(language.linkTaken);
  return plain(outcome === 'wrong' ? language.linkWrong : linkedText(language, did, grant));
}

function isAnswer(state: State, user: string, grant: LinkGrant): boolean {
  const asked = fromHex(askedNonce(state, user) ?? '');
  return (
    grant.user === user &&
    asked !== undefined &&
    equalBytes(asked, grant.nonce) &&
    !isUsed(state, grant.nonce)
  );
}

function linkedText(language: Language, did: string, grant: LinkGrant): string {
  return language.linked({
    did,
    callMax: formatAmount(grant.callMax),
    dayMax: formatAmount(grant.dayMax),
    max: formatAmount(grant.max),
    until: new Date(grant.expiresAtMs).toISOString().slice(0, 10),
  });
}

/** The last user to leave takes everything along: it is paid to the DID. */
async function unlink(parts: MoneyCommandParts, { event, key, language }: CommandCall): Promise<Rich> {
  const { cash, spending, state } = parts;
  const user = userOf(event);
  const note = await learnedNote(parts, event, language);
  const did = accountOf(state, user);
  if (did === user) return plain(language.linkNone);
  const fee = await cash.fee();
  const { payable } = spending.standing(event);
  let rest: string | undefined;
  if (membersOf(state, did).length === 1 && (payable > fee || cash.isKnown(key))) {
    const amount = payable > fee ? payable - fee : 0n;
    rest = withdrawn(language, await cash.withdraw(key, { user, to: did, amount }), { amount, to: did });
  }
  await state.update(() => ({ operations: leaving(state, user), result: undefined }));
  return plain([language.unlinked, rest, note].filter((text) => text !== undefined).join(' '));
}

/** The reply of a command about money to its asker alone. */
export async function moneyReply(
  parts: Omit<MoneyCommandParts, 'money' | 'cash'> & {
    readonly money?: MoneyPort | undefined;
    readonly cash?: Cash | undefined;
  },
  call: CommandCall,
): Promise<Reply | undefined> {
  const command = Object.hasOwn(MONEY_COMMANDS, call.event.text)
    ? MONEY_COMMANDS[call.event.text]
    : undefined;
  if (command === undefined) return undefined;
  const { money, cash } = parts;
  const isOffered = money !== undefined && cash !== undefined;
  const rich = isOffered ? await command({ ...parts, money, cash }, call) : plain(call.language.moneyOff);
  return { rich, buttons: [], isPrivate: true };
}
