/** The ledger's head mark as a small text file of the home, beside the store that it watches. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { fromHex, toHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import type { HeadMark, MarkedHead } from '../ledger/mark.ts';

const FORM = /^height (\d{1,15})\nheader ([0-9a-f]{64})\ngenesis ([0-9a-f]{64})\n$/;

/** The mark in the file `path`. Reading throws `store-corrupt` for anything that is no mark. */
export function createFileMark(path: string): HeadMark {
  return {
    place: path,
    async read() {
      const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw new SaharaError('home-unreadable', { path, reason: error.message }, { cause: error });
      });
      return text === undefined ? undefined : parsed(path, text);
    },
    async write({ height, headerHash, genesisHash }) {
      const text = `height ${height}\nheader ${toHex(headerHash)}\ngenesis ${toHex(genesisHash)}\n`;
      // On disk before it takes the name: a crash leaves this mark or the one before, which lags and harms nothing.
      const unfinished = `${path}.part`;
      await writeFile(unfinished, text, { mode: 0o600, flush: true });
      point('ledger:marked');
      await rename(unfinished, path);
    },
  };
}

function parsed(path: string, text: string): MarkedHead {
  const [, height, header = '', genesis = ''] = FORM.exec(text) ?? [];
  const headerHash = fromHex(header);
  const genesisHash = fromHex(genesis);
  if (height !== undefined && headerHash && genesisHash)
    return { height: Number(height), headerHash, genesisHash };
  throw new SaharaError('store-corrupt', {
    path,
    reason: 'It does not hold a ledger head',
    advice: 'Restore the whole home folder from its latest backup',
  });
}
