/** The tags and texts of an XML document, in order. Strict enough for Office files: no document types, so no entities of their own. */
import { NESTING_MAX } from '../limits.ts';
import { unreadable } from './refusals.ts';

/** One event of an XML document; names with their prefix. An empty element opens and closes. */
export type XmlEvent =
  | { readonly type: 'open'; readonly name: string; readonly attributes: string }
  | { readonly type: 'close'; readonly name: string }
  | { readonly type: 'text'; readonly text: string };

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
const NAME = /^[\p{L}_][\p{L}\p{N}_.:-]{0,127}/u;

/** Reads `xml`. Errors: `document-unreadable` for what is not well-formed or nested above `NESTING_MAX`. */
export function* readXml(document: string, xml: string): Generator<XmlEvent> {
  const open: string[] = [];
  let at = 0;
  while (at < xml.length) {
    const start = xml.indexOf('<', at);
    const text = xml.slice(at, start < 0 ? xml.length : start);
    if (text !== '' && open.length > 0) yield { type: 'text', text: decodeEntities(text) };
    if (start < 0) break;
    if (xml.startsWith('<!--', start)) at = after(document, xml, '-->', start);
    else if (xml.startsWith('<?', start)) at = after(document, xml, '?>', start);
    else if (xml.startsWith('<![CDATA[', start)) {
      at = after(document, xml, ']]>', start);
      yield { type: 'text', text: xml.slice(start + 9, at - 3) };
    } else if (xml[start + 1] === '!') throw malformed(document);
    else {
      at = after(document, xml, '>', start);
      yield* tag(document, xml.slice(start + 1, at - 1), open);
    }
  }
  if (open.length > 0) throw malformed(document);
}

function* tag(document: string, inside: string, open: string[]): Generator<XmlEvent> {
  if (inside.startsWith('/')) {
    const name = inside.slice(1).trimEnd();
    if (open.pop() !== name) throw malformed(document);
    yield { type: 'close', name };
    return;
  }
  const name = NAME.exec(inside)?.[0];
  if (name === undefined || open.length >= NESTING_MAX) throw malformed(document);
  yield { type: 'open', name, attributes: inside.slice(name.length) };
  if (inside.endsWith('/')) yield { type: 'close', name };
  else open.push(name);
}

/** The value of an attribute out of the text between a tag's name and its end. */
export function attribute(attributes: string, name: string): string | undefined {
  const at = attributes.indexOf(`${name}=`);
  if (at < 1 || !/\s/.test(attributes[at - 1] ?? '')) return undefined;
  const quote = attributes[at + name.length + 1];
  if (quote !== '"' && quote !== "'") return undefined;
  const end = attributes.indexOf(quote, at + name.length + 2);
  return end < 0 ? undefined : decodeEntities(attributes.slice(at + name.length + 2, end));
}

function after(document: string, xml: string, mark: string, from: number): number {
  const end = xml.indexOf(mark, from);
  if (end < 0) throw malformed(document);
  return end + mark.length;
}

function decodeEntities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(\w{1,8}));/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '';
  });
}

function malformed(document: string): ReturnType<typeof unreadable> {
  return unreadable(document, 'the text inside is damaged', 'save it again from the program that made it');
}
