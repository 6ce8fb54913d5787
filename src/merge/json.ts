/** What `JSON.parse` does not tell: whether an object names a key twice, in which case it silently keeps the last. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * A key that stands twice in one object of well-formed JSON, or `undefined`. Keys are compared as they read after
 * unescaping. `text` must have been accepted by `JSON.parse`.
 */
export function duplicateKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let last: string | undefined;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x7b: // {
        open.push(new Set());
        break;
      case 0x5b: // [
        open.push(undefined);
        break;
      case 0x7d: // }
      case 0x5d: // ]
        open.pop();
        break;
      case QUOTE: {
        const end = stringEnd(text, i);
        last = text.slice(i, end + 1);
        i = end;
        break;
      }
      case 0x3a: {
        // A colon outside strings always follows a key.
        const key: string = JSON.parse(last ?? '""');
        const keys = open.at(-1);
        if (keys?.has(key)) return key;
        keys?.add(key);
        break;
      }
    }
  }
  return undefined;
}

function stringEnd(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) return i;
    if (code === BACKSLASH) i++;
  }
  return text.length;
}
