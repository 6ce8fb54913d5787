/** Runs `spec/vectors/mesh.json`: frames, exchange messages and message ids that any implementation must agree on. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { messageId } from '../../src/mesh/gossip-settings.ts';
import { ExchangeReader } from '../../src/protocol/exchange.ts';
import { FrameDecoder, type FrameSink } from '../../src/protocol/frames.ts';

interface Vectors {
  readonly given: { readonly bodyBytesMax: number };
  readonly valid: readonly {
    readonly name: string;
    readonly bytes: string;
    readonly frames: readonly Record<string, unknown>[];
  }[];
  readonly exchange: readonly {
    readonly name: string;
    readonly bytes: string;
    readonly type: number;
    readonly body: string;
  }[];
  readonly messageIds: readonly {
    readonly topic: string;
    readonly author: string;
    readonly data: string;
    readonly id: string;
  }[];
  readonly invalid: readonly { readonly name: string; readonly bytes: string; readonly code: string }[];
}

const file = new URL('../../spec/vectors/mesh.json', import.meta.url);
const vectors: Vectors = JSON.parse(readFileSync(file, 'utf8'));

function bytesOf(hex: string): Uint8Array {
  return fromHex(hex) ?? expect.fail(`not hexadecimal: ${hex}`);
}

function read(bytes: Uint8Array, pieceBytes: number): Record<string, unknown>[] {
  const frames: Record<string, unknown>[] = [];
  const sink: FrameSink = {
    hello: (hello) =>
      frames.push({ type: 'hello', hello: { ...hello, certificate: toHex(hello.certificate) } }),
    open: (call) => frames.push({ type: 'open', call }),
    data: (call, kind, body) => frames.push({ type: 'data', call, kind, body: toHex(body) }),
    end: (call) => frames.push({ type: 'end', call }),
    fail: (call, failure) => frames.push({ type: 'fail', call, failure }),
    cancel: (call) => frames.push({ type: 'cancel', call }),
    credit: (call, count) => frames.push({ type: 'credit', call, bytes: count }),
    goAway: (lastCall, reason) => frames.push({ type: 'goAway', lastCall, reason }),
    ping: (token) => frames.push({ type: 'ping', token }),
    pong: (token) => frames.push({ type: 'pong', token }),
  };
  const decoder = new FrameDecoder(vectors.given);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    decoder.push(bytes.subarray(at, at + pieceBytes), sink);
  }
  decoder.finish();
  return frames;
}

describe('mesh vectors', () => {
  it.each(vectors.valid)('MESH-20 MESH-21: $name', ({ bytes, frames }) => {
    for (const piece of [1, 3, 1_000_000]) expect(read(bytesOf(bytes), piece)).toEqual(frames);
  });

  it.each(vectors.invalid)('MESH-22 MESH-23 MESH-24 MESH-25: $name', ({ bytes, code }) => {
    for (const piece of [1, 7, 1_000_000]) {
      try {
        read(bytesOf(bytes), piece);
        expect.fail('must be refused');
      } catch (error) {
        expect(error).toBeInstanceOf(SaharaError);
        expect(error).toMatchObject({ code });
      }
    }
  });

  it.each(vectors.exchange)('MESH-50: $name', ({ bytes, type, body }) => {
    for (const piece of [1, 1_000]) {
      const reader = new ExchangeReader([1, 2, 3], 1_000);
      const whole = bytesOf(bytes);
      let message: { type: number; body: Uint8Array } | undefined;
      for (let at = 0; at < whole.length; at += piece) message = reader.push(whole.subarray(at, at + piece));
      expect([message?.type, toHex(message?.body ?? new Uint8Array(1))]).toEqual([type, body]);
    }
  });

  it.each(vectors.messageIds)('MESH-15: the id of a message on $topic', ({ topic, author, data, id }) => {
    expect(toHex(messageId(topic, bytesOf(author), bytesOf(data)))).toBe(id);
  });
});
