import { once } from 'node:events';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { encodeFrame, FrameReader } from '../../src/ledger/engines/comet/frames.ts';
import { AbciClient, cometNetwork, DrivenLedger } from './comet-support.ts';

let driven: DrivenLedger | undefined;
afterEach(async () => {
  await driven?.close();
  driven = undefined;
});

test('ENG-11: messages are the same in whatever pieces they come', () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 });
  fc.assert(
    fc.property(pieces, fc.infiniteStream(fc.integer({ min: 1, max: 200 })), (messages, sizes) => {
      const stream = Buffer.concat(messages.map(encodeFrame));
      const reader = new FrameReader();
      const found: Uint8Array[] = [];
      for (let at = 0; at < stream.length; ) {
        const size = sizes.next().value ?? 1;
        found.push(...reader.take(stream.subarray(at, at + size)).map((one) => one.slice()));
        at += size;
      }
      expect(found.map((one) => Buffer.from(one).toString('hex'))).toEqual(
        messages.map((one) => Buffer.from(one).toString('hex')),
      );
    }),
  );
});

test('ENG-11: a large message is the same byte by byte, and what was handed out stays as it is', () => {
  const message = Uint8Array.from({ length: 2 * 1_048_576 }, (_, i) => i % 251);
  const next = new Uint8Array(300).fill(7);
  const reader = new FrameReader();
  const found: Uint8Array[] = [];
  for (const byte of Buffer.concat([encodeFrame(message), encodeFrame(next)]))
    found.push(...reader.take(Uint8Array.of(byte)));
  expect(found.length).toBe(2);
  expect(Buffer.compare(found[0] ?? next, message)).toBe(0);
  expect(found[1]).toEqual(next);
});

test('ENG-11: a length that is too large, or has no end, is refused before anything is held', () => {
  const tooLarge = encodeFrame(new Uint8Array(65)).subarray(0, 1);
  expect(() => new FrameReader(64).take(tooLarge)).toThrow(/frame of 65 bytes/);
  expect(() => new FrameReader().take(new Uint8Array(5).fill(255))).toThrow(/no end/);
  expect(new FrameReader(64).take(encodeFrame(new Uint8Array(64)))).toHaveLength(1);
});

test('ENG-11: answers come in the order of the requests, however many are under way', async () => {
  driven = await DrivenLedger.open(cometNetwork());
  const { client } = driven;
  const words = Array.from({ length: 1_000 }, (_, i) => `word ${i}`);
  const answers = await Promise.all(words.map((message) => client.ask({ echo: { message } })));
  expect(answers.map(({ echo }) => echo?.message)).toEqual(words);
});

test('ENG-11: who sends no request loses the connection, and others go on', async () => {
  driven = await DrivenLedger.open(cometNetwork());
  for (const garbage of [new Uint8Array(9).fill(255), encodeFrame(Uint8Array.of(0x0a, 0x7f))]) {
    const other = await AbciClient.connect(driven.ledger.abciAddress);
    const closed = once(other.socket, 'close');
    other.socket.write(garbage);
    await closed;
  }
  expect((await driven.client.ask({ echo: { message: 'here' } })).echo?.message).toBe('here');
});
