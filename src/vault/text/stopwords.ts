/** English words that carry no topic: they are neither indexed nor searched, but keep their position. */
export const STOPWORDS: ReadonlySet<string> = new Set(
  `a about above after again against all also am an and any are as at be because been before being below between
  both but by can cannot could did do does doing don down during each either etc ever few for from further get gets
  got had has have having he her here hers him his how however i if in into is isn it its itself just let like
  made make makes many may me might more most much must my neither no nor not now of off on once one only or other
  our ours out over own per rather same shall she should since so some still such than that the their theirs
  them then there therefore these they this those though through thus to too under until up upon us very was
  we were what whatever when where whether which while who whoever whom whose why will with within without
  would yet you your yours arent cant couldnt didnt doesnt dont havent isnt ive theyre wasnt werent wont
  wouldnt youre`.split(/\s+/),
);

/** Words with which people wrap a question; they are dropped from a question that says anything else. */
export const QUESTION_WORDS: ReadonlySet<string> = new Set(
  'describe explain happen happens know list mean means please show tell give want need happened hello hi thanks'.split(
    ' ',
  ),
);
