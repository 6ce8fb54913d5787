import type { Language } from '../language.ts';

/** German. */
export const de: Language = {
  tag: 'de',
  buttons: { stop: 'Stopp', retry: 'Noch einmal fragen', sources: 'Quellen', receipt: 'Beleg' },
  failures: {
    'agent-unknown': 'Dieser Agent ist gerade nicht online. /agents zeigt, wer es ist.',
    'agent-unreachable':
      'Der Agent war nicht erreichbar, daher wurde nichts berechnet. Bitte versuche es gleich noch einmal.',
    busy: 'Der Agent hat gerade zu viel zu tun, daher wurde nichts berechnet. Bitte versuche es in einer Minute noch einmal.',
    'too-long': 'Die Frage ist länger, als der Agent annimmt. Bitte kürze sie und frage noch einmal.',
    'no-money': 'Dein Guthaben deckt nicht, was diese Antwort kosten kann. /balance zeigt es.',
    'above-cap':
      'Eine Antwort dieses Agenten kostet mehr, als dieser Bot ausgeben darf. /agents zeigt die Preise.',
    'cap-reached': 'Das Ausgabenlimit für heute ist erreicht. Um Mitternacht UTC beginnt es neu.',
    refused: 'Der Agent hat diese Frage abgelehnt, und es wurde nichts berechnet.',
    attachment:
      'Ich kann nur Textdateien bis 32 kB lesen. Bitte füge den Text ein oder sende eine kleinere Datei.',
    'nothing-found':
      'Der Agent hat keine Dokumente, aus denen er antworten könnte; es wurde nichts berechnet.',
    'proof-broken': 'Die Antwort kam ohne gültigen Beleg, daher wurde dir nichts berechnet.',
    timeout: 'Der Agent hat zu lange gebraucht, daher wurde nichts berechnet. Bitte versuche es noch einmal.',
    cancelled: 'Angehalten.',
    'no-receipt': 'Zu dieser Antwort gibt es keinen Beleg.',
    broken: 'Bei uns ist etwas schiefgegangen, und es wurde nichts berechnet. Bitte versuche es noch einmal.',
  },
  failureId: (id) => `Falls es wieder vorkommt, nenne dem Betreiber diese Kennung: ${id}`,
  thinking: (agent) => `${agent} wird gefragt …`,
  stopped: '[angehalten]',
  cutShort: '[Der Rest ist zu lang, um hier gezeigt zu werden.]',
  nothingFound: 'In den Dokumenten dieses Agenten fand sich dazu nichts.',
  cost: ({ amount, agent, id }) => `${agent} · ${amount} · ${id}`,
  free: 'kostenlos',
  sources: 'Quellen',
  noSources: 'Diese Antwort nennt keine Quellen.',
  help: [
    'Frag mich etwas: schreibe mir direkt, oder erwähne mich oder antworte mir in einer Gruppe.',
    '',
    '/ask FRAGE - den gewählten Agenten fragen',
    '/agents - wer antworten kann, und zu welchem Preis',
    '/agent NAME - wählen, wer gefragt wird',
    '/balance - was du ausgeben kannst',
    '/receipt - wer für die letzte Antwort bezahlt wurde',
    '/proof - den Nachweis der letzten Antwort prüfen',
    '/explain - wie ihr Preis zustande kam',
    '/history - deine letzten Fragen',
    '/forget - deine Fragen und Antworten löschen',
    '/privacy - was gespeichert wird, und wie lange',
  ].join('\n'),
  privacy: [
    'Deine Fragen gehen an den Agenten, den du wählst. Dieser Bot bewahrt Fragen und Antworten 30 Tage auf, damit',
    'Belege und Gespräche funktionieren; /forget löscht sie sofort. Beträge bleiben in den Büchern. Nichts, was du',
    'hier schreibst, dient dazu, Modelle zu trainieren oder zu verschmelzen.',
  ].join(' '),
  forgotten:
    'Deine Fragen, Antworten und Gespräche mit diesem Bot sind gelöscht. Beträge bleiben in den Büchern.',
  historyTitle: 'Deine letzten Fragen',
  historyEmpty: 'Du hast noch nichts gefragt.',
  agentsTitle: 'Agenten, die gerade online sind',
  agentsEmpty: 'Gerade ist kein Agent online. Bitte versuche es später noch einmal.',
  agentNow: (name) => `Deine Fragen gehen jetzt an ${name}.`,
  agentNone: (name, nearest) =>
    `Kein Agent namens „${name}“ ist online.${nearest.length === 0 ? '' : ` Meintest du ${nearest.join(', ')}?`}`,
  agentUnset: 'Bitte wähle, wen du fragen willst: /agents zeigt die Agenten, /agent NAME wählt einen.',
  balance: ({ balance, held, spentToday }) =>
    `Du kannst ${balance} ausgeben. Für laufende Antworten zurückgelegt: ${held}. Heute ausgegeben oder zurückgelegt: ${spentToday}.`,
  receiptTitle: 'Beleg',
  receiptLine: ({ who, share, amount }) => `${who}: ${amount} (${share})`,
  receiptNone: 'Du hast hier noch keine Antwort mit Beleg.',
  proofGood: (checks, block) =>
    `Der Nachweis ist gültig: ${checks} Prüfungen von Signaturen, Lieferung, Preis und Anteilen ohne Netz bestanden; die Antwort ist ${block === undefined ? 'auf dem Ledger noch nicht abgerechnet' : `in Block ${block} bezahlt`}.`,
  proofBad: (reason) => `Der Nachweis ist NICHT gültig: ${reason}.`,
  explain: ({ perCall, input, output, total, shares }) =>
    `${perCall} für den Aufruf + ${input} für die Frage + ${output} für die Antwort = ${total}, verteilt auf ${shares} Empfänger.`,
  askWhat: 'Was möchtest du wissen? Schreibe die Frage hinter den Befehl.',
  notYours: 'Das kann nur, wer gefragt hat.',
  groupClosed: 'Diese Gruppe ist nicht für mich freigegeben. Mein Betreiber muss sie erst eintragen.',
  notListed: 'Dieser Bot ist für dich nicht freigegeben. Bitte frage seinen Betreiber.',
  tooFast: (seconds) => `Das war zu schnell. Bitte warte ${seconds} Sekunde${seconds === 1 ? '' : 'n'}.`,
  tooMany: 'Einige deiner Fragen werden noch beantwortet. Bitte warte, bis eine fertig ist.',
  openDirect:
    'Das darf ich dir nur privat zeigen: beginne ein direktes Gespräch mit mir und frage dann noch einmal.',
  stopping: 'Wird angehalten.',
  alreadyDone: 'Diese Antwort ist schon zu Ende.',
  commandUnknown: 'Diesen Befehl kenne ich nicht. /help zeigt die, die ich kenne.',
};
