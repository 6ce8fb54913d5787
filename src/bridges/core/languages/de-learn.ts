import type { LearnLanguage } from '../learn-language.ts';

/** German, about documents that people give. */
export const deLearn: LearnLanguage = {
  learnOff:
    'Dieser Bot nimmt von niemandem Dokumente an. Damit ein Agent aus deinen antwortet, betreibe einen auf einem eigenen Peer: sahara agent create.',
  learnDirect: 'Dokumente werden nur in einem direkten Chat mit mir angenommen.',
  learnLink:
    'Verknüpfe zuerst mit /link eine eigene DID: Was dein Dokument verdient, geht an ihren Schlüssel, und sie sagt, wem das Dokument gehört.',
  learnHow: (sizeMax) =>
    `Sende eine eigene Datei mit /learn als Beschriftung, oder antworte mit /learn auf deine eigene Nachricht mit ihr, oder schreibe den Text hinter /learn; auf Discord ist sie eine Option des Befehls. Markdown, Text, HTML, PDF, Word, CSV, JSON oder Code, bis ${sizeMax}. Bevor du zustimmst, wird nur deine Nachricht aufbewahrt.`,
  learnTooLarge: (sizeMax) =>
    `Das ist zu groß: höchstens ${sizeMax} werden angenommen. Sende einen Teil davon.`,
  learnTooMany: 'Du hast heute so viele Dokumente angeboten, wie es geht. Morgen (UTC) ist wieder Platz.',
  learnAsk: ({ agent, name, size, did, minutes }) =>
    [
      `Darf „${name}“ (${size}) Wissen des Agenten ${agent} werden? Bis zu deiner Antwort wird davon nur deine Nachricht aufbewahrt.`,
      '',
      'Wenn du Ja sagst:',
      `• Der Betreiber dieses Bots bewahrt das Dokument verschlüsselt auf der Maschine auf, auf der ${agent} läuft, bis du es zurücknimmst.`,
      `• Allen, die ${agent} fragen, hier oder irgendwo im Netz, können Stellen daraus gezeigt werden, mit seinem Namen und deiner DID als Quelle. Sende also nichts Geheimes, und nur, was du weitergeben darfst.`,
      '• Es dient Antworten, unter der Lizenz „answers only“ (nur Antworten): Niemand darf damit Modelle trainieren oder verschmelzen.',
      `• Zitiert es eine bezahlte Antwort, geht ein Teil des Preises an ${did}. Was kostenlos gefragt wird, etwa von den Bots des Betreibers selbst, verdient nichts.`,
      '• Das öffentliche Ledger sagt, dass deine DID zu diesem Agenten beiträgt; nicht, was.',
      '• /unlearn vernichtet es endgültig, jederzeit. Antworten und Belege, die es zitieren, bleiben bei denen, die sie haben, und auch, was im Ledger steht.',
      '',
      `Ohne Antwort innerhalb von ${minutes} Minuten ist es ein Nein.`,
    ].join('\n'),
  learned: ({ name, agent }) =>
    `„${name}“ ist jetzt Wissen von ${agent}. /learned zeigt, was du gegeben hast, /unlearn nimmt es zurück.`,
  learnDeclined: 'Es wurde nichts aufbewahrt.',
  learnLapsed: 'Das war zu spät, daher wurde nichts aufbewahrt. Sende es mit /learn noch einmal.',
  learnOver:
    'Das ist schon entschieden, oder ein anderes Dokument hat seinen Platz eingenommen. /learned zeigt, was aufbewahrt wird.',
  learnUnderWay: 'Es wird gerade gelernt; ich sage, wenn es fertig ist.',
  learnRelinked:
    'Du bist nicht mehr mit der DID verknüpft, der es gehört hätte, daher wurde nichts aufbewahrt. Sende es mit /learn noch einmal.',
  learnGone:
    'Das Dokument war nicht zu lesen, daher wurde nichts aufbewahrt. Sende es mit /learn noch einmal.',
  learnChanged:
    'Das Dokument ist nicht das, nach dem du gefragt wurdest, daher wurde nichts aufbewahrt. Sende es mit /learn noch einmal.',
  learnUnreadable:
    'Das ist kein Dokument, das ich lesen kann, und es wurde nichts aufbewahrt. Markdown, Text, HTML, PDF, Word, CSV, JSON und Code gehen; Exporte von Chats nicht, denn andere haben sie geschrieben.',
  learnFailed: 'Es konnte nicht aufbewahrt werden; nichts ist geblieben.',
  learnRefused: {
    off: 'Für diesen Agenten werden keine Dokumente mehr angenommen, daher wurde nichts aufbewahrt.',
    over: 'Du hast dieses Dokument inzwischen zurückgenommen, daher wurde nichts aufbewahrt.',
    mine: 'Genau dieses Dokument hast du schon gegeben. /learned zeigt es.',
    taken:
      'Genau dieses Dokument hat schon jemand gegeben; es gehört weiter dazu, und es wurde nichts aufbewahrt.',
    documents: 'Du hast so viele Dokumente gegeben, wie es geht. /unlearn schafft Platz.',
    bytes: 'Deine Dokumente nehmen so viel Platz ein, wie sie dürfen. /unlearn schafft Platz.',
    people: 'So viele Menschen, wie es geht, haben Dokumente gegeben; es wurde nichts aufbewahrt.',
    full: 'Es ist kein Platz mehr für Dokumente; es wurde nichts aufbewahrt.',
  },
  learnedTitle: 'Dokumente, die du gegeben hast',
  learnedEmpty:
    'Es wird kein Dokument von dir aufbewahrt. Eines, das du für eine DID gabst, zeige ich allen, die mit ihr verknüpft sind, und dir.',
  learnedHow: '/unlearn NAME, oder die Nummer, vernichtet eines endgültig.',
  learnedLine: ({ number, name, agent, size, date }) => `${number}. ${name} · ${size} · ${agent} · ${date}`,
  unlearnHow: 'Sag, welches: /unlearn NAME, oder seine Nummer in /learned.',
  unlearnNone:
    'Kein Dokument von dir hat diesen Namen oder diese Nummer. /learned zeigt die, die du gegeben hast.',
  unlearned: ({ name, agent }) =>
    `„${name}“ ist vernichtet, und ${agent} kennt es nicht mehr. Antworten und Belege, die es zitieren, bleiben bei denen, die sie haben.`,
  unlearnedAll: (count) =>
    count === 1
      ? '1 Dokument ist vernichtet. Antworten und Belege, die es zitieren, bleiben bei denen, die sie haben.'
      : `${count} Dokumente sind vernichtet. Antworten und Belege, die sie zitieren, bleiben bei denen, die sie haben.`,
  learnedStay: (count) =>
    count === 1
      ? 'Das Dokument, das du mit /learn gabst, bleibt Wissen eines Agenten, bis du es zurücknimmst: /learned zeigt es, /unlearn vernichtet es.'
      : `Die ${count} Dokumente, die du mit /learn gabst, bleiben Wissen eines Agenten, bis du sie zurücknimmst: /learned zeigt sie, /unlearn vernichtet sie.`,
  learnedUnknown:
    'Ob Dokumente aufbewahrt werden, die du mit /learn gabst, ist gerade nicht zu sagen: frag gleich noch einmal mit /learned.',
};
