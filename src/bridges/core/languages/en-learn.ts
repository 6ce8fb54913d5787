import type { LearnLanguage } from '../learn-language.ts';

/** English, about documents that people give. */
export const enLearn: LearnLanguage = {
  learnOff:
    'This bot takes no documents from anybody. To have an agent answer from yours, host one on a peer of your own: sahara agent create.',
  learnDirect: 'Documents are taken in a direct chat with me only.',
  learnLink:
    'Link a DID of your own first, with /link: what your document earns goes to its key, and it says whose the document is.',
  learnHow: (sizeMax) =>
    `Send one file of your own with /learn as its caption, or answer your own message that has it with /learn, or write the text behind /learn; on Discord it is an option of the command. Markdown, text, HTML, PDF, Word, CSV, JSON or code, up to ${sizeMax}. Nothing but your message is kept before you agree.`,
  learnTooLarge: (sizeMax) => `That is too large: at most ${sizeMax} are taken. Send a part of it.`,
  learnTooMany: 'You have offered as many documents as may be in a day. Tomorrow (UTC) there is room again.',
  learnAsk: ({ agent, name, size, did, minutes }) =>
    [
      `May “${name}” (${size}) become knowledge of the agent ${agent}? Until you answer, nothing of it is kept but your message.`,
      '',
      'If you say yes:',
      `• The operator of this bot keeps the document, encrypted, on the machine where ${agent} runs, until you take it back.`,
      `• Everybody who asks ${agent}, here or anywhere on the network, may be shown passages of it, with its name and your DID as their source. So send nothing secret, and only what is yours to give.`,
      '• It is used to answer, under the licence “answers only”: nobody is allowed to train or merge models with it.',
      `• When a paid answer cites it, a part of the price goes to ${did}. What is asked for free earns nothing, such as what the operator’s own bots ask.`,
      '• The public ledger says that your DID contributes to this agent; not what.',
      '• /unlearn destroys it for good, at any time. Answers and receipts that cite it stay with those who have them, and so does what the ledger says.',
      '',
      `Without an answer within ${minutes} minutes it is a no.`,
    ].join('\n'),
  learned: ({ name, agent }) =>
    `“${name}” is knowledge of ${agent} now. /learned lists what you gave, /unlearn takes it back.`,
  learnDeclined: 'Nothing was kept.',
  learnLapsed: 'That was too late, so nothing was kept. Send it again with /learn.',
  learnOver: 'This was decided already, or another document took its place. /learned lists what is kept.',
  learnUnderWay: 'It is being learned; I will say when it is done.',
  learnRelinked:
    'You are not linked any more to the DID that it would have been of, so nothing was kept. Send it again with /learn.',
  learnGone: 'The document could not be read, so nothing was kept. Send it again with /learn.',
  learnChanged:
    'The document is not the one that you were asked about, so nothing was kept. Send it again with /learn.',
  learnUnreadable:
    'That is no document that I can read, and nothing was kept. Markdown, text, HTML, PDF, Word, CSV, JSON and code are; exports of chats are not, as others wrote them.',
  learnFailed: 'It could not be kept, so nothing was.',
  learnRefused: {
    off: 'No documents are taken for this agent any more, so nothing was kept.',
    over: 'You took this document back since, so nothing was kept.',
    mine: 'You gave this very document already. /learned lists it.',
    taken: 'Somebody gave this very document already, so it stays theirs and nothing was kept.',
    documents: 'You gave as many documents as may be, so nothing was kept. /unlearn makes room.',
    bytes: 'Your documents take as much room as they may, so nothing was kept. /unlearn makes room.',
    people: 'As many people as may be gave documents, so nothing was kept.',
    full: 'There is no room for documents any more, so nothing was kept.',
  },
  learnedTitle: 'Documents that you gave',
  learnedEmpty:
    'No document of yours is kept. One that you gave for a DID is listed for whoever is linked to it, and for you who gave it.',
  learnedHow: '/unlearn NAME, or its number, destroys one for good.',
  learnedLine: ({ number, name, agent, size, date }) => `${number}. ${name} · ${size} · ${agent} · ${date}`,
  unlearnHow: 'Say which one: /unlearn NAME, or its number in /learned.',
  unlearnNone: 'No document of yours has that name or number. /learned lists those that you gave.',
  unlearned: ({ name, agent }) =>
    `“${name}” is destroyed, and ${agent} does not know it any more. Answers and receipts that cite it stay with those who have them.`,
  unlearnedAll: (count) =>
    count === 1
      ? '1 document is destroyed. Answers and receipts that cite it stay with those who have them.'
      : `${count} documents are destroyed. Answers and receipts that cite them stay with those who have them.`,
  learnedStay: (count) =>
    count === 1
      ? 'The document that you gave by /learn stays knowledge of an agent until you take it back: /learned lists it, /unlearn destroys it.'
      : `The ${count} documents that you gave by /learn stay knowledge of an agent until you take them back: /learned lists them, /unlearn destroys them.`,
  learnedUnknown:
    'Whether documents are kept that you gave by /learn cannot be said just now: ask /learned in a moment.',
};
