/** Where the figures of the book stand. */

/** The balance of an account. */
export function accountKey(account: string): string {
  return `account/${account}`;
}

/** What calls of a user hold. */
export function heldKey(user: string): string {
  return `held/${user}`;
}

/** What is to come back of credit that was taken back while calls held it. */
export function owedKey(account: string): string {
  return `owed/${account}`;
}

/** What of a balance cannot be paid out. */
export function giftKey(account: string): string {
  return `gift/${account}`;
}
