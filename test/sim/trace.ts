/** What happened in a story, one line each, and one number that stands for all of it. */
import type { Scheduler } from './time.ts';

const LAST_LINES = 200;

/** The lines of a story. */
export class Trace {
  readonly #scheduler: Scheduler;
  readonly #print: ((line: string) => void) | undefined;
  readonly #last: string[] = [];
  #a = 0x811c_9dc5;
  #b = 0x9e37_79b9;
  #count = 0;

  /** `print` sees every line at once. */
  constructor(scheduler: Scheduler, print?: (line: string) => void) {
    this.#scheduler = scheduler;
    this.#print = print;
  }

  /** Adds a line. */
  say(what: string): void {
    const line = `${this.#scheduler.nowMs.toFixed(3)} ${what}`;
    let a = this.#a;
    let b = this.#b;
    for (let at = 0; at < line.length; at++) {
      const unit = line.charCodeAt(at);
      a = Math.imul(a ^ unit, 0x0100_0193);
      b = Math.imul(b ^ unit, 0x85eb_ca6b);
      b ^= b >>> 13;
    }
    this.#a = a;
    this.#b = b;
    this.#last[this.#count++ % LAST_LINES] = line;
    this.#print?.(line);
  }

  /** Stands for every line so far: the same story has the same one. */
  get hash(): string {
    const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');
    return `${hex(this.#a)}${hex(this.#b)}-${this.#count}`;
  }

  /** The last lines, oldest first. */
  last(): readonly string[] {
    const from = this.#count % LAST_LINES;
    return this.#count < LAST_LINES
      ? [...this.#last]
      : [...this.#last.slice(from), ...this.#last.slice(0, from)];
  }
}
