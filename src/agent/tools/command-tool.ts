/** A function of the operator's own: a program that is given the arguments as JSON and prints the result. */
import { spawn } from 'node:child_process';
import { SaharaError } from '../../base/errors.ts';
import { TOOL_RESULT_BYTES_MAX } from './limits.ts';
import type { Tool, ToolSpec } from './tool.ts';

/** Most of a program's complaint that is told. */
const COMPLAINT_CHARACTERS = 300;

/**
 * A tool that runs `command` without a shell: arguments on standard input, result on standard output. A program that
 * exits with another code than 0 has failed, with the last of what it wrote to standard error.
 */
export function createCommandTool(
  spec: ToolSpec,
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
): Tool {
  const [program = '', ...args] = command;
  return {
    ...spec,
    run: (input, { signal }) =>
      new Promise((resolve, reject) => {
        // A group of its own, so that what it starts ends with it.
        const child = spawn(program, args, { env: environment, stdio: 'pipe', detached: true });
        const kill = (): void => {
          if (child.pid !== undefined) endGroup(child.pid);
        };
        signal.addEventListener('abort', kill, { once: true });
        if (signal.aborted) kill();
        const output = new Piece(TOOL_RESULT_BYTES_MAX + 1, 'first');
        const complaint = new Piece(COMPLAINT_CHARACTERS * 4, 'last');
        child.stdout.on('data', (data: Buffer) => output.push(data));
        child.stderr.on('data', (data: Buffer) => complaint.push(data));
        child.on('error', (error) => reject(failed(spec.name, error.message)));
        child.on('close', (code) => {
          signal.removeEventListener('abort', kill);
          if (code === 0) return resolve(output.text);
          const said = complaint.text.trim().slice(-COMPLAINT_CHARACTERS);
          reject(failed(spec.name, said === '' ? `it ended with ${code ?? 'a signal'}` : said));
        });
        // A program that does not read its input is none the worse.
        child.stdin.on('error', () => {});
        child.stdin.end(JSON.stringify(input));
      }),
  };
}

function endGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

function failed(tool: string, reason: string): SaharaError {
  return new SaharaError('tool-failed', { tool, reason });
}

/** The first or the last `max` bytes of a stream. */
class Piece {
  readonly #max: number;
  readonly #keep: 'first' | 'last';
  #bytes: Buffer = Buffer.alloc(0);

  constructor(max: number, keep: 'first' | 'last') {
    this.#max = max;
    this.#keep = keep;
  }

  get text(): string {
    return this.#bytes.toString('utf8');
  }

  push(data: Buffer): void {
    if (this.#keep === 'first' && this.#bytes.length >= this.#max) return;
    const all = Buffer.concat([this.#bytes, data]);
    this.#bytes = this.#keep === 'first' ? all.subarray(0, this.#max) : all.subarray(-this.#max);
  }
}
