import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { extractPdf } from '../../src/vault/extract/pdf.ts';
import { decodeRead, encodeRead, frameHead, readFrames } from '../../src/vault/extract/pdf-messages.ts';
import { createPdfReader, type PdfReader } from '../../src/vault/extract/pdf-process.ts';
import { makePdf, makePdfBomb } from './fixtures.ts';

const PROGRAM = fileURLToPath(new URL('../../src/vault/extract/pdf-child.ts', import.meta.url));
const GOOD = makePdf([[{ text: 'A voucher is a signed ceiling.', size: 11, y: 700 }]]);
const readers: PdfReader[] = [];
const reader = (options: Parameters<typeof createPdfReader>[1]): PdfReader => {
  const made = createPdfReader({ clock: systemClock }, options);
  readers.push(made);
  return made;
};
afterEach(() => {
  for (const { pid } of readers.splice(0)) if (pid !== undefined) process.kill(pid);
});

async function textOf(from: PdfReader): Promise<unknown> {
  const { blocks } = await extractPdf('good.pdf', GOOD, from);
  return blocks.map((block) => ('text' in block ? block.text : undefined));
}

async function refusal(from: PdfReader, bytes: Uint8Array): Promise<SaharaError> {
  const error: unknown = await extractPdf('bomb.pdf', bytes, from).catch((thrown: unknown) => thrown);
  if (error instanceof SaharaError) return error;
  throw new Error('it was read');
}

const isThere = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('KNOW-161: PDF files are read in a process of their own', { timeout: 120_000 }, () => {
  test('one process serves file after file, sees no secret of ours, and ends when it is idle', async () => {
    process.env.SAHARA_TEST_SECRET = 'not for parsers';
    const from = reader({ idleMs: 300 });
    expect(await textOf(from)).toEqual(['A voucher is a signed ceiling.']);
    const { pid = 0 } = from;
    if (process.platform === 'linux') {
      expect(await readFile(`/proc/${pid}/environ`, 'utf8')).not.toContain('SAHARA_TEST_SECRET');
    }
    expect(await textOf(from)).toEqual(['A voucher is a signed ceiling.']);
    expect(from.pid).toBe(pid);
    expect(isThere(pid)).toBe(true);
    while (isThere(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(from.pid).toBeUndefined();
    expect(await textOf(from)).toEqual(['A voucher is a signed ceiling.']);
  });

  test.each([
    // 64 MiB of heap are full of operators and texts long before these are through.
    ['heap', 'BT /F1 9 Tf 72 700 Td (word) Tj ET\n', 4_000_000],
    // 400 MB of content lie outside of the heap while they are unpacked.
    ['memory outside of it', ' '.repeat(1000), 400_000],
  ])(
    'a file that takes more %s than there is, is refused, and the next one is read',
    async (_what, part, times) => {
      const from = reader({ memoryMiB: 256 });
      const { code, facts } = await refusal(from, makePdfBomb(part, times));
      expect(code).toBe('document-unreadable');
      expect(facts.reason).toContain('more than 256 MiB of memory');
      expect(await textOf(from)).toEqual(['A voucher is a signed ceiling.']);
    },
  );

  test('a file that takes too long is refused, and the next one is read', async () => {
    const slow = reader({ readMs: 50 });
    const error = await refusal(slow, makePdfBomb('BT /F1 9 Tf 72 700 Td (word) Tj ET\n', 400_000));
    expect(error.facts.reason).toContain('takes too long');
    expect(await textOf(reader({}))).toEqual(['A voucher is a signed ceiling.']);
  });

  test('the process ends with its input', async () => {
    const child = spawn(process.execPath, [PROGRAM, '256'], { stdio: ['pipe', 'ignore', 'inherit'] });
    child.stdin.end();
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
  });
});

describe('what the process says', () => {
  async function frames(...parts: readonly Uint8Array[]): Promise<string[]> {
    const found: string[] = [];
    const stream = (async function* () {
      yield* parts;
    })();
    for await (const frame of readFrames(stream, 100)) found.push(Buffer.from(frame).toString());
    return found;
  }

  test('frames come out as they went in, however they are cut', async () => {
    const texts = ['one', '', 'three'];
    const whole = Buffer.concat(texts.flatMap((text) => [frameHead(Buffer.from(text)), Buffer.from(text)]));
    expect(await frames(whole)).toEqual(texts);
    expect(await frames(...[...whole].map((byte) => Uint8Array.of(byte)))).toEqual(texts);
  });

  test('a frame that is too long or cut off is refused', async () => {
    await expect(frames(Uint8Array.of(0xff, 0xff, 0xff, 0xff))).rejects.toThrow(SaharaError);
    await expect(frames(Uint8Array.of(0, 0, 0, 3, 1))).rejects.toThrow(SaharaError);
  });

  test('only what has the right shape is believed', () => {
    const line = { text: 'a', size: 11, gap: 0, edge: true };
    const read = { type: 'pages', pages: [[line]] } as const;
    expect(decodeRead(encodeRead(read))).toEqual(read);
    const wrong = [null, 1, {}, { type: 'pages' }, { type: 'pages', pages: [[{ ...line, size: null }]] }];
    for (const value of [...wrong, { type: 'failed' }, { type: 'many', pages: '1' }]) {
      expect(() => decodeRead(Buffer.from(JSON.stringify(value)))).toThrow(SaharaError);
    }
    expect(() => decodeRead(Buffer.from('{'))).toThrow(SaharaError);
  });
});
