/**
 * Labelled points: the places of a call's life at which a fault may strike. A program that installed no watcher, and
 * that is every program outside a test, passes them for the price of one comparison. The fault suite
 * (`docs/faults.md`) has a process die, stall or fail at each of them, and checks that each is reached.
 */

/** Every point, with what has just happened there. */
export const POINTS = {
  'caller:opening': 'voucher and request are signed, nothing is sent',
  'caller:sent': 'the opening is handed to the stream',
  'caller:kept': 'what it takes to go on with the call is kept',
  'caller:delivered': 'a piece of the answer came and was checked',
  'caller:checkpoint': 'a checkpoint was checked, nothing more is covered',
  'caller:raised': 'a further voucher is signed and not sent',
  'caller:covered': 'a further voucher is handed to the stream',
  'caller:stopped': 'the stop is handed to the stream',
  'caller:resuming': 'the stream broke, there is another, nothing is sent on it',
  'caller:resumed': 'the resumption is handed to the stream',
  'caller:ending': 'the ending came and is not checked',
  'caller:settled': 'the ending is accepted by the book in memory',
  'caller:bundle': 'the bundle is written under a name that nobody reads',
  'caller:bundled': 'the bundle has its name',
  'host:opening': 'an opening came and nothing is checked',
  'host:leased': 'the voucher is accepted in memory and a part of it is held',
  'host:admitted': 'the id is among the messages taken',
  'host:delivered': 'a piece of the answer is handed to the stream',
  'host:checkpoint': 'a checkpoint is signed and not kept',
  'host:kept': 'a checkpoint and what it covers are kept, and not sent',
  'host:checkpointed': 'a checkpoint is handed to the stream',
  'host:topped-up': 'a further voucher is accepted in memory and nothing more is delivered for it',
  'host:covered': 'a further voucher is safe, and what it covers may be delivered',
  'host:resuming': 'a resumption was checked and changes nothing yet',
  'host:resumed': 'another stream carries the call',
  'host:recovered': 'a call of before the restart has its part of the channel again',
  'host:answered': 'the answer is over and nothing is charged',
  'host:charged': 'receipt and charge are kept, nobody has seen them',
  'host:ended': 'the ending is handed to the stream, the call is not among the records',
  'once:paid': 'a block has the payment of a single call, its host has not seen it',
  'once:used': 'the answer to a payment is kept, and that it is used up; nobody has seen the ending',
  'relay:opened': 'a gateway has a way to the host, the caller was not told',
  'relay:passed': 'a gateway handed a frame of a call to the other side',
  'relay:ended': 'a gateway passed the end of one direction on',
  'payee:counted': 'the charge is counted in memory and not signed',
  'payee:signed': 'receipt and charge are signed and not kept',
  'payee:secured': 'receipt and charge survive the end of the process',
  'payer:marked': 'the marks above what may be signed are on disk',
  'payer:asked': 'the payee told what it has, nothing is taken over',
  'tail:appended': 'a batch is in the tail',
  'tail:recovered': 'the tail is in the store and not emptied',
  'journal:batch': 'a batch of a book is about to be written',
  'journal:written': 'a batch of a book is in the store, the tail is not emptied',
  'claim:submitting': 'a claim is made up and not sent',
  'claim:submitted': 'the ledger took the claim in, nobody here knows',
  'claim:settled': 'the book has kept what the ledger paid',
  'identity:prepared': 'the key after the next one is on disk, the ledger has not heard of it',
  'identity:rotated': 'a rotation is in a block, the key before signs still',
  'voucher:key-made': 'the key that a channel is to have is on disk, nothing says for which',
  'voucher:key-kept': 'it is known whose that key is, the ledger has not heard of it',
  'voucher:key-counts': 'the ledger has the key of a channel, what it replaces is still here',
  'wallet:kept': 'a transaction is on disk and not sent',
  'ledger:built': 'a block is executed and signed, nothing is written',
  'ledger:committed': 'the block is on disk, nobody was told',
  'ledger:published': 'the block was told to the network',
  'ledger:marked': 'the head is written under a name that nobody reads',
  'follower:executed': 'a block of the sequencer was executed, nothing is written',
  'follower:committed': 'a block of the sequencer is on disk',
  'light:headed': 'a header that was checked is on disk, the records are those of before',
  'light:viewed': 'proved records are on disk and not adopted',
  'light:proved': 'proof of a transaction is on disk, who sent it does not know',
} as const;

/** The name of a point. */
export type Point = keyof typeof POINTS;

let watcher: ((label: Point) => void) | undefined;

/** Says that the process has come to `label`. */
export function point(label: Point): void {
  if (watcher !== undefined) watcher(label);
}

/** Has `watch` told of every point from now on, inside the code that comes there: what it throws is thrown there. */
export function watchPoints(watch: ((label: Point) => void) | undefined): void {
  watcher = watch;
}

/** Whether `text` names a point. */
export function isPoint(text: string): text is Point {
  return Object.hasOwn(POINTS, text);
}
