import { afterEach, describe, expect, it } from 'vitest';
import { fromUtf8, toHex, utf8 } from '../../src/base/bytes.ts';
import { createBans } from '../../src/mesh/bans.ts';
import { messageId } from '../../src/mesh/gossip-settings.ts';
import type { Mesh, TopicHandler, Verdict } from '../../src/mesh/interface.ts';
import { PUBLISH_BURST_MAX, VALIDATIONS_MAX } from '../../src/mesh/limits.ts';
import { createBucket } from '../../src/mesh/rate.ts';
import { createStandings } from '../../src/mesh/standing.ts';
import { topicName } from '../../src/mesh/topics.ts';
import { addressOf, createFleet, createToldClock, failureOf, until } from './support.ts';

const fleet = createFleet();
afterEach(() => fleet.stop());

const TOPIC = topicName('local', 'adverts');

function listening(
  validate: (text: string) => Verdict | Promise<Verdict> = () => 'accept',
): TopicHandler & { readonly judged: string[]; readonly got: string[] } {
  const judged: string[] = [];
  const got: string[] = [];
  return {
    judged,
    got,
    sizeBytesMax: 1_000,
    validate(message) {
      const text = fromUtf8(message) ?? '';
      judged.push(text);
      return validate(text);
    },
    deliver: (message) => got.push(fromUtf8(message) ?? ''),
  };
}

/** A line of nodes: each knows only its neighbours, so what the ends share was passed on. */
async function line(count: number): Promise<Mesh[]> {
  const nodes: Mesh[] = [];
  for (let i = 0; i < count; i++) {
    const node = await fleet.start({ peersTarget: 0 });
    const before = nodes[i - 1];
    if (before) await node.connect(addressOf(before));
    nodes.push(node);
  }
  return nodes;
}

async function publishUntil(mesh: Mesh, text: () => string, arrived: () => boolean): Promise<void> {
  await until(async () => {
    await mesh.publish(TOPIC, utf8(text()));
    await new Promise((resolve) => setTimeout(resolve, 50));
    return arrived();
  });
}

describe('gossip', () => {
  it('MESH-10: accepted messages travel on, rejected and ignored ones stop where they were judged', async () => {
    const [a, b, c] = await line(3);
    if (!a || !b || !c) throw new Error('three nodes');
    const middle = listening((text) =>
      text.startsWith('ok') ? 'accept' : text === 'no' ? 'reject' : 'ignore',
    );
    const end = listening();
    a.subscribe(TOPIC, listening());
    b.subscribe(TOPIC, middle);
    c.subscribe(TOPIC, end);
    let beat = 0;
    await publishUntil(
      a,
      () => `ok ${beat++}`,
      () => end.got.length > 0,
    );
    await a.publish(TOPIC, utf8('no'));
    await a.publish(TOPIC, utf8('hm'));
    const last = `ok ${beat + 1}`;
    await a.publish(TOPIC, utf8(last));
    await until(() => end.got.includes(last));
    expect(middle.judged).toEqual(expect.arrayContaining(['no', 'hm']));
    expect(middle.got.filter((text) => !text.startsWith('ok'))).toEqual([]);
    expect(end.judged.filter((text) => !text.startsWith('ok'))).toEqual([]);
    expect(new Set(end.got).size).toBe(end.got.length);
  });

  it('MESH-11: sizes and rates are limited before anything leaves', async () => {
    const a = await fleet.start();
    a.subscribe(TOPIC, listening());
    expect(await failureOf(a.publish(TOPIC, new Uint8Array(1_001)))).toBe('too-large');
    const outcomes = await Promise.all(
      Array.from({ length: 4 * PUBLISH_BURST_MAX }, (_, i) => failureOf(a.publish(TOPIC, utf8(`${i}`)))),
    );
    expect(outcomes.filter((code) => code === 'rate-limited').length).toBeGreaterThan(0);
    expect(outcomes.slice(0, PUBLISH_BURST_MAX).every((code) => code === 'none')).toBe(true);
  });

  it('MESH-12: only topics of the allow-list can be joined', async () => {
    const a = await fleet.start();
    expect(() => a.subscribe('/sahara/1/local/anything', listening())).toThrow(/allow-list/);
  });

  it('MESH-13: a peer that sends what is rejected is disconnected and kept out', async () => {
    const good = await fleet.start({ peersTarget: 0, banMs: 60_000 });
    const bad = await fleet.start({ peersTarget: 0 });
    good.subscribe(
      TOPIC,
      listening(() => 'reject'),
    );
    bad.subscribe(TOPIC, listening());
    await bad.connect(addressOf(good));
    let beat = 0;
    await publishUntil(
      bad,
      () => `bad ${beat++}`,
      () => good.peers().length === 0,
    );
    // The dial itself may seem to work: the refusal comes after the handshake.
    await bad.connect(addressOf(good)).catch(() => {});
    await until(() => bad.peers().length === 0);
    expect(good.peers()).toEqual([]);
  });

  it('MESH-14: no more validations run than allowed; the rest is ignored without blame', async () => {
    const [a, b] = await line(2);
    if (!a || !b) throw new Error('two nodes');
    let running = 0;
    let most = 0;
    const release = Promise.withResolvers<void>();
    const slow: TopicHandler & { got: string[] } = {
      got: [],
      sizeBytesMax: 1_000,
      async validate(message): Promise<Verdict> {
        if (fromUtf8(message)?.startsWith('hello')) return 'accept';
        most = Math.max(most, ++running);
        await release.promise;
        running--;
        return 'accept';
      },
      deliver: (message) => slow.got.push(fromUtf8(message) ?? ''),
    };
    a.subscribe(TOPIC, listening());
    b.subscribe(TOPIC, slow);
    let beat = 0;
    await publishUntil(
      a,
      () => `hello ${beat++}`,
      () => slow.got.length > 0,
    );
    const flood = VALIDATIONS_MAX + 40;
    for (let i = 0; i < flood; i++) await a.publish(TOPIC, utf8(`flood ${i}`));
    await until(() => most === VALIDATIONS_MAX);
    release.resolve();
    await until(() => running === 0);
    await publishUntil(
      a,
      () => `hello again ${beat++}`,
      () => slow.got.some((text) => text.startsWith('hello again')),
    );
    expect(most).toBe(VALIDATIONS_MAX);
    expect(slow.got.filter((text) => text.startsWith('flood')).length).toBeLessThanOrEqual(VALIDATIONS_MAX);
    expect(b.peers()).toHaveLength(1);
  });

  it('MESH-15: the message id frames the topic, the author and the data', () => {
    const id = (topic: string, author: string, data: string): string =>
      toHex(messageId(topic, utf8(author), utf8(data)));
    expect(new Set([id('ab', '', 'c'), id('a', 'b', 'c'), id('a', '', 'bc'), id('a', 'bc', '')]).size).toBe(
      4,
    );
    expect(id('a', 'b', 'c')).toBe(id('a', 'b', 'c'));
    expect(id('/sahara/1/local/adverts', 'me', 'x')).toBe(
      'df1d25912e037388b468028b305db8e77792a26136e50dc2a0f6195aba54d8f2',
    );
  });

  it('sixteen nodes behind one address hear each other', { timeout: 60_000 }, async () => {
    const hub = await fleet.start({ peersTarget: 0 });
    const nodes = [hub];
    for (let i = 1; i < 16; i++)
      nodes.push(await fleet.start({ peersTarget: 0, bootstrap: [addressOf(hub)] }));
    await until(() => hub.peers().length === 15);
    const ears = nodes.map((node) => {
      const ear = listening();
      node.subscribe(TOPIC, ear);
      return ear;
    });
    const last = nodes[15];
    if (!last) throw new Error('sixteen nodes');
    let beat = 0;
    await publishUntil(
      last,
      () => `beat ${beat++}`,
      () => ears.slice(0, 15).every((ear) => ear.got.length > 0),
    );
    expect(hub.peers()).toHaveLength(15);
  });
});

describe('standing', () => {
  it('forgives by halves and forgets the oldest', () => {
    const clock = createToldClock();
    const standings = createStandings({ clock });
    standings.penalise('a', 8);
    expect(standings.scoreOf('a')).toBe(-8);
    clock.advance(60_000);
    expect(standings.scoreOf('a')).toBeCloseTo(-4);
    standings.penalise('a', 4);
    expect(standings.scoreOf('a')).toBeCloseTo(-8);
    clock.advance(3_600_000);
    expect(standings.scoreOf('a')).toBeCloseTo(0);
    expect(standings.scoreOf('b')).toBeCloseTo(0);
  });

  it('bans end', () => {
    const clock = createToldClock();
    const bans = createBans({ clock }, { banMs: 1_000 });
    bans.add('a');
    expect([bans.has('a'), bans.has('b')]).toEqual([true, false]);
    clock.advance(1_000);
    expect(bans.has('a')).toBe(false);
    for (let i = 0; i < 2_000; i++) bans.add(`p${i}`);
    expect([bans.has('p0'), bans.has('p1999')]).toEqual([false, true]);
  });

  it('buckets give what they hold, then what flows in', () => {
    const bucket = createBucket({ ratePerSecond: 10, burst: 3, nowMs: 0 });
    expect([1, 2, 3, 4].map(() => bucket.take(0))).toEqual([true, true, true, false]);
    expect(bucket.waitMs(0)).toBe(100);
    expect([bucket.take(99), bucket.take(100)]).toEqual([false, true]);
    expect([bucket.take(10_000), bucket.waitMs(10_000)]).toEqual([true, 0]);
  });
});
