/** What chooses tokens, by what a request asks for. */
import { SaharaError } from '../../../base/errors.ts';
import type { GenerateMessage } from '../messages.ts';
import { drawToken, type TokenChooser } from '../sampler.ts';

/** A chooser, and whether it has to see several candidates even where the best would be taken. */
export interface Chosen {
  readonly choose: TokenChooser;
  readonly wantsMany: boolean;
}

/** The chooser of a request. Throws `usage` for a mark that this version cannot make. */
export function chooserOf({ watermark }: Pick<GenerateMessage, 'watermark'>): Chosen {
  if (watermark !== undefined) throw new SaharaError('usage', { reason: 'This version makes no marks' });
  return { choose: drawToken, wantsMany: false };
}
