/**
 * By which words a question asks for a kind of thing, and by which a text has it, beside English: German, French, Spanish,
 * Italian, Portuguese, Dutch, Russian; of times of day (`CLOCK`) all of them. Texts are folded (no marks, lower case) before they are held against these; a word
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
  'bis|jusqu|hasta|fino|ate|tot|до',
  'segundos?|minutos?|horas?|dias?|noches?|semanas?|mes|meses|anos?',
  'secondi|minut[oi]|or[ae]|giorn[oi]|nott[ei]|settiman[ae]|mes[ei]|ann[oi]',
  'seconden?|minuten|uur|dag|dagen|weken?|week|maanden?|maand|jaar|jaren',
  'секунд\\p{L}*|минут\\p{L}*|час\\p{L}*|день|дн\\p{L}+|недел\\p{L}*|месяц\\p{L}*|год\\p{L}*|лет',
);

/** How often something is, which is no stretch of time: "every hour". */
export const EACH: RegExp =
  /(?<![\p{L}\p{N}])(?:every|each|per|jede[nrsm]?|pro|chaque|par|cada|ogni|por|elke|iedere|кажд\p{L}+) \p{L}+/gu;

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

/** What asks for a temperature. */
export const HEAT_ASKED: RegExp = words(
  'wie (?:warm|heiss|heiß|kalt)|wie viel grad|welche[rnm]? temperatur|(?:a )?quelle (?:est la )?temperature|que temperatura|(?:che|quale|qual e la) temperatura|qual e a temperatura|hoe (?:warm|heet|koud)|welke temperatuur|как\\p{L}+ температур\\p{L}+',
);
/** What is a temperature. */
export const HEAT_WORDS: RegExp = words(
  'grad|degres?|grados?|gradi|graus?|graden|градус\\p{L}*|koch\\p{L}*|siede\\p{L}*|gefrier\\p{L}*|bouill\\p{L}*|herv\\p{L}*|boll\\p{L}*|ferv\\p{L}*|kook\\p{L}*|кип\\p{L}*',
);

/** What asks for a weight. */
export const WEIGHT_ASKED: RegExp = words(
  'wie schwer (?:ist|sind|darf|durfen)|was wiegt|wie viel (?:wiegt|wiegen)|combien (?:pese|pesent)|quel (?:est le )?poids|cuanto pesan?|quanto pesa(?:no)?|hoeveel weegt|hoe zwaar|сколько вес\\p{L}+',
);
/** What is a weight. */
export const WEIGHT_WORDS: RegExp = words(
  '\\p{L}*(?:gramm?e?[sn]?|gramos?|grammi|gramas?)|kilos?|quilos?|kg|g|tonnen?|tonnes?|toneladas?|tonnellate|ton|pfund|livres?|libras?|\\p{L}*грамм\\p{L}*|кило\\p{L}*|тонн\\p{L}*',
);

/** What asks for a length. */
export const LENGTH_ASKED: RegExp = words(
  'wie (?:tief|breit|weit|dick)|quelle (?:est la )?(?:hauteur|longueur|profondeur|distance|largeur|epaisseur)|que (?:altura|longitud|profundidad|distancia|anchura|largura|profundidade)|qual e a (?:altura|profundidade|largura|distancia)|quanto (?:sono |e )(?:alt|profond|larg|lung|distant)\\p{L}+|quanto dista|hoe (?:diep|breed|ver|dik)|как(?:ая|ова) (?:высота|длина|глубина|ширина)',
);
/** What is a length. */
export const LENGTH_WORDS: RegExp = words(
  '\\p{L}*met(?:er[ns]?|res?|ros?|ri)|km|cm|mm|m|zoll|fuss|fuß|stockwerke?n?|etagen?|pieds?|pouces?|etages?|pies?|pulgadas?|pisos?|plantas?|piani|piedi|andares|voet|verdieping\\p{L}*|\\p{L}*метр\\p{L}*|этаж\\p{L}*',
);

/** What asks who did or does something. */
export const PERSON_ASKED: RegExp =
  /^(?:(?:von |mit |bei |fur |an )?we(?:r|n|m|ssen)|(?:par |a |de |avec )?qui|(?:a |de |por |con )?quien(?:es)?|(?:da |a |di |con )?chi|(?:por |a |de |com )?quem|кто|кому|кем|кого)(?![\p{L}\p{N}])/u;
/** What is somebody, beside a name. */
export const PERSON_WORDS: RegExp = words(
  'wer|jeder|jede|alle|niemand|man|\\p{L}*(?:leute|frau|frauen|mann|manner|eltern|kinder|kindern|mitglied\\p{L}*|vorsitzende[nrs]?|vorstand|leitung|leiter\\p{L}*|warte?|amt|firma|verein|verwaltung|schaft|gast|gaste|personen|meister\\p{L}*|erwachsene[nr]?|jugendliche[nr]?|\\p{L}{2}er(?:in|innen)|lehrer|schuler|fahrer|trainer|besucher|mieter|nachbarn?|arzt|arztin)',
  'celui|ceux|toute personne|chacun|personne|tous|membres?|enfants?|adultes?|adherents?|eleves?|habitants?|visiteurs?|voyageurs?|president\\p{L}*|direct(?:eur|rice)|monsieur|madame|maire|mairie|association|benevoles?|\\p{L}+(?:eur|euse|ier|iere)s?',
  'quien|cualquier\\p{L}*|nadie|todos|socios?|menores|ninos?|adultos?|alumn[oa]s?|vecin[oa]s?|maestr[oa]s?|monjes?|ayuntamiento|empresa|president[ea]|\\p{L}+(?:dor|dora|dores|ista|istas|ero|era|eros)',
  'chi|nessuno|tutti|soci|membri|bambini|adulti|ragazzi|comune|\\p{L}+(?:tore|trice|tori|ista|isti)|todos|ninguem|criancas|alunos|leitor\\p{L}*|moradores',
  'все|каждый|никто|дети|взрослые|члены|жители|\\p{L}+(?:тель|тели|телем|ник|ники|ёр|ер|еры|чик|щик)',
);

/** What asks for a reason. */
export const REASON_ASKED: RegExp =
  /^(?:warum|wieso|weshalb|wozu|pourquoi|por que|porque|perche|waarom|почему|зачем)(?![\p{L}\p{N}])/u;
/** What gives a reason. */
export const REASON_WORDS: RegExp = words(
  'weil|da|denn|damit|sodass|um|wegen|sonst|daher|deshalb|darum|zu',
  'car|parce|puisque|afin|pour|sinon|cause|raison|donc|trop|grace',
  'porque|pues|para|debido|causa|motivo|asi|demasiado|pois|por|senao',
  'perche|poiche|affinche|per|altrimenti|causa|motivo|troppo|quindi',
  'omdat|want|zodat|opdat|om|wegens|anders|daarom|te',
  'потому|так как|чтобы|иначе|из-за|поэтому|ради|слишком',
);

/** Times of day, which are numbers but no counts of anything. Of folded text. */
export const CLOCK: RegExp = new RegExp(
  [
    '\\d{1,2}[:.h]\\d{2}(?!\\p{N})(?:\\s?(?:uhr|uur|heures))?',
    '\\d{1,2}\\s?[ap]\\.?m\\b',
    '(?<![\\p{L}\\p{N}])(?:\\p{N}+|\\p{L}+) (?:uhr|o.clock)\\b',
    '\\b(?:at|until|till|past|before|after|from \\p{L}+ to) (?:\\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)(?= *(?:[.,;:)]|$|(?:in|on|and|or|to|for|during)\\b))',
    '\\b(?:half|a quarter) (?:past|to) \\p{L}+',
    '\\b(?:a|de|avant|apres|jusqu.a|des|entre) (?:\\p{N}+|\\p{L}+)(?: (?:et|a) (?:\\p{N}+|\\p{L}+))? heures?\\b',
    '\\b(?:a|de|hasta|desde) las? (?:\\p{N}+|\\p{L}+)',
    '\\b(?:alle|dalle|delle|entro le|fino alle) (?:\\p{N}+|\\p{L}+)',
    '\\b(?:as|das|ate as) (?:\\p{N}+|\\p{L}+) horas',
    '\\b(?:om|tot|van|voor|na) (?:\\p{N}+|\\p{L}+) uur\\b',
    '[\\d一二三四五六七八九十两]{1,3}[点點時](?!間)(?:半|[\\d一二三四五六七八九十]{1,3}分)?',
    '(?:星期|周|礼拜)[一二三四五六日天]',
    '[\\d一二三四五六七八九十]{1,3}月(?:[\\d一二三四五六七八九十]{1,3}[日号])?',
  ].join('|'),
  'gu',
);

/** What asks for a number. */
export const NUMBER_ASKED: RegExp = words(
  'wie viele?|wieviele?|wie (?:gross|groß|schnell|hoch|schwer|stark)|welche (?:hohe|grosse|lange|tiefe)',
  'combien|quelle (?:est la )?taille',
  'cuant[oa]s?|que tamano|quant[oaei]s?|hoeveel|hoe (?:hoog|groot)|сколько',
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
