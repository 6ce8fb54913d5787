/** What every `CallStream` does, whatever carries it. */
import { afterEach, describe, expect, it } from 'vitest';
import type { CallFrame, CallStream } from '../../src/agent/ports.ts';
import { SaharaError } from '../../src/base/errors.ts';

/** Both ends of one call, joined. */
export interface StreamEnds {
  readonly caller: CallStream;
  /** A host may hear of a call with its first frame only. */
  readonly host: Promise<CallStream>;
  /** The connection is gone. */
  cut(): void | Promise<void>;
}

/** Makes ends; `close` frees what the last ones used. */
export interface StreamMaker {
  open(): Promise<StreamEnds>;
  close?(): Promise<void>;
}

const frame = (kind: number, ...bytes: number[]): CallFrame => ({ kind, body: Uint8Array.from(bytes) });

async function all(stream: CallStream): Promise<number[][]> {
  const seen: number[][] = [];
  for await (const { kind, body } of stream.frames()) seen.push([kind, ...body]);
  return seen;
}

async function failureOf(work: Promise<unknown>): Promise<SaharaError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof SaharaError) return error;
  throw new TypeError(`no failure: ${String(error)}`);
}

/** Sends until the stream stays full; answers how many frames, and the wait for more room. */
async function fill(stream: CallStream): Promise<{ readonly sent: number; readonly room: Promise<void> }> {
  for (let sent = 0; sent < 10_000; ) {
    const room = stream.writable();
    const free = room.then(() => true);
    const waited = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 150));
    if (!(await Promise.race([free, waited]))) return { sent, room };
    stream.send({ kind: 2, body: new Uint8Array(8_000).fill(++sent) });
  }
  throw new TypeError('it never fills');
}

interface Heard {
  readonly said: string[];
  readonly first: Promise<void>;
  readonly over: Promise<void>;
}

function listen(stream: CallStream): Heard {
  const said: string[] = [];
  const first = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  const last = (text: string): void => {
    said.push(text);
    over.resolve();
  };
  stream.consume({
    frame(kind, body) {
      said.push(`${kind} ${[...body]}`);
      first.resolve();
    },
    end: () => last('end'),
    fail: ({ code }) => last(code),
  });
  return { said, first: first.promise, over: over.promise };
}

/** The suite. The caller's first frame is always an opening, as in a call. */
export function streamConforms(name: string, maker: StreamMaker): void {
  const opened = async (
    first = frame(1, 9),
  ): Promise<Omit<StreamEnds, 'host'> & { readonly host: CallStream }> => {
    const ends = await maker.open();
    ends.caller.send(first);
    return { ...ends, host: await ends.host };
  };
  describe(`a call's stream: ${name}`, () => {
    afterEach(async () => maker.close?.());

    it('carries frames both ways in order, each way up to its own end', async () => {
      const { caller, host } = await opened();
      for (let i = 0; i < 20; i++) caller.send(frame(10, i));
      caller.end();
      expect(await all(host)).toEqual([[1, 9], ...Array.from({ length: 20 }, (_, i) => [10, i])]);
      const read = all(caller);
      for (let i = 0; i < 20; i++) host.send(frame(2, i, i));
      host.end();
      expect(await read).toEqual(Array.from({ length: 20 }, (_, i) => [2, i, i]));
    });

    it('carries empty and large frames', async () => {
      const large = new Uint8Array(300_000).map((_, i) => i % 251);
      const { caller, host } = await opened({ kind: 1, body: large });
      caller.send({ kind: 5, body: new Uint8Array(0) });
      caller.end();
      const bodies: Uint8Array[] = [];
      for await (const { body } of host.frames()) bodies.push(body.slice());
      expect(bodies.map(({ length }) => length)).toEqual([300_000, 0]);
      expect(Buffer.from(bodies[0] ?? []).equals(large)).toBe(true);
    });

    it('tells a sink what came already, what comes, and the end', async () => {
      const { caller, host } = await opened();
      caller.send(frame(10, 1));
      await new Promise((resolve) => setImmediate(resolve));
      const heard = listen(host);
      caller.send(frame(10, 2));
      caller.end();
      await heard.over;
      expect(heard.said).toEqual(['1 9', '10 1', '10 2', 'end']);
    });

    it('ends both ways with the failure that one side says, after what it sent before', async () => {
      const { caller, host } = await opened();
      const heard = listen(host);
      await heard.first;
      host.send(frame(2, 1));
      host.fail(new SaharaError('price-above-max', { price: '5' }));
      const seen: number[] = [];
      const failure = await failureOf(
        (async () => {
          for await (const { kind } of caller.frames()) seen.push(kind);
        })(),
      );
      expect(seen).toEqual([2]);
      expect(failure).toMatchObject({ code: 'price-above-max', facts: { price: '5' } });
      // The clock of who said it: callers tell a refusal by it.
      expect(failure.facts.peerTimeMs).toBeTypeOf('number');
      expect(() => caller.send(frame(10))).toThrow(SaharaError);
      expect(heard.said).toEqual(['1 9']);
    });

    it('tells a sink of a failure, and aborts the signal', async () => {
      const { caller, host } = await opened();
      const { signal } = host;
      const heard = listen(host);
      caller.fail(new SaharaError('answer-invalid'));
      await heard.over;
      expect(heard.said.at(-1)).toBe('answer-invalid');
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
      expect(signal.aborted).toBe(true);
    });

    it('tells the other side when nobody reads any more', async () => {
      const { caller, host } = await opened();
      const heard = listen(host);
      caller.cancel();
      await heard.over;
      expect(heard.said.at(-1)).toBe('cancelled');
      expect(() => caller.send(frame(10))).toThrow(SaharaError);
    });

    it('is left by leaving the loop over its frames', async () => {
      const { caller, host } = await opened();
      const heard = listen(host);
      await heard.first;
      host.send(frame(2, 1));
      for await (const { kind } of caller.frames()) {
        expect(kind).toBe(2);
        break;
      }
      await heard.over;
      expect(heard.said.at(-1)).toBe('cancelled');
    });

    it('holds a sender whose reader does not read, and lets it go on when it does', async () => {
      const { caller, host } = await opened();
      const answered = host.frames()[Symbol.asyncIterator]();
      await answered.next();
      const { sent, room } = await fill(host);
      const reader = caller.frames()[Symbol.asyncIterator]();
      for (let i = 1; i <= sent; i++) {
        const next = await reader.next();
        expect(next.done === true ? undefined : next.value.body[0]).toBe(i & 0xff);
      }
      await room;
      host.send(frame(2, 7));
      host.end();
      expect(await reader.next()).toMatchObject({ done: false, value: { kind: 2 } });
      expect((await reader.next()).done).toBe(true);
    });

    it('holds a caller too', async () => {
      const { caller, host } = await opened();
      const { sent, room } = await fill(caller);
      const reader = host.frames()[Symbol.asyncIterator]();
      for (let i = 0; i <= sent; i++) await reader.next();
      await room;
      caller.end();
      expect((await reader.next()).done).toBe(true);
    });

    it('lets a wait be given up', async () => {
      const { caller } = await opened();
      await fill(caller);
      const giveUp = new AbortController();
      const waiting = failureOf(caller.writable({ signal: giveUp.signal }));
      giveUp.abort();
      expect((await waiting).code).toBe('cancelled');
    });

    it('shows both sides a cut as a cut, never as an end', async () => {
      const { caller, host, cut } = await opened();
      const heard = listen(host);
      await heard.first;
      host.send(frame(2, 1));
      const reader = caller.frames()[Symbol.asyncIterator]();
      await reader.next();
      const broken = failureOf(reader.next());
      await cut();
      expect((await broken).code).toBe('peer-gone');
      await heard.over;
      expect(heard.said.at(-1)).toBe('peer-gone');
      expect(() => {
        for (let i = 0; i < 10; i++) caller.send(frame(10));
      }).toThrow('peer-gone');
    });
  });
}
