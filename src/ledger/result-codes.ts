/** Why the ledger refuses. Codes are part of consensus and never change meaning; the sentences are for people. */

interface ResultInfo {
  readonly code: number;
  readonly sentence: string;
}

const CODES = {
  ok: { code: 0, sentence: 'It took effect.' },
  malformed: { code: 1, sentence: 'The transaction is not in its canonical form, or too large.' },
  'version-unsupported': {
    code: 2,
    sentence: 'The transaction has a version that this network does not know.',
  },
  'network-mismatch': { code: 3, sentence: 'The transaction was made for another network.' },
  'signature-invalid': { code: 4, sentence: "The sender's signature is missing or wrong." },
  'nonce-used': { code: 5, sentence: 'The sender has already used this transaction number.' },
  'nonce-ahead': { code: 6, sentence: 'An earlier transaction of the sender is missing.' },
  'fee-too-low': { code: 7, sentence: "The transaction offers less than the network's fee." },
  'fee-unpaid': { code: 8, sentence: 'The sender cannot pay the fee.' },
  'amount-zero': { code: 16, sentence: 'The amount is zero.' },
  'balance-insufficient': { code: 17, sentence: 'The sender has less than the amount.' },
  'amount-out-of-range': { code: 18, sentence: 'A sum would exceed what the ledger can hold.' },
  'faucet-absent': { code: 32, sentence: 'This network has no faucet.' },
  'faucet-cap': { code: 33, sentence: 'The account has drawn all that the faucet gives to one account.' },
  'faucet-empty': { code: 34, sentence: 'The faucet has run dry.' },
  'name-missing': { code: 48, sentence: 'The asset has no name.' },
  'owners-invalid': {
    code: 49,
    sentence: "The owners' shares do not sum to the whole, or an owner is named twice or has no share.",
  },
  'parents-invalid': {
    code: 50,
    sentence: "The parents' shares exceed the whole, or a parent is named twice.",
  },
  'parent-unknown': { code: 51, sentence: 'A parent is not registered.' },
  'lineage-too-deep': { code: 52, sentence: 'The lineage is deeper than the ledger allows.' },
  'asset-unknown': { code: 53, sentence: 'The asset is not registered.' },
  'channel-unknown': { code: 64, sentence: 'There is no such channel, or it has ended.' },
  'payee-is-payer': { code: 65, sentence: 'Payer and payee of a channel must differ.' },
  'deposit-too-small': { code: 66, sentence: "The deposit is below the network's minimum." },
  'channel-closing': { code: 67, sentence: 'The channel is closing.' },
  'channel-not-closing': { code: 68, sentence: 'The channel is not closing.' },
  'not-payer': { code: 69, sentence: 'Only the payer of the channel may do this.' },
  'not-payee': { code: 70, sentence: 'Only the payee of the channel may do this.' },
  'claim-malformed': { code: 80, sentence: 'The voucher or the charge is not in its canonical form.' },
  'claim-mismatch': {
    code: 81,
    sentence: 'Voucher and charge are not both for this network, this channel and one lane.',
  },
  'attribution-unsorted': { code: 82, sentence: 'The amounts are not sorted by asset, or name one twice.' },
  'attribution-sum': { code: 83, sentence: 'The amounts do not sum to the charge.' },
  'attribution-root': { code: 84, sentence: 'The amounts are not those that the charge commits to.' },
  'voucher-signature-invalid': { code: 85, sentence: "The voucher does not carry the payer's signature." },
  'charge-signature-invalid': { code: 86, sentence: "The charge does not carry the payee's signature." },
  'lanes-exhausted': { code: 87, sentence: 'The channel has no room for another lane.' },
  'amounts-fall': { code: 88, sentence: 'An asset would have earned less than the ledger already knows.' },
  'identity-known': { code: 96, sentence: 'The DID is registered already.' },
  'identity-unknown': { code: 97, sentence: 'The DID is not registered.' },
  'key-used': { code: 98, sentence: 'The key has signed for somebody: a key signs for one DID, and once.' },
  'next-invalid': { code: 99, sentence: 'The next key is the present one, or the DID itself.' },
  'guardians-invalid': {
    code: 100,
    sentence: 'A guardian is named twice or is the DID itself, or the threshold does not fit their number.',
  },
  'recovery-delay-invalid': { code: 101, sentence: 'The delay of recoveries is too short or too long.' },
  'rotations-too-many': { code: 102, sentence: 'Too many former keys of the DID still count.' },
  'not-guardian': { code: 103, sentence: 'Only a guardian of the DID may do this.' },
  'consent-invalid': { code: 104, sentence: 'The new key has not agreed to sign for the DID.' },
  'already-voted': { code: 105, sentence: 'The guardian has voted for this recovery before.' },
  'recovery-unknown': { code: 106, sentence: 'No guardian wants such a recovery.' },
  'recovery-pending': { code: 107, sentence: 'The recovery lacks votes, or its delay has not passed.' },
  'certificate-revoked': { code: 108, sentence: 'The certificate is revoked already.' },
  'terms-invalid': { code: 112, sentence: 'The terms of the licence are not well-formed.' },
  'licence-expired': { code: 113, sentence: 'The licence of a parent has ended.' },
  'licence-grant': { code: 114, sentence: 'A parent may only be used under a bought licence.' },
  'licence-derivatives': { code: 115, sentence: 'A parent allows nothing to be made from it.' },
  'licence-approval': { code: 116, sentence: 'The registrant of a parent has not approved.' },
  'licence-reciprocal': { code: 117, sentence: 'A parent asks for terms that are as free as its own.' },
  'licence-commercial': { code: 118, sentence: 'A parent allows no commercial use.' },
  'licence-share': { code: 119, sentence: 'A parent asks for a larger part of the revenue.' },
  'licence-attribution': { code: 120, sentence: 'A parent asks to be named by what is made from it.' },
  'licence-territory': { code: 121, sentence: 'A parent may be used in fewer territories.' },
  'licence-term': { code: 122, sentence: 'The licence of a parent ends earlier.' },
  'licence-ceiling': { code: 123, sentence: 'A parent limits what may be received more narrowly.' },
  'licence-not-for-sale': { code: 124, sentence: 'The asset needs no bought licence.' },
  'not-registrant': { code: 125, sentence: 'Only who registered the asset may do this.' },
  'version-replaced': { code: 126, sentence: 'The asset was replaced by another version before.' },
  'versions-exhausted': { code: 127, sentence: 'The asset has as many versions as the ledger allows.' },
  'release-malformed': { code: 128, sentence: 'The release is not in its canonical form.' },
  'release-mismatch': { code: 129, sentence: 'The release is not for this network and this channel.' },
  'release-stale': { code: 130, sentence: 'The deposit of the channel has changed since the release.' },
  'release-signature-invalid': {
    code: 131,
    sentence: "The release does not carry the payee's signature.",
  },
  'withdrawal-too-large': {
    code: 132,
    sentence: 'The withdrawal would take nothing, or more than claims have left.',
  },
  'withdrawal-pending': { code: 133, sentence: 'A withdrawal from the channel is announced already.' },
  'withdrawal-absent': { code: 134, sentence: 'No withdrawal from the channel is announced.' },
  'voucher-key-unchanged': {
    code: 135,
    sentence: "The key is the payer's own or the channel's present one, or there is none to revoke.",
  },
  'voucher-keys-exhausted': { code: 136, sentence: 'Too many former keys of the channel still count.' },
  'evidence-malformed': { code: 137, sentence: 'A record of the evidence is not in its canonical form.' },
  'evidence-mismatch': {
    code: 138,
    sentence: 'The evidence is not all for this network, this channel, its payee and one lane.',
  },
  'evidence-unproven': { code: 139, sentence: 'The records of the evidence do not contradict each other.' },
  'lane-frozen': { code: 140, sentence: 'The lane is already frozen at no more than this proves.' },
  'evidence-signature-invalid': {
    code: 141,
    sentence: "A record of the evidence does not carry the payee's or its agent's signature.",
  },
  'batch-empty': { code: 142, sentence: 'The batch has no claims.' },
  'batch-partial': { code: 143, sentence: 'Some claims of the batch took effect, others were refused.' },
  'bond-too-small': { code: 144, sentence: "The stake would be below the network's minimum, and not 0." },
  'bond-unknown': { code: 145, sentence: 'There is no such stake, or too little is left of it.' },
  'bond-insufficient': { code: 146, sentence: 'The stake is less than the amount.' },
  'commission-rises': { code: 147, sentence: 'The commission of a bond may only fall.' },
  'leaving-full': {
    code: 148,
    sentence: 'Too many parts of the stake are on their way back; one must be released first.',
  },
  'backers-full': { code: 149, sentence: 'As many delegate to the bond as the ledger allows.' },
  'delegate-to-self': { code: 150, sentence: 'Nobody delegates to their own bond.' },
  'nothing-due': { code: 151, sentence: 'Nothing of the stake is due.' },
  'headers-malformed': { code: 152, sentence: 'A header is not in its canonical form.' },
  'headers-agree': {
    code: 153,
    sentence: 'They are not two different headers of this network, one height and one proposer.',
  },
  'headers-unsigned': { code: 154, sentence: "A header does not carry its proposer's signature." },
  'offence-punished': { code: 155, sentence: 'The offence was punished before.' },
  'nothing-at-stake': { code: 156, sentence: 'The offender has nothing at stake.' },
  'epoch-not-open': { code: 157, sentence: 'The epoch has not ended, or its rewards have expired.' },
  'reward-unknown': { code: 158, sentence: 'Nothing was earned in the epoch.' },
  'reward-collected': { code: 159, sentence: 'The reward was collected before.' },
  'recipient-unusable': {
    code: 160,
    sentence: 'Nobody can ever sign with the key that would get the money: there it would be lost.',
  },
  'not-voter': { code: 161, sentence: 'The sender has no vote about the rules of this network.' },
  'upgrade-version': { code: 162, sentence: 'The version is neither the next one nor one to call off.' },
  'upgrade-height': {
    code: 163,
    sentence: 'The height has passed, or is not that of the upgrade that is to be called off.',
  },
} as const;

/** The name of a result. */
export type ResultName = keyof typeof CODES;

/** Every result: its number on the wire and a sentence for people. */
export const RESULT_CODES: Readonly<Record<ResultName, ResultInfo>> = CODES;

const BY_CODE: ReadonlyMap<number, ResultName> = new Map(
  // The keys of the table are the names.
  (Object.keys(CODES) as ResultName[]).map((name) => [CODES[name].code, name]),
);

/** The name of a code, or `undefined` for one of a later version. */
export function resultName(code: number): ResultName | undefined {
  return BY_CODE.get(code);
}

/** A sentence for people about a code. */
export function resultSentence(code: number): string {
  const name = resultName(code);
  return name === undefined ? `The ledger refused with the unknown code ${code}.` : CODES[name].sentence;
}

/** Whether a transaction with this result took effect, be it only in part. */
export function tookEffect(code: number): boolean {
  return code === CODES.ok.code || code === CODES['batch-partial'].code;
}

/** Codes up to this one leave the account untouched: neither nonce nor fee is taken. */
const UNTOUCHED_CODE_MAX = 15;

/** Whether a result left even the sender's nonce as it was. */
export function leavesNonce(code: number): boolean {
  return code !== 0 && code <= UNTOUCHED_CODE_MAX;
}
