/**
 * Stems. English ones are light: plurals, `-ed`, `-ing`, `-ly`, `-est` and a silent final `e`, so that `serve`, `serves`,
 * `served` and `serving` meet, and irregular forms with their base; derivations (`pay` and `payment`) stay apart. Other
 * languages have Snowball's. The rules are normative: `spec/knowledge.md`.
 */
import { stemmer as dutch } from '@orama/stemmers/dutch';
import { stemmer as french } from '@orama/stemmers/french';
import { stemmer as german } from '@orama/stemmers/german';
import { stemmer as italian } from '@orama/stemmers/italian';
import { stemmer as portuguese } from '@orama/stemmers/portuguese';
import { stemmer as russian } from '@orama/stemmers/russian';
import { stemmer as spanish } from '@orama/stemmers/spanish';
import type { Language } from './language.ts';

const VOWEL = /[aeiouy]/;
/** Fewest letters of a stem that loses the ending of a verb. */
const VERB_LETTERS_MIN = 5;
const ASCII_WORD = /^[a-z]+$/;

/** Forms of English that no rule reaches, with their base. Forms that are words of their own (left, rose, saw, spoke, wound) are not here. */
export const IRREGULAR: ReadonlyMap<string, string> =
  pairs(`added add adding add adds add ate eat became become began begin begun begin
  bent bend bite bite bites bite bitten bite blew blow blown blow bought buy bred breed broke break broken break brought bring built build
  burnt burn came come caught catch children child chose choose chosen choose cried cry cries cry dealt deal died die dies die drank drink
  drawn draw drew draw dried dry dries dry drunk drink dug dig dying die eaten eat fallen fall fed feed feet foot fell fall felt feel fled
  flee flew fly flies fly flown fly forgot forget forgotten forget fought fight fried fry froze freeze frozen freeze gave give geese goose
  given give goes go going go gone go grew grow grown grow halves half heard hear held hold hidden hide higher high hung hang kept keep knew know
  knives knife known know larger large learnt learn led lead lent lend lit light loaves loaf longer long lost lose lower low meant mean men man met meet
  mice mouse mown mow older old owed owe owing owe paid pay proven prove ran run ridden ride rode ride said say sang sing sank sink sat sit sent send
  sewn sew shaken shake shelves shelf shot shoot shown show shrank shrink shrunk shrink slept sleep slid slide sold sell spent spend spilt spill
  spoken speak spun spin stole steal stolen steal stood stand struck strike stuck stick stung sting sung sing sunk sink swam swim swept sweep
  swollen swell swung swing taken take taught teach teeth tooth thought think threw throw thrown throw tied tie ties tie told tell took take tore tear
  torn tear tried try tries try tying tie understood understand used use using use went go withdrawn withdraw withdrew withdraw woken wake
  wolves wolf women woman won win wore wear worn wear written write wrote write`);

/** Words in `est` that are no superlatives. */
export const NO_SUPERLATIVE: ReadonlySet<string> = new Set(
  'arrest attest bequest conquest contest digest earnest forest harvest honest inquest ingest interest invest manifest midwest modest priest protest request southwest suggest tempest unrest'.split(
    ' ',
  ),
);

interface Stemmer {
  readonly stem: (word: string) => string;
  /** Forms that its rules do not reach, with their base; both without marks. */
  readonly forms: ReadonlyMap<string, string>;
}

/** Languages beside English whose words have stems of their own. */
export const STEMMERS: Readonly<Partial<Record<Language, Stemmer>>> = {
  de: {
    stem: (word) => withoutVerbEnding(german(word)),
    forms:
      pairs(`geoffnet offnen geschlossen schliessen schließt schliessen bezahlt bezahlen zahlt zahlen gezahlt zahlen fahrt
      fahren gefahren fahren genommen nehmen nimmt nehmen gegessen essen isst essen gelesen lesen liest lesen geschrieben schreiben
      gesprochen sprechen spricht sprechen getroffen treffen trifft treffen halt halten gehalten halten gelassen lassen lasst lassen
      gebracht bringen gefunden finden geblieben bleiben begonnen beginnen gegeben geben verloren verlieren
      verlasst verlassen wachst wachsen gewachsen wachsen tragt tragen getragen tragen geladen laden ladt laden gestohlen stehlen`),
  },
  fr: {
    stem: french,
    forms:
      pairs(`ouvert ouvrir ouverte ouvrir ouverts ouvrir ouvertes ouvrir ouvre ouvrir ouvrent ouvrir offert offrir prend prendre
      prennent prendre pris prendre prise prendre vend vendre vendent vendre vendu vendre vient venir viennent venir venu venir tient tenir
      tiennent tenir tenu tenir met mettre mettent mettre mis mettre deviennent devenir devient devenir devenu devenir recoit recevoir
      recoivent recevoir recu recevoir ferme fermer fermee fermer ferment fermer paie payer paient payer paye payer`),
  },
  es: {
    stem: spanish,
    forms:
      pairs(`abierto abrir abierta abrir abiertos abrir cerrado cerrar cierra cerrar cierran cerrar cerrada cerrar cuesta costar
      cuestan costar cuece cocer cuecen cocer pierde perder pierden perder sirve servir sirven servir vuelve volver vuelven volver
      empieza empezar empiezan empezar riegan regar riega regar riego regar encuentra encontrar encuentran encontrar escrito escribir`),
  },
  it: {
    stem: italian,
    forms:
      pairs(`aperto aprire aperta aprire aperti aprire apre aprire aprono aprire chiuso chiudere chiusa chiudere chiude chiudere
      chiudono chiudere chiusura chiudere tiene tenere tengono tenere preso prendere presa prendere parte partire partono partire rimborsato
      rimborsare neve nevicare nevica nevicare`),
  },
  pt: {
    stem: portuguese,
    forms:
      pairs(`aberto abrir aberta abrir abertos abrir abre abrir abrem abrir fecha fechar fecham fechar fechado fechar custa custar
      custam custar perdido perder perdida perder feito fazer feita fazer lido ler lidos ler levados levar`),
  },
  nl: {
    stem: (word) => withoutVerbEnding(dutch(word)),
    forms:
      pairs(`geopend openen gesloten sluiten sluit sluiten betaalt betalen betaald betalen kost kosten kostte kosten gebracht brengen
      brengt brengen geven geven geeft geven gegeven geven zwemt zwemmen gezwommen zwemmen bewaard bewaren gehouden houden houdt houden`),
  },
  ru: {
    stem: russian,
    forms:
      pairs(`закрывается закрыть закрываются закрыть закрыто закрыть закрыты закрыть открывается открыть открываются открыть открыто открыть
      открыт открыть стоит стоять выдает выдать выдают выдать`),
  },
};

/** A stem without the `t` and `et` of German and Dutch verbs, which Snowball leaves. */
function withoutVerbEnding(stemmed: string): string {
  let left = stemmed;
  while (left.length >= VERB_LETTERS_MIN && left.endsWith('t'))
    left = left.slice(0, left.endsWith('et') ? -2 : -1);
  return left;
}

/** The stem of one folded word of English, and of whatever has no language. Words with anything but a-z, or shorter than three letters, are their own stem. */
export function stem(word: string): string {
  if (word.length < 3 || !ASCII_WORD.test(word)) return word;
  const irregular = IRREGULAR.get(word);
  if (irregular !== undefined) return dropFinal(irregular);
  if (word.length < 4) return word;
  return dropFinal(dropSuffix(dropPlural(dropSuperlative(word))));
}

function dropSuperlative(word: string): string {
  if (!/^[a-z]{3,}est$/.test(word) || NO_SUPERLATIVE.has(word)) return word;
  const positive = word.slice(0, -3);
  return /([bdgmnprt])\1$/.test(positive) ? positive.slice(0, -1) : positive;
}

function dropPlural(word: string): string {
  if (word.endsWith('ies') && word.length > 4) return `${word.slice(0, -3)}y`;
  if (/(?:ss|x|z|ch|sh)es$/.test(word)) return word.slice(0, -2);
  if (word.endsWith('s') && !/(?:ss|us|is)$/.test(word)) return word.slice(0, -1);
  return word;
}

function dropSuffix(word: string): string {
  for (const suffix of ['ing', 'ed', 'ly']) {
    if (!word.endsWith(suffix)) continue;
    const rest = word.slice(0, -suffix.length);
    if (rest.length < 3 || !VOWEL.test(rest)) return word;
    return suffix === 'ly' ? rest : undouble(rest);
  }
  return word;
}

function undouble(word: string): string {
  const last = word.at(-1) ?? '';
  return last === word.at(-2) && !/[lsz]/.test(last) && !VOWEL.test(last) ? word.slice(0, -1) : word;
}

function dropFinal(word: string): string {
  if (word.length > 3 && word.endsWith('e')) return word.slice(0, -1);
  if (word.length > 3 && word.endsWith('y') && !VOWEL.test(word.at(-2) ?? '')) return `${word.slice(0, -1)}i`;
  return word;
}

function pairs(list: string): ReadonlyMap<string, string> {
  return new Map(
    list
      .trim()
      .split(/\s+/)
      .flatMap((word, i, words) => (i % 2 === 0 ? [[word, words[i + 1] ?? word] as const] : [])),
  );
}
