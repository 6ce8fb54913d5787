/**
 * Small words of languages, without marks and in lower case: they tell the language of a text, are neither indexed nor
 * searched in it, and keep their position. Normative: `spec/vectors/knowledge/languages.json` has them too.
 */
import { withoutMarks } from './marks.ts';
import { STOPWORDS } from './stopwords.ts';

const words = (list: string): ReadonlySet<string> => new Set(withoutMarks(list).trim().split(/\s+/));

/** Of English no more than what the index leaves out; of the others articles, pronouns, prepositions, auxiliaries and question words. */
export const SMALL_WORDS: Readonly<Record<string, ReadonlySet<string>>> = {
  en: STOPWORDS,
  de: words(`ab aber alle allem allen aller alles als also am an andere anderen anderer auch auf aus bei beim bin bis
    bist da dabei damit danach dann darf durfen das dass daß dein deine dem den denn der des deshalb dessen dich die dies diese diesem
    diesen dieser dieses dir doch dort du durch ein eine einem einen einer eines er es etwas euch euer fur gab geben gegen gibt gab
    habe haben hat hatte hatten hier hin ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist ja jede jedem jeden
    jeder jedes jemand jetzt kann kannst kein keine keinem keinen keiner konnen konnte man mehr mein meine meinem meinen mich
    mir mit muss mussen musste nach nicht nichts noch nun nur ob oder ohne sehr sein seine seinem seinen seiner seit sich
    sie sind so sobald soll sollen sollte sonst sowie uber um und uns unser unsere unter vom von vor wann war waren warum was
    weil welche welchem welchen welcher welches wem wen wenn wer werde werden wessen wie wieso will wir wird wo wofur wohin woher womit
    worden wurde wurden zu zum zur zwischen`),
  fr: words(`a ai apres as au aucun aucune  aussi autre autres aux avant avec avez avons avait ayant car ce ceci cela ces cet cette
    chez ci combien comme comment dans de depuis des deux doit doivent donc dont du elle elles en encore entre est et etait ete etes etre
    eu eux faire fait faut font il ils je jusqu la laquelle le lequel les lesquels leur leurs lors lorsque lui ma mais me meme mes
    moi mon ne ni nos notre nous on ont ou par pas pendant peut peuvent peux plus pour pourquoi puis qu quand que quel quelle
    quelles quels qui quoi sa sans se selon sera seront ses si son sont sous sur ta te tes toi ton tous tout toute toutes tres tu
    un une vers vos votre vous y`),
  es: words(`a adonde al algo algun alguna ante antes aquel aquella asi aun aunque cada como con cual cuales cuando cuanta
    cuantas cuanto cuantos de debe deben debo del desde donde dos durante e el ella ellas ellos en entre era eran es esa ese eso esta
    estaba estan estar este esto estos estas fue fueron ha haber habia han hasta hay la las lo los mas mi mis mucho muy nada
    ni no nos nuestra nuestro o os otra otras otro otros para pero poco por porque pueda puede pueden puedo que quien quienes se sea segun
    ser si sido sin sobre son su sus tal tambien tanto te tiene tienen toda todas todo todos tras tu tus un una unas uno unos
    y ya yo`),
  it: words(`a ad agli ai al alcun alcuni alla alle allo anche ancora avere aveva che chi ci cio coi col come con cosa cui
    da dagli dai dal dalla dalle dallo de degli dei del dell della delle dello deve devo devono di dopo dove e ed era essere fa fino fra gia
    gli ha hanno ho i il in io l la le lei li lo loro lui ma mi mia mie mio molto ne negli nei nel nell nella nelle nello no noi non nostra
    nostro o ogni oppure per perche piu poi possa posso possono prima puo quale quali quando quanta quante quanti quanto quella quelle quelli quello
    questa queste questi questo qui se sei senza si sia siamo sino sono sopra sotto sta stata stato su sua sue sugli sui sul sull sulla
    sulle suo suoi tra tu tutta tutte tutti tutto un una uno vi viene vengono vostra vostro`),
  pt: words(`a ao aos aquela aquele as ate cada com como cujo da das de dela dele depois desde deve devem devo do dos durante e ela elas
    ele eles em entre era essa esse esta estao estar este eu fica foi foram ha isso isto ja la lhe mais mas me mesmo meu meus minha minhas muito
    na nas nao nem no nos nossa nosso num numa o onde os ou para pela pelas pelo pelos per pode podem posso por porque qual quais
    quando quanta quantas quanto quantos que quem sao se sem ser sera seu seus so sobre sua suas tal tambem te tem tinha toda todas todo
    todos tu um uma umas uns voce voces`),
  nl: words(`aan achter al alle als altijd ben bij bent daar dan dat de deze die dit doen door dus een eens en er geen
    gaat ge had hadden heb hebben heeft hem het hier hij hoe hoeveel hun iemand iets ik in is ja je jij jullie kan kon kun kunnen
    kunt maar mag mee meer men met mij mijn moet moeten mogen na naar niet niets nog nu of om onder ons onze ook op over per
    te tegen ten ter toch toen tot u uit uw van vanaf veel voor waar waarom wanneer waren was wat we wel welk welke werd werden wie wij
    wil word worden wordt zal ze zich zij zijn zo zonder zou zullen`),
  ru: words(`а без более бы был была были было быть в вам вас во вот все всего всех вы где да для до его ее если есть еще же за здесь и
    из или им их к как какая какие каким какими какого какое какой каком какому ко когда кого кому кто куда ли либо мне можно мои мой моя
    мы на над надо нам нас не него нее нельзя нет ни них но нужно о об один он она они оно от откуда по под после почему при про с
    сам свой себя сколько со так такой там те тем то того тоже только том тот ту ты у уже чего чем что чтобы эта эти это этой
    этом этот я`),
};
