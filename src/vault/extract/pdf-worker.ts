/** The thread in which PDF files are parsed: one message with the bytes of a file, one with what was found. */
import { parentPort } from 'node:worker_threads';
import { extractTextItems, getDocumentProxy, type StructuredTextItem } from 'unpdf';
import { PDF_PAGES_MAX } from '../limits.ts';

/** What became of a file. */
export type PdfRead =
  | { readonly type: 'pages'; readonly pages: readonly (readonly StructuredTextItem[])[] }
  | { readonly type: 'many'; readonly pages: number }
  | { readonly type: 'failed'; readonly reason: string };

// The parser leaves promises behind that fail later, with what it has told already.
process.on('unhandledRejection', () => {});

parentPort?.on('message', async (bytes: Uint8Array) => {
  parentPort?.postMessage(await read(bytes));
});

async function read(bytes: Uint8Array): Promise<PdfRead> {
  try {
    const proxy = await getDocumentProxy(bytes, { verbosity: 0 });
    try {
      if (proxy.numPages > PDF_PAGES_MAX) return { type: 'many', pages: proxy.numPages };
      const { items } = await extractTextItems(proxy);
      return { type: 'pages', pages: items };
    } finally {
      await proxy.loadingTask.destroy();
    }
  } catch (error) {
    return { type: 'failed', reason: error instanceof Error ? error.message : String(error) };
  }
}
