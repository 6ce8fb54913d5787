/**
 * Who is who. A user of one platform has an account of their own name; one who linked a DID shares the DID's account with
 * every other user who did, on whatever platform: one balance, one history, one conversation in direct chats.
 */
import { toHex } from '../../base/bytes.ts';
import type { StoreOperation } from '../../base/store.ts';
import { MEMBERS_MAX } from '../limits.ts';
import { type LinkGrant, linkGrant } from './grant.ts';
import { del, put, putText, type State } from './state.ts';

/** The account of a user (`telegram:12345`): the user's own name, or the DID that was linked. */
export function accountOf(state: State, user: string): string {
  return state.getText(personKey(user)) ?? user;
}

/** The users of an account. */
export function membersOf(state: State, account: string): readonly string[] {
  const listed = state.getText(membersKey(account));
  if (listed === undefined) return account.startsWith('did:') ? [] : [account];
  return listed.split(' ').filter((user) => user !== '');
}

/** Every name under which something of a user's may stand: the users of the account and the account itself. */
export function namesOf(state: State, user: string): readonly string[] {
  const account = accountOf(state, user);
  return [...new Set([user, account, ...membersOf(state, account)])];
}

/** What the owner of an account allows; absent for one that is not linked. */
export function grantOf(state: State, account: string): LinkGrant | undefined {
  return state.get(grantKey(account), linkGrant);
}

/** Whether a user may still join the account of a DID. */
export function hasRoom(state: State, account: string, user: string): boolean {
  const members = membersOf(state, account);
  return members.includes(user) || members.length < MEMBERS_MAX;
}

/** The writes that make `user` one of the account `did`, under its new grant. */
export function joining(
  state: State,
  user: string,
  did: string,
  grant: LinkGrant,
): readonly StoreOperation[] {
  const members = [...new Set([...membersOf(state, did), user])];
  return [
    putText(personKey(user), did),
    putText(membersKey(did), members.join(' ')),
    put(grantKey(did), linkGrant, grant),
    putText(usedKey(grant.nonce), user),
    del(askedKey(user)),
  ];
}

/** The writes that give `user` an account of its own again; the last one to leave takes the grant along. */
export function leaving(state: State, user: string): readonly StoreOperation[] {
  const account = accountOf(state, user);
  const members = membersOf(state, account).filter((other) => other !== user);
  if (members.length > 0) return [del(personKey(user)), putText(membersKey(account), members.join(' '))];
  return [del(personKey(user)), del(membersKey(account)), del(grantKey(account))];
}

/** The nonce of the code that a user was given last, hexadecimal. */
export function askedNonce(state: State, user: string): string | undefined {
  return state.getText(askedKey(user));
}

/** The write that remembers the code given to a user. */
export function asking(user: string, nonce: Uint8Array): StoreOperation {
  return putText(askedKey(user), toHex(nonce));
}

/** Whether a code was answered before. */
export function isUsed(state: State, nonce: Uint8Array): boolean {
  return state.getText(usedKey(nonce)) !== undefined;
}

function personKey(user: string): string {
  return `person/${user}`;
}

function membersKey(account: string): string {
  return `members/${account}`;
}

function grantKey(account: string): string {
  return `grant/${account}`;
}

function askedKey(user: string): string {
  return `linking/${user}`;
}

function usedKey(nonce: Uint8Array): string {
  return `linked/${toHex(nonce)}`;
}
