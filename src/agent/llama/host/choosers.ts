/** What chooses tokens, by what a request asks for. */
import { fromHex } from '../../../base/bytes.ts';
import { SaharaError } from '../../../base/errors.ts';
import { createMarkChooser } from '../../watermark/tournament.ts';
import type { GenerateMessage } from '../messages.ts';
import { drawToken, type TokenChooser } from '../sampler.ts';

/** A chooser, and whether it has to see several candidates even where the best would be taken. */
export interface Chosen {
  readonly choose: TokenChooser;
  readonly wantsMany: boolean;
}

/** The chooser of a request. Throws `malformed` for a mark without a key. */
export function chooserOf({ watermark }: Pick<GenerateMessage, 'watermark'>): Chosen {
  if (watermark === undefined) return { choose: drawToken, wantsMany: false };
  const key = fromHex(watermark.key);
  if (key?.length !== 32) throw new SaharaError('malformed', { what: 'the key of a mark' });
  return { choose: createMarkChooser(key), wantsMany: true };
}
