/**
 * What a command writes and where: data to standard output, everything else to standard error; colour only where a
 * person looks. Text that came from a peer is stripped of control characters before it reaches a terminal.
 */

import { systemClock } from '../base/clock.ts';

/** A style of text. */
export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

const CODES: Readonly<Record<Style, readonly [on: number, off: number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

/** Where a command writes. */
export interface Terminal {
  /** Whether results are JSON. */
  readonly json: boolean;
  /** Whether a person sits at both ends, so that questions may be asked. */
  readonly interactive: boolean;
  /** Text on standard output as it stands. */
  write(text: string): void;
  /** One line on standard output. */
  line(text?: string): void;
  /** A result: one JSON line under `--json`, otherwise what `show` prints. */
  result(value: unknown, show: () => void): void;
  /** One line on standard error; silent under `--json`. */
  note(text: string): void;
  /** Shows what is being waited for, on a terminal only; the returned function takes it away. */
  progress(text: string): () => void;
  /** Shows how far something is, in one line that the next call replaces, on a terminal only; nothing: takes it away. */
  live(text?: string): void;
  /** `text` in a style, where standard output shows styles. */
  paint(style: Style, text: string): string;
  /** `text` in a style, where standard error shows styles. */
  paintError(style: Style, text: string): string;
}

/** What a terminal is made of. */
export interface TerminalParts {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly stdin: NodeJS.ReadStream;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** How a terminal behaves. */
export interface TerminalOptions {
  readonly json: boolean;
  /** Never ask. */
  readonly quiet: boolean;
}

/** A terminal over the process's streams. */
export function createTerminal(parts: TerminalParts, options: TerminalOptions): Terminal {
  const { stdout, stderr } = parts;
  const color = !parts.environment.NO_COLOR && parts.environment.TERM !== 'dumb';
  const styled = (on: boolean, style: Style, text: string): string => {
    const [start, end] = CODES[style];
    return on ? `\x1b[${start}m${text}\x1b[${end}m` : text;
  };
  let spinning = false;
  const terminal: Terminal = {
    json: options.json,
    interactive: Boolean(parts.stdin.isTTY && stdout.isTTY) && !options.json && !options.quiet,
    write: (text) => void stdout.write(text),
    line: (text = '') => void stdout.write(`${text}\n`),
    result(value, show) {
      if (options.json) stdout.write(`${JSON.stringify(value)}\n`);
      else show();
    },
    note(text) {
      if (options.json) return;
      if (spinning) stderr.write(CLEAR_LINE);
      stderr.write(`${text}\n`);
    },
    progress(text) {
      if (!stderr.isTTY || options.json) return () => {};
      const stop = spin(stderr, text);
      spinning = true;
      return () => {
        spinning = false;
        stop();
      };
    },
    live(text = '') {
      if (!stderr.isTTY || options.json || (text === '' && !spinning)) return;
      spinning = text !== '';
      stderr.write(`${CLEAR_LINE}${text.slice(0, Math.max(1, stderr.columns - 1))}`);
    },
    paint: (style, text) => styled(color && Boolean(stdout.isTTY) && !options.json, style, text),
    paintError: (style, text) => styled(color && Boolean(stderr.isTTY) && !options.json, style, text),
  };
  return terminal;
}

const CLEAR_LINE = '\r\x1b[2K';
const SPIN_DELAY_MS = 300;
const SPIN_EVERY_MS = 120;
const SPIN = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/** Appears only once the wait is long enough to be noticed. */
function spin(stderr: NodeJS.WriteStream, text: string): () => void {
  let frame = 0;
  const turn = (): void => {
    stderr.write(`${CLEAR_LINE}${SPIN[frame++ % SPIN.length]} ${text}`);
    cancel = systemClock.after(SPIN_EVERY_MS, turn);
  };
  let cancel = systemClock.after(SPIN_DELAY_MS, turn);
  return () => {
    cancel();
    if (frame > 0) stderr.write(CLEAR_LINE);
  };
}

/** `text` without control characters and direction overrides; line feeds and tabs stay. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069]/gu, '');
}

/** `text` on one line, at most `max` characters. */
export function clip(text: string, max: number): string {
  const flat = printable(text).replace(/\s+/g, ' ').trim();
  return flat.length <= max ? flat : `${flat.slice(0, max - 1)}…`;
}

/** Columns under a header, two spaces apart, the last one as wide as it is. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const widths = header.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)),
  );
  const format = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i === cells.length - 1 ? cell : cell.padEnd((widths[i] ?? 0) + 2))).join('');
  return [format(header), ...rows.map(format)];
}

/** `2 min ago`, `3 h ago`: how long before `nowMs`. */
export function ago(atMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - atMs) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** `1 peer`, `2 peers`. */
export function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

/** The telling middle of a DID: `z6MkhaXg…doK1`. */
export function shortDid(did: string): string {
  const name = did.replace(/^did:key:/, '');
  return name.length <= 16 ? name : `${name.slice(0, 8)}…${name.slice(-4)}`;
}

/** First characters of a hexadecimal name. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}

/** A name with the DIDs in it shortened. */
export function plainName(name: string, max: number): string {
  return clip(name.replace(/did:key:[1-9A-HJ-NP-Za-km-z]+/g, shortDid), max);
}
