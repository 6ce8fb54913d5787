import { deflateRawSync, deflateSync } from 'node:zlib';
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
  return pdfOf(
    pages.map((lines) => {
      const content = lines
        .map(({ text, size, y }) => `BT /F1 ${size} Tf 72 ${y} Td (${text.replace(/[()\\]/g, '\\$&')}) Tj ET`)
        .join('\n');
      return { content: Buffer.from(content, 'latin1'), entries: '' };
    }),
  );
}

/** A PDF of one page whose packed content unpacks to `part`, `times` over: a small file that asks for much. */
export function makePdfBomb(part: string, times: number): Uint8Array {
  return pdfOf([{ content: deflateSync(part.repeat(times)), entries: '/Filter /FlateDecode' }]);
}

function pdfOf(contents: readonly { readonly content: Buffer; readonly entries: string }[]): Uint8Array {
  const objects: string[] = [];
  const kids = contents.map((_, i) => `${4 + 2 * i} 0 R`).join(' ');
  objects.push('<< /Type /Catalog /Pages 2 0 R >>');
  objects.push(`<< /Type /Pages /Kids [${kids}] /Count ${contents.length} >>`);
  objects.push('<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>');
  for (const [i, { content, entries }] of contents.entries()) {
    const resources = '<< /Font << /F1 3 0 R >> >>';
    objects.push(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources ${resources} /Contents ${5 + 2 * i} 0 R >>`,
    );
    const body = content.toString('latin1');
    objects.push(`<< /Length ${content.length} ${entries} >>\nstream\n${body}\nendstream`);
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

/** A ZIP archive of `files`, in order. `bend` may change the directory's record of a file. */
export function makeZip(
  files: readonly (readonly [name: string, content: string | Uint8Array])[],
  bend: (record: Buffer, name: string) => void = () => {},
): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, content] of files) {
    const plain = Buffer.from(content);
    const packed = deflateRawSync(plain);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(8, 8);
    local.writeUInt32LE(packed.length, 18);
    local.writeUInt32LE(plain.length, 22);
    local.writeUInt16LE(Buffer.byteLength(name), 26);
    const record = Buffer.alloc(46);
    record.writeUInt32LE(0x02014b50, 0);
    record.writeUInt16LE(8, 10);
    record.writeUInt32LE(packed.length, 20);
    record.writeUInt32LE(plain.length, 24);
    record.writeUInt16LE(Buffer.byteLength(name), 28);
    record.writeUInt32LE(at, 42);
    bend(record, name);
    locals.push(local, Buffer.from(name), packed);
    directory.push(record, Buffer.from(name));
    at += local.length + Buffer.byteLength(name) + packed.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...locals, listed, end]);
}

const WORD_STYLES =
  '<w:styles><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style><w:style w:styleId="X2"><w:name w:val="own"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style></w:styles>';

/** A Word document around the inside of its body. */
export function makeDocx(body: string, more: readonly (readonly [string, string])[] = []): Buffer {
  return makeZip([
    ['[Content_Types].xml', '<Types/>'],
    ['word/document.xml', `<?xml version="1.0"?><w:document><w:body>${body}</w:body></w:document>`],
    ['word/styles.xml', WORD_STYLES],
    ['docProps/core.xml', '<cp:coreProperties><dc:title>Camels &amp; dunes</dc:title></cp:coreProperties>'],
    ...more,
  ]);
}
