import type { Language } from '../language.ts';
import { deLearn } from './de-learn.ts';

/** German. */
export const de: Language = {
  ...deLearn,
  tag: 'de',
  buttons: {
    stop: 'Stopp',
    retry: 'Noch einmal fragen',
    sources: 'Quellen',
    receipt: 'Beleg',
    good: '👍',
    bad: '👎',
    quarter: '¼ des Limits',
    half: '½',
    whole: 'Alles',
    other: 'Anderer Betrag',
    unset: 'Kein Budget',
    approve: 'Fragen',
    dismiss: 'Nicht fragen',
    agree: 'Ja, aufbewahren',
    decline: 'Nein',
    unlearn: 'Meine Dokumente vernichten',
  },
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
  endedEarly: ({ units, amount }) =>
    `[vorzeitig beendet: ${units} ${units === 1 ? 'Einheit wurde' : 'Einheiten wurden'} geliefert und dafür ${amount} berechnet]`,
  outcomeOpen: (amountMax) =>
    `Die Verbindung riss ab, bevor die Antwort zu Ende war, und es ist noch nicht bekannt, was sie gekostet hat. Bis dahin bleiben höchstens ${amountMax} von dir zurückgelegt; du zahlst nichts, was dir nicht gezeigt wurde.`,
  approvalAsk: ({ agent, amount, minutes }) =>
    `Die Antwort von ${agent} kann bis zu ${amount} kosten. Soll ich fragen? Du hast ${minutes} Minuten Zeit; bis dahin wird nichts ausgegeben.`,
  approvalDismissed: 'Nicht gefragt, und nichts ausgegeben.',
  approvalLapsed: 'Die Zeit zum Entscheiden ist vorbei: Es wurde nichts gefragt und nichts ausgegeben.',
  approvalDecided: 'Das ist schon entschieden.',
  agentPaused: ({ agent, until }) =>
    `${agent} hat Geld genommen, ohne zu antworten; ich frage ihn erst ab ${until} UTC wieder. /agents zeigt die anderen.`,
  agentInDoubt: (agent) =>
    `Es ist noch nicht bekannt, was die letzte Antwort von ${agent} gekostet hat; bis dahin frage ich dort nicht. /agents zeigt die anderen.`,
  cutShort: '[Der Rest ist zu lang, um hier gezeigt zu werden.]',
  nothingFound: 'In den Dokumenten dieses Agenten fand sich dazu nichts.',
  cost: ({ amount, agent, id }) => `${agent} · ${amount} · ${id}`,
  free: 'kostenlos',
  amountOpen: 'Kosten noch nicht bekannt',
  sources: 'Quellen',
  noSources: 'Diese Antwort nennt keine Quellen.',
  help: [
    'Frag mich etwas: schreibe mir direkt, oder erwähne mich oder antworte mir in einer Gruppe.',
    '',
    '/ask FRAGE - den gewählten Agenten fragen',
    '/agents - wer antworten kann, und zu welchem Preis',
    '/agent NAME - wählen, wer gefragt wird',
    '/balance - was du ausgeben kannst',
    '/deposit, /withdraw - einzahlen, und jederzeit auszahlen lassen',
    '/budget BETRAG - das meiste, was du an einem Tag ausgeben willst',
    '/link, /unlink - Geld deiner eigenen DID nutzen, in Grenzen',
    '/receipt - wer für die letzte Antwort bezahlt wurde',
    '/proof - den Nachweis der letzten Antwort prüfen',
    '/explain - wie ihr Preis zustande kam',
    '/history - deine letzten Fragen',
    '/export - alles, was von dir gespeichert ist',
    '/forget - deine Fragen und Antworten löschen',
    '/learn - einem Agenten ein Dokument von dir geben; /learned, /unlearn - zeigen und zurücknehmen',
    '/privacy - was gespeichert wird, und wie lange',
  ].join('\n'),
  privacy: [
    'Deine Fragen gehen an den Agenten, den du wählst. Dieser Bot bewahrt Fragen und Antworten 30 Tage auf, damit',
    'Belege und Gespräche funktionieren; /forget löscht sie sofort. Beträge bleiben in den Büchern. Nichts, was du',
    'hier schreibst, dient dazu, Modelle zu trainieren oder zu verschmelzen. Ein Dokument wird nur aufbewahrt, wenn du',
    'es mit /learn sendest und zustimmst, bis /unlearn.',
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
  balance: ({ balance, held, spentToday, payable }) =>
    `Du kannst ${balance} ausgeben, und ${payable} davon auszahlen lassen. Für laufende Antworten vorgemerkt: ${held}. Heute ausgegeben oder vorgemerkt: ${spentToday}.`,
  moneyOff: 'Hier kommt kein Geld herein und keines hinaus.',
  deposit:
    'Zahle von deinem eigenen Peer mit den folgenden Worten; der Vermerk sagt, dass es dir gehört. Es ist hier, sobald ein Block es hat, und /withdraw zahlt es jederzeit wieder aus.',
  withdrawHow:
    'Sag, wie viel und an wen: /withdraw 0.5 did:key:z6Mk..., oder /withdraw alles did:key:z6Mk.... Mit verknüpfter DID genügt der Betrag.',
  withdrawNothing: 'Es ist nichts auszuzahlen. Was dieser Bot dir gab, kann nur hier ausgegeben werden.',
  withdrawTooMuch: ({ payable, fee }) =>
    `Höchstens ${payable} kann ausgezahlt werden, die Gebühr von ${fee} inbegriffen.`,
  withdrawPaid: ({ amount, to, block }) => `${amount} an ${to} gezahlt, in Block ${block}.`,
  withdrawUnderWay:
    'Die Zahlung ist unterwegs: sie wird versucht, bis das Ledger entschieden hat, und nie zweimal gemacht. /balance zeigt, was du hast.',
  withdrawRefused:
    'Es konnte nicht gezahlt werden, und dein Konto ist unverändert. Bitte sag es dem Betreiber.',
  budgetHow: 'Sag, was du an einem Tag höchstens ausgeben willst, etwa /budget 0.1, oder /budget aus.',
  budgetNow: ({ max, spentToday }) =>
    `${max === undefined ? 'Du hast kein Budget gesetzt; es gelten die Grenzen dieses Bots.' : `Du gibst höchstens ${max} an einem Tag aus.`} Heute ausgegeben oder vorgemerkt: ${spentToday}.`,
  budgetLimits: ({ callMax, dayMax }) =>
    `Was du auch einstellst: Dieser Bot gibt höchstens ${callMax} für eine Antwort aus und ${dayMax} für dich an einem Tag.`,
  budgetAsk: 'Wie viel davon willst du an einem Tag ausgeben?',
  budgetAmount:
    'Schreib den Betrag in SAHARA als deine nächste Nachricht, etwa 0.1, oder „aus“. Sie ist keine Frage an einen Agenten.',
  budgetAgain: 'Das ist kein Betrag. Schreib eine Zahl wie 0.1, oder „aus“.',
  budgetGivenUp: 'Auch das ist kein Betrag; dein Budget bleibt, wie es war. /budget beginnt von vorn.',
  budgetAbove: (dayMax) => `Das liegt über dem Limit, also gelten ${dayMax}.`,
  linkHow:
    'Führe die folgenden Worte aus, wo dein eigener Peer läuft. Er gibt eine Erlaubnis mit Grenzen aus, die du wählst; sende sie mir mit /link im direkten Chat. Nur der neueste Code zählt, und einmal.',
  linked: ({ did, callMax, dayMax, max, until }) =>
    `Verknüpft mit ${did}: höchstens ${callMax} je Antwort, ${dayMax} am Tag und ${max} insgesamt, bis ${until}. Was diese DID einzahlt, gehört hier dir, auf jeder Plattform, die du verknüpfst. /unlink beendet es und zahlt den Rest zurück.`,
  linkWrong:
    'Diese Erlaubnis gilt nicht: sie ist nicht für dich hier, antwortet nicht auf dein letztes /link, wurde schon verwendet oder ist abgelaufen. /link gibt einen neuen Code.',
  linkTaken:
    'Du bist mit einer anderen DID verknüpft, oder diese hat zu viele Nutzer. /unlink beendet eine Verknüpfung.',
  linkNone: 'Du bist mit keiner DID verknüpft.',
  unlinked: 'Die Verknüpfung ist beendet, und mit ihr die Erlaubnis.',
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
  formTitle: 'Fragen',
  formQuestion: 'Deine Frage',
  formBudget: 'Dein Budget',
  formBudgetField: 'Höchstens am Tag, in SAHARA, oder „aus“',
  formAbout: 'Die Nachricht, um die es geht',
  rated: 'Danke, das ist notiert.',
  shopTitle: 'Guthaben kaufen',
  shopNote: 'Es bezahlt Antworten hier und wird nicht ausgezahlt. /refund gibt zurück, was unverbraucht ist.',
  shopClosed: 'Hier wird nichts verkauft.',
  offer: ({ price, credit }) => `${credit} für ${price}`,
  bought: (amount) => `Danke: ${amount} Guthaben sind deine. /balance zeigt es, /refund gibt es zurück.`,
  refundNone: 'Es gibt keinen Kauf, der zurückgegeben werden kann.',
  refundSpent: (amount) =>
    `Ein Teil dieses Kaufs (${amount}) ist verbraucht. /paysupport sagt, wen du fragen kannst.`,
  refunded: (amount) => `Dein Kauf über ${amount} wurde zurückgegeben.`,
  terms: (contact) =>
    [
      'Es antworten Agenten, nicht dieser Bot: Eine Antwort kann falsch sein. Jede kostet, was vorher und nachher dabeisteht,',
      'nie mehr als angekündigt. Von einer Antwort, die abbricht, wird bezahlt, was geliefert wurde, sonst nichts. Hier gekauftes Guthaben bezahlt nur Antworten, verfällt',
      `nicht und wird mit /refund zurückgegeben, solange es unverbraucht ist.${contact === '' ? '' : ` Fragen: ${contact}`}`,
    ].join(' '),
  paySupport: (contact) =>
    `Stimmt etwas mit einer Zahlung nicht? /refund gibt unverbrauchtes Guthaben zurück. ${contact === '' ? 'Sonst frag, wer diesen Bot betreibt' : `Sonst: ${contact}`}, mit der Nummer unter der Antwort oder der der Zahlung.`,
  checkoutRefused: 'Dieses Angebot gilt nicht mehr. /buy zeigt die jetzigen.',
  commandUnknown: 'Diesen Befehl kenne ich nicht. /help zeigt die, die ich kenne.',
};
