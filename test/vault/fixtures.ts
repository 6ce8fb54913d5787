import type { Chunk, Provenance } from '../../src/vault/chunk.ts';
import type { ImportEvent } from '../../src/vault/import.ts';
import type { Vault } from '../../src/vault/vault.ts';

/** A provenance with a contributor of `fill` bytes. */
export function provenance(fill = 7, contribution?: number): Provenance {
  return {
    contributor: new Uint8Array(32).fill(fill),
    contribution: contribution === undefined ? undefined : new Uint8Array(32).fill(contribution),
    licence: 'CC-BY-4.0',
  };
}

/** Imports a text under a name. */
export function addText(
  vault: Vault,
  name: string,
  text: string,
  from: Provenance = provenance(),
): ReturnType<Vault['importDocument']> {
  return vault.importDocument({ name, bytes: Buffer.from(text), provenance: from });
}

/** Everything that an import reports. */
export async function collect(events: AsyncIterable<ImportEvent>): Promise<ImportEvent[]> {
  const all: ImportEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** The texts of chunks. */
export function texts(hits: readonly { readonly chunk: Chunk }[]): string[] {
  return hits.map(({ chunk }) => chunk.text);
}

/** A line of a test PDF. */
export interface PdfLine {
  readonly text: string;
  readonly size: number;
  readonly y: number;
}

/** A small valid PDF, one array of lines for each page. */
export function makePdf(pages: readonly (readonly PdfLine[])[]): Uint8Array {
  const objects: string[] = [];
  const kids = pages.map((_, i) => `${4 + 2 * i} 0 R`).join(' ');
  objects.push('<< /Type /Catalog /Pages 2 0 R >>');
  objects.push(`<< /Type /Pages /Kids [${kids}] /Count ${pages.length} >>`);
  objects.push('<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>');
  for (const [i, lines] of pages.entries()) {
    const content = lines
      .map(({ text, size, y }) => `BT /F1 ${size} Tf 72 ${y} Td (${text.replace(/[()\\]/g, '\\$&')}) Tj ET`)
      .join('\n');
    const resources = '<< /Font << /F1 3 0 R >> >>';
    objects.push(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources ${resources} /Contents ${5 + 2 * i} 0 R >>`,
    );
    objects.push(`<< /Length ${content.length} >>\nstream\n${content}\nendstream`);
  }
  let body = '%PDF-1.4\n';
  const offsets = objects.map((object, i) => {
    const offset = body.length;
    body += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return offset;
  });
  const xref = body.length;
  const rows = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('');
  body += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${rows}`;
  body += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${xref}\n%%EOF\n`;
  return new Uint8Array(Buffer.from(body, 'latin1'));
}
