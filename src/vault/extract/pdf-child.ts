/**
 * The process in which PDF files are parsed: a frame with the bytes of a file in, a frame with what was found out. It
 * ends when its input does. Started by `pdf-process.ts`.
 */
import { Worker } from 'node:worker_threads';
import { extractTextItems, getDocumentProxy } from 'unpdf';
import { PDF_BYTES_MAX, PDF_PAGES_MAX, PDF_REPLY_BYTES_MAX } from '../limits.ts';
import { linesOf } from './pdf-lines.ts';
import { encodeRead, frameHead, type PdfRead, readFrames } from './pdf-messages.ts';

// The parser leaves promises behind that fail later, with what it has told already.
process.on('unhandledRejection', () => {});
process.title = 'sahara-pdf';
const watch = new URL(import.meta.url.endsWith('.ts') ? './pdf-watch.ts' : './pdf-watch.js', import.meta.url);
// Beside this thread, which does nothing else while it parses.
new Worker(watch, { workerData: { memoryMiB: Number(process.argv[2]) } }).unref();

for await (const frame of readFrames(process.stdin, PDF_BYTES_MAX)) {
  const read = encodeRead(await parse(frame));
  const tooLong: PdfRead = {
    type: 'stopped',
    reason: `it holds more than ${PDF_REPLY_BYTES_MAX} bytes of text`,
  };
  const reply = read.length <= PDF_REPLY_BYTES_MAX ? read : encodeRead(tooLong);
  process.stdout.write(frameHead(reply));
  process.stdout.write(reply);
}

async function parse(bytes: Uint8Array): Promise<PdfRead> {
  try {
    // The parser takes the buffer that it is given away.
    const proxy = await getDocumentProxy(bytes.slice(), { verbosity: 0 });
    try {
      if (proxy.numPages > PDF_PAGES_MAX) return { type: 'many', pages: proxy.numPages };
      const { items } = await extractTextItems(proxy);
      return { type: 'pages', pages: items.map(linesOf) };
    } finally {
      await proxy.loadingTask.destroy();
    }
  } catch (error) {
    return { type: 'failed', reason: error instanceof Error ? error.message : String(error) };
  }
}
