/** What people read about failures between peers: messages, calls and their payment. */
import { type Fact, money, type SentenceTable, seconds, when } from './sentence.ts';

/** What a peer sent. */
export const WIRE_SENTENCES: SentenceTable<
  | 'malformed'
  | 'too-large'
  | 'version-unsupported'
  | 'network-mismatch'
  | 'wrong-recipient'
  | 'unknown-critical'
  | 'expired'
  | 'not-yet-valid'
  | 'replayed'
  | 'signature-missing'
  | 'signature-invalid'
  | 'certificate-invalid'
  | 'rate-limited'
  | 'overloaded'
> = {
  malformed: (f) => [
    'A message could not be read.',
    `${f('reason', 'It does not have the agreed form')}.`,
    'Try again; if it stays, one side runs an incompatible version.',
  ],
  'too-large': (f) => [
    `A ${f('what', 'message')} is too large${f('sizeBytes') && `: ${f('sizeBytes')} bytes`}.`,
    `At most ${f('limitBytes', f('maxBytes', 'the agreed number of'))} bytes are taken.`,
    'Send less, for instance a shorter question or fewer earlier turns.',
  ],
  'version-unsupported': (f) => [
    'The other side speaks another version of the protocol.',
    `It speaks ${f('found', 'an unknown version')}, this program ${f('supported', 'another')}.`,
    'Update the older of the two.',
  ],
  'network-mismatch': (f) => [
    'The message belongs to another network.',
    `It is for ${f('found', 'another network')}, this peer is on ${f('expected', 'its own')}.`,
    'Check that both sides started from the same genesis.',
  ],
  'wrong-recipient': () => [
    'The message was meant for someone else.',
    'It names another recipient, so it is not acted on.',
    'Look the agent up again and send a new message.',
  ],
  'unknown-critical': (f) => [
    `The message needs ${f('name', f('what', 'something'))} that this peer does not know.`,
    'Its sender marked it as not to be skipped.',
    'Update this side, or send without it.',
  ],
  expired: (f) => [
    'The message came too late.',
    `It had expired by the receiver's clock${f('receiverTimeMs') && ` (${when(f('receiverTimeMs'))})`}.`,
    'Check that the clocks of both machines are right and send it again.',
  ],
  'not-yet-valid': (f) => [
    'The message is from the future.',
    `By the receiver's clock${f('receiverTimeMs') && ` (${when(f('receiverTimeMs'))})`} it is not valid yet.`,
    'Check that the clocks of both machines are right and send it again.',
  ],
  replayed: () => [
    'The message was seen before.',
    'Every message is acted on once.',
    'Ask again for a new answer; the first one is not charged twice.',
  ],
  'signature-missing': () => [
    'A message came without a signature.',
    'Nothing unsigned is acted on.',
    'Update the program that sent it.',
  ],
  'signature-invalid': () => [
    'A signature does not hold.',
    'The message was changed on its way or signed by another key.',
    'Do not rely on the message; ask for it again.',
  ],
  'certificate-invalid': (f) => [
    'A certificate does not hold.',
    `${f('reason', 'It does not lead from the trusted key to its subject')}.`,
    'Ask its owner for a new certificate.',
  ],
  'rate-limited': (f) => [
    'Too many requests came in a short time.',
    `The other side takes ${f('limit', 'fewer')} in a second${f('what') && `, counted by ${f('what')}`}.`,
    `Wait ${seconds(f('retryAfterMs'))} and try again.`,
  ],
  overloaded: (f) => [
    'There is too much to do right now.',
    f('reason') || !f('limit')
      ? `${f('reason', 'All places are taken')}.`
      : `At most ${f('limit')} run or wait at a time${f('what') && `, counted by ${f('what')}`}.`,
    `Wait ${seconds(f('retryAfterMs'))} and try again, or ask another host of the agent.`,
  ],
};

/** Calls and what they cost. */
export const CALL_SENTENCES: SentenceTable<
  | 'agent-unknown'
  | 'skill-unknown'
  | 'peer-unreachable'
  | 'peer-gone'
  | 'deadline-exceeded'
  | 'cancelled'
  | 'caller-refused'
  | 'quota-exhausted'
  | 'payment-required'
  | 'price-above-max'
  | 'payment-invalid'
  | 'voucher-invalid'
  | 'voucher-stale'
  | 'voucher-insufficient'
  | 'channel-unknown'
  | 'channel-closing'
  | 'funds-insufficient'
  | 'channel-to-self'
  | 'receipt-invalid'
  | 'answer-invalid'
  | 'call-conflict'
  | 'call-unknown'
  | 'call-cycle'
  | 'budget-exceeded'
  | 'work-required'
  | 'offer-invalid'
  | 'watchtower-off'
  | 'seal-invalid'
> = {
  'agent-unknown': (f) => {
    const name = f('agent', f('name', 'that'));
    if (f('reason') === 'ambiguous') {
      return [
        `Several live agents are called ${name}${f('nearest') && `: ${f('nearest')}`}.`,
        'A name belongs to nobody; a DID does.',
        'Ask one of them by its DID; `sahara agents` lists who they are.',
      ];
    }
    if (f('reason') === 'no-offers') {
      return [
        `Nobody made an offer for ${name}.`,
        'No agent that heard of it fits, is free and stays below the ceiling.',
        'Allow more with --max-price, wait longer, or ask an agent at its published price.',
      ];
    }
    return [
      `No live agent is called ${name}.`,
      f('nearest', f('near'))
        ? `Close to it: ${f('nearest', f('near'))}.`
        : 'It may have stopped, or this peer has not heard of it yet.',
      'See `sahara agents` for everyone who can be reached now.',
    ];
  },
  'skill-unknown': (f) => [
    `The agent has no skill ${f('skill', 'of that name')}.`,
    `It offers ${f('skills', f('offered', 'others'))}.`,
    'Ask for one of its skills or leave the skill out.',
  ],
  'peer-unreachable': (f) => [
    `The peer ${f('peer', f('peerId', ''))} cannot be reached.`,
    f('reason') === 'no gateway'
      ? 'Calls from here go through gateways, and none of `gateway.via` can be reached.'
      : `${f('reason', 'No address of it answered')}.`,
    f('reason') === 'no gateway'
      ? 'Correct `gateway.via` in the configuration, or start one of those peers.'
      : 'Check the network connection, or ask another host of the agent.',
  ],
  'peer-gone': (f) => [
    `The peer ${f('peer', f('peerId', ''))} went away.`,
    'The connection ended before the answer did.',
    'Ask again; what was not delivered is not charged.',
  ],
  'deadline-exceeded': (f) => [
    'The answer did not come in time.',
    `The deadline${f('deadlineMs', f('limitMs')) && ` of ${f('deadlineMs', f('limitMs'))} ms`} has passed.`,
    f('what') === 'ledger'
      ? 'The peer that orders the ledger does not answer; what was sent takes effect when it is back.'
      : 'Ask again with a longer deadline, or ask a less busy agent.',
  ],
  cancelled: () => [
    'The call was cancelled.',
    'Its caller asked for that.',
    'Only what had been delivered is charged; its receipt in `sahara receipts` says how much.',
  ],
  'caller-refused': (f) =>
    f('what') === 'gateway'
      ? [
          'The gateway does not carry the calls of this peer.',
          'Its operator carries those of certain peers, or nobody’s (`gateway.serve`).',
          'Ask its operator, or name another one in `gateway.via`.',
        ]
      : [
          'The agent does not serve this caller.',
          `${f('reason', 'Its operator allows only certain callers')}.`,
          'Ask the operator for access, or ask another agent.',
        ],
  'quota-exhausted': (f) => [
    'The free calls are used up.',
    `The agent gives ${f('calls', f('quota', 'a few'))} free calls to each caller in each period.`,
    `Wait ${seconds(f('retryAfterMs'))}, or open a channel to pay for more.`,
  ],
  'payment-required': (f) => [
    'This call has to be paid.',
    `No voucher came with it; it may cost ${money(f, ['amountMax', 'price'], 'what the card of the agent says')}.`,
    'Open a channel to the operator with `sahara channel open` and ask again.',
  ],
  'price-above-max': (f) => [
    'The call would cost more than you allow.',
    `It may cost ${money(f, ['price', 'amountMax'], 'more')}, your limit is ${money(f, ['max', 'priceMax'], 'lower')}.`,
    'Raise the limit with --max-price or ask a cheaper agent.',
  ],
  'payment-invalid': (f) => [
    'One transaction does not pay this call.',
    `The reason: ${f('reason', 'it is not the payment of this call')}.`,
    'Open a channel to the operator with `sahara channel open`, and ask without --once.',
  ],
  'voucher-invalid': (f) => [
    'The payment voucher was refused.',
    `${f('reason', 'It does not fit the channel')}.`,
    'Ask again; the daemon makes a new voucher. Nothing was charged.',
  ],
  'voucher-stale': () => [
    'The payment voucher is out of date.',
    'The payee holds a newer one.',
    'Ask again; the daemon catches up with the channel first. Nothing was charged.',
  ],
  'voucher-insufficient': (f) => [
    'The payment voucher does not cover the call.',
    `It needs ${money(f, ['needed', 'wanted', 'amountMax'], 'more')}; covered is ${money(f, ['available', 'ceiling'], 'less')}.`,
    'Ask again with a higher limit, or add to the channel with `sahara channel top-up`.',
  ],
  'channel-unknown': (f) => [
    `There is no channel ${f('channel', 'between the two')}.`,
    'The ledger does not know it, or it has ended.',
    'Open one with `sahara channel open`.',
  ],
  'channel-closing': (f) => [
    `The channel ${f('channel', '')} is closing.`,
    'No new calls are served on it.',
    'Wait until it has ended and open another, or cancel the closing.',
  ],
  'funds-insufficient': (f) => [
    'There is not enough money.',
    `It needs ${money(f, ['needed', 'wanted', 'amount'], 'more')}; there is ${money(f, ['available', 'balance', 'left'], 'less')}.`,
    'Add to the account or to the channel and try again.',
  ],
  'channel-to-self': () => [
    'A channel to oneself is not needed.',
    'Your own agents answer you free.',
    'Name the operator of somebody else, or ask your agent right away.',
  ],
  'receipt-invalid': (f) => [
    'The receipt does not hold.',
    `${f('reason', 'It contradicts what was delivered or agreed')}.`,
    'It is kept as evidence and not paid; ask another agent.',
  ],
  'answer-invalid': (f) => [
    'The answer does not hold together.',
    `${f('reason', 'A piece is missing or a citation is not in its source')}.`,
    'Do not rely on it; ask again or ask another agent.',
  ],
  'call-conflict': () => [
    'Two different calls carry the same id.',
    'An id belongs to one request for ever.',
    'Ask again with a new id.',
  ],
  'call-unknown': (f) => {
    if (f('reason') === 'none is left over') {
      return [
        'No call is left over.',
        'Every call that was made from here has ended.',
        '`sahara receipts` lists them; `sahara ask` makes a new one.',
      ];
    }
    if (f('reason') !== '') {
      return [
        `No one call that can be gone on with is called ${f('callId', 'so')}.`,
        `The reason: ${f('reason')}.`,
        '`sahara receipts` lists those that have ended; more characters name one of several.',
      ];
    }
    return [
      'The other side has no such call.',
      'It never took it, or has forgotten it; nothing more is charged for it.',
      'Ask again; it is a new call.',
    ];
  },
  'call-cycle': (f) => [
    'The call would go round in a circle.',
    `${f('agent', 'The agent')} is already answering further up in the same tree of calls.`,
    'Ask another agent, or answer without this call.',
  ],
  'budget-exceeded': (f) => [
    'The budget does not allow this call.',
    budgetReason(f),
    'Grant a budget, or a larger one (`sahara ask --budget`), or ask for less.',
  ],
  'work-required': (f) => [
    'The agent asks strangers for a little work before it answers.',
    `A proof of ${f('bits', 'some')} bits is wanted, because it is busy and does not know you yet.`,
    'The daemon does up to calls.workBitsDone of it by itself. A channel to the operator, `sahara channel open`, serves as a bond: who pays needs no work, and what is not spent comes back.',
  ],
  'watchtower-off': () => [
    'This peer is no watchtower.',
    'It claims for nobody but itself.',
    'Choose a peer whose operator ran `sahara watchtower serve on`.',
  ],
  'offer-invalid': (f) => [
    'The offer does not hold.',
    `${f('reason', 'It is not this agent’s, not for this caller, or used up')}.`,
    'Ask for offers again, or call at the published price.',
  ],
  'seal-invalid': (f) => [
    'A sealed call could not be opened.',
    `${f('reason', 'It was sealed for another key or changed on its way')}.`,
    'Ask again; if it stays, the peer between the two changes what it passes on.',
  ],
};

/** Which part of a budget does not allow a call. */
function budgetReason(f: Fact): string {
  switch (f('what')) {
    case 'budget':
      return 'The call above it does not let anybody be asked further.';
    case 'depth':
      return `It reaches ${f('wanted', 'too many')} levels down, and ${f('left', 'fewer')} are allowed.`;
    case 'deadline':
      return 'It could end later than the calls above it have to.';
    case 'skills':
      return `It asks for the skill ${f('wanted', 'of another name')}; allowed: ${f('left', 'others')}.`;
    default:
      return `It may cost ${money(f, ['wanted'], 'more')}, and ${money(f, ['left'], 'less')} of the budget is left.`;
  }
}
