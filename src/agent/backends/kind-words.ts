/**
 * By which words a question asks for a kind of thing, and by which a text has it, beside English: German, French, Spanish,
 * Italian, Portuguese, Dutch, Russian. Texts are folded (no marks, lower case) before they are held against these; a word
 * ends where letters and digits end. Normative (`spec/knowledge.md`).
 */
import { withoutMarks } from '../../vault/text/marks.ts';

/** A pattern of any of `alternatives`, each whole words. */
function words(...alternatives: readonly string[]): RegExp {
  return new RegExp(`(?<![\\p{L}\\p{N}])(?:${withoutMarks(alternatives.join('|'))})(?![\\p{L}\\p{N}])`, 'u');
}

/** What asks for an amount of money. */
export const MONEY_ASKED: RegExp = words(
  'was kostet|was kosten|wie teuer|wie viel (?:kostet|kosten|zahlt|zahlen|muss .* zahlen)|wie hoch (?:ist|sind) (?:der preis|die geb\\p{L}+|die miete|das pfand|der eintritt)',
  'combien (?:coute|coutent|paie|payer|faut-il payer)|que coute|quel (?:est|sont) (?:le|les) (?:prix|tarifs?)',
  'cuanto (?:cuestan?|valen?|se paga|hay que pagar|pagan?)|que precio|cual es (?:el precio|la multa)',
  'quanto (?:costa(?:no)?|si paga|paga|viene)|qual e il prezzo',
  'quanto (?:custam?|se paga|paga)|qual e (?:a multa|o preco|a taxa)',
  'hoeveel (?:kost|kosten|betaalt?)|wat kost(?:en)?',
  'сколько стои\\p{L}*|как\\p{L}+ (?:цена|плата)|сколько составляет (?:взнос|плата)',
);
/** What is an amount of money. */
export const MONEY_WORDS: RegExp = words(
  'euros?|cents?|centimes?|centimos?|centesimi|centavos?|cêntimos?|franken|rappen|kronen|couronnes?|coronas?|corone|coroas?|kroner',
  'kostenlos|kostenfrei|umsonst|gratis|gratuit\\p{L}*|gratuito|бесплатн\\p{L}*|рубл\\p{L}*|копе\\p{L}*|half|halfte|moitie|mitad|meta|metade|helft|prozent|pfand|spenden?',
);

/** What asks when something is. */
export const TIME_ASKED: RegExp = words(
  'wann|um wie viel uhr|wie spat|(?:an|in|zu) welche[mnr] (?:tag|tagen|monat|monaten|jahr|uhrzeit|zeit)|welche tage',
  '(?:^|a partir de |depuis |jusqu.a |pour )quand|(?:a|jusqu.a) quelle (?:heure|date)|quels? jours?|en quelle annee|quel(?:le)?s? (?:mois|saison)',
  '(?:^|hasta |desde |para )cuando|(?:a|hasta) que hora|que dias?|(?:en )?que (?:mes|meses|ano|fecha|epoca)',
  '(?:^|fino a |da |per )quando|(?:a|entro) che ora|(?:in )?(?:quale|che|quali) (?:giorn[oi]|anno|mes[ei]|stagione)',
  '(?:^|ate |desde |para )quando|a que horas?|(?:em )?que (?:dias?|mes|meses|ano|estacao)',
  'wanneer|hoe laat|(?:op|in) welke (?:dag|dagen|maand|maanden)',
  'когда|во сколько|до (?:какого|которого) часа|(?:по каким|в какие) дн\\p{L}+|в каком (?:году|месяце)',
);
/** What says when. */
export const MOMENT_WORDS: RegExp = words(
  'uhr|montags?|dienstags?|mittwochs?|donnerstags?|freitags?|samstags?|sonnabends?|sonntags?|werktags|wochenenden?|mittwochabend|januar|februar|marz|april|mai|juni|juli|august|september|oktober|november|dezember|fruhling|fruhjahr|sommer|herbst|winter|morgens?|abends?|mittags?|vormittags?|nachmittags?|nachts?|mitternacht|feiertagen?',
  'heures?|lundis?|mardis?|mercredis?|jeudis?|vendredis?|samedis?|dimanches?|janvier|fevrier|mars|avril|mai|juin|juillet|aout|septembre|octobre|novembre|decembre|printemps|ete|automne|hiver|matins?|soirs?|midi|minuit|veille',
  'horas?|lunes|martes|miercoles|jueves|viernes|sabados?|domingos?|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|primavera|verano|otono|invierno|manana|tarde|noche|mediodia|medianoche|a las \\p{L}+',
  'or[ae]|luned[i]|martedi|mercoledi|giovedi|venerdi|sabato|domenic[ah]e?|gennaio|febbraio|marzo|aprile|maggio|giugno|luglio|agosto|settembre|ottobre|novembre|dicembre|primavera|estate|autunno|inverno|mattin[ao]|ser[ae]|mezzogiorno|mezzanotte|all[ea] \\p{L}+',
  'segundas?|tercas?|quartas?|quintas?|sextas?|janeiro|fevereiro|marco|abril|maio|junho|julho|agosto|setembro|outubro|novembro|dezembro|verao|outono|inverno|manha|noite|meio-dia|meia-noite',
  'uur|maandag\\p{L}*|dinsdag\\p{L}*|woensdag\\p{L}*|donderdag\\p{L}*|vrijdag\\p{L}*|zaterdag\\p{L}*|zondag\\p{L}*|januari|februari|maart|april|mei|juni|juli|augustus|oktober|lente|zomer|herfst|winter|ochtends?|avonds?|middags?|nacht',
  'час\\p{L}*|понедельник\\p{L}*|вторник\\p{L}*|сред[уаые]м?|четверг\\p{L}*|пятниц\\p{L}*|суббот\\p{L}*|воскресень\\p{L}*|январ\\p{L}*|феврал\\p{L}*|март\\p{L}*|апрел\\p{L}*|ма[яей]|июн\\p{L}*|июл\\p{L}*|август\\p{L}*|сентябр\\p{L}*|октябр\\p{L}*|ноябр\\p{L}*|декабр\\p{L}*|весн\\p{L}*|лет[оаом]+|осен\\p{L}*|зим\\p{L}*|утр\\p{L}*|вечер\\p{L}*|полдень|полноч\\p{L}*|ноч\\p{L}*',
);

/** What asks for a stretch of time. */
export const SPAN_ASKED: RegExp = words(
  'wie lange?|wie alt|wie viele? (?:tage|wochen|monate|jahre|stunden|minuten)',
  '(?:pendant |depuis )?combien de (?:temps|jours|semaines|mois|ans|annees|heures|minutes)',
  'cuanto tiempo|cuantos (?:dias|meses|anos|minutos)|cuantas (?:semanas|horas)|cuanta antelacion',
  'quanto (?:tempo|dura|durano)|per quanto|quanti (?:giorni|mesi|anni|minuti)|quante (?:settimane|ore)',
  'quanto tempo|quantos (?:dias|meses|anos|minutos)|quantas (?:semanas|horas)',
  'hoe lang|hoe oud|hoeveel (?:dagen|weken|maanden|jaren|jaar|uur|minuten)',
  'как долго|сколько (?:времени|днеи|недель|месяцев|лет|часов|минут)',
);
/** What is a stretch of time. */
export const SPAN_WORDS: RegExp = words(
  'sekunden?|minuten?|stunden?|tag|tagen?|nachte?|wochen?|monate?n?|jahre?n?|jahr|halbjahr',
  'secondes?|minutes?|heures?|jours?|nuits?|semaines?|mois|ans?|annees?',
  'segundos?|minutos?|horas?|dias?|noches?|semanas?|mes|meses|anos?',
  'secondi|minut[oi]|or[ae]|giorn[oi]|nott[ei]|settiman[ae]|mes[ei]|ann[oi]',
  'seconden?|minuten|uur|dag|dagen|weken?|week|maanden?|maand|jaar|jaren',
  'секунд\\p{L}*|минут\\p{L}*|час\\p{L}*|день|дн\\p{L}+|недел\\p{L}*|месяц\\p{L}*|год\\p{L}*|лет',
);

/** What asks how often. */
export const OFTEN_ASKED: RegExp = words(
  'wie oft|wie haufig|combien de fois|a quelle frequence|con que frecuencia|cuantas veces|quante volte|ogni quanto|quantas vezes|com que frequencia|hoe vaak|как часто|сколько раз',
);
/** What says how often. */
export const OFTEN_WORDS: RegExp = words(
  'jede[nmrs]?|taglich|wochentlich|monatlich|jahrlich|stundlich|werktags|einmal|zweimal|dreimal|alle|immer|nie',
  'chaque|tou(?:s|tes) les|fois|par (?:jour|semaine|mois|an)|toujours|jamais|cada|veces|vez|al (?:mes|dia|ano)|siempre|nunca|ogni|volt[ae]|sempre|mai|vez|vezes|por (?:dia|mes|semana|ano)',
  'elke|iedere|dagelijks|wekelijks|maandelijks|keer|maal|altijd|nooit|кажд\\p{L}+|раз[а]?|ежедневно|всегда|никогда|по \\p{L}+ам',
);

/** What asks for a number. */
export const NUMBER_ASKED: RegExp = words(
  'wie viele?|wieviele?|wie (?:gross|schnell|hoch|tief|breit|weit|schwer|stark)|welche (?:hohe|grosse|lange|tiefe)',
  'combien|quelle (?:est la )?(?:hauteur|taille|longueur|profondeur|distance|temperature)',
  'cuant[oa]s?|que (?:altura|tamano|longitud|profundidad|temperatura)|quant[oaei]s?|hoeveel|hoe (?:diep|hoog|groot|breed|ver|zwaar)|сколько|как(?:ои|ая|ова) (?:высот\\p{L}|длин\\p{L}|глубин\\p{L}|температур\\p{L})',
);
/** What is a number. */
export const NUMBER_WORDS: RegExp = words(
  'zwei|drei|vier|funf|sechs|sieben|acht|neun|zehn|elf|zwolf|\\p{L}*(?:zehn|zwanzig|dreissig|dreißig|vierzig|funfzig|sechzig|siebzig|achtzig|neunzig|hundert|tausend)|halb|halfte|keine?',
  'deux|trois|quatre|cinq|six|sept|huit|neuf|dix|onze|douze|treize|quatorze|quinze|seize|vingt|trente|quarante|cinquante|soixante|cents?|mille|demie?|moitie|aucune?',
  'dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce|trece|catorce|quince|dieci\\p{L}*|veint\\p{L}*|treinta|cuarenta|cincuenta|sesenta|setenta|ochenta|noventa|cien|ciento|\\p{L}*cientos|mil|medi[oa]|mitad',
  'due|tre|quattro|cinque|sei|sette|otto|nove|undici|dodici|tredici|quattordici|quindici|sedici|vent\\p{L}*|trent\\p{L}*|quarant\\p{L}*|cinquant\\p{L}*|sessant\\p{L}*|settant\\p{L}*|ottant\\p{L}*|novant\\p{L}*|cento|mille|mezz[oa]|meta|nessun\\p{L}*',
  'dois|duas|quatro|sete|oito|dez|doze|catorze|dezoito|vinte|trinta|quarenta|cinquenta|sessenta|oitenta|cem|meia|metade|nenhuma?',
  'twee|drie|vijf|zes|zeven|negen|tien|twaalf|\\p{L}+(?:tien|tig)|honderd\\p{L}*|duizend\\p{L}*|helft|geen',
  'од[ни]\\p{L}*|дв[ае]|дву\\p{L}*|три|трех|четыр\\p{L}*|пят\\p{L}*|шест\\p{L}*|сем[ьи]\\p{L}*|восе?м\\p{L}*|девят\\p{L}*|десят\\p{L}*|\\p{L}+надцат\\p{L}*|двадцат\\p{L}*|тридцат\\p{L}*|сорок\\p{L}*|сто|ста|сот|тысяч\\p{L}*|половин\\p{L}*',
);
