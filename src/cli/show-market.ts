/** How measures and offers look to a person. */
import type { MeasuredRow, OfferRow } from '../daemon/admin/types.ts';
import type { App } from './app.ts';
import { amount, showTable } from './show.ts';
import { clip, shortDid } from './terminal.ts';

/** Heads of the columns of `measuredCells`. */
export const MEASURED_HEADS: readonly string[] = ['FIRST', 'WHOLE', 'LOAD', 'MEASURED BY'];

/** Times, load, and who measured them. */
export function measuredCells(measured: MeasuredRow | undefined): readonly string[] {
  if (measured === undefined) return ['-', '-', '-', 'nobody yet'];
  const { firstMs, totalMs, ahead, failed, payers, from } = measured;
  const by = {
    own: 'you',
    paid: payers === 1 ? '1 payer' : `${payers} payers`,
    free: payers === 1 ? '1 caller, free' : `${payers} callers, free`,
  }[from];
  const load = failed > 0 ? `${ahead}, ${Math.round(failed * 100)} % fail` : String(ahead);
  return [`${Math.round(firstMs)} ms`, `${Math.round(totalMs)} ms`, load, by];
}

/** The offers that came in, the best first. */
export function showOffers(app: App, offers: readonly OfferRow[]): void {
  if (offers.length === 0) return;
  showTable(
    app,
    ['OFFER', 'COSTS ABOUT', ...MEASURED_HEADS, 'SCORE', 'DID', 'WHERE'],
    offers.map((offer) => [
      clip(offer.name, 32),
      offer.expected === '0' ? 'free' : amount(offer.expected),
      ...measuredCells(offer.measured),
      offer.score.toFixed(3),
      shortDid(offer.did),
      offer.peerId.slice(-8),
    ]),
  );
  app.terminal.line();
}
