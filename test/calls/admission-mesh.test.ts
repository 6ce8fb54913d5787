/** What the mesh bounds for each peer and tells whoever keeps standing: CALL-130, MESH-36. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { createPeerDoor, type PeerDoor } from '../../src/mesh/door.ts';
import { CALL_OPENS_PER_SECOND_MAX, NEIGHBOUR_MESSAGES_PER_SECOND_MAX } from '../../src/mesh/limits.ts';
import { Session } from '../../src/mesh/session.ts';
import { FRAMES_VERSION, FrameWriter } from '../../src/protocol/frames.ts';

const HELLO = {
  version: FRAMES_VERSION,
  network: 'test-0000000000000000',
  bodyBytesMax: 65_536,
  windowBytes: 65_536,
  callsMax: 100,
  certificate: new Uint8Array(0),
};

/** A door with the standing of its peers, and what it told. */
function watched(share: (peerId: string) => number): { readonly door: PeerDoor; readonly told: string[] } {
  const told: string[] = [];
  const conduct = {
    note: (peerId: string, fact: string) => told.push(`${peerId} ${fact}`),
    shareOf: share,
  };
  return { door: createPeerDoor({ clock: { monotonicMs: () => 0 }, conduct }), told };
}

/** A session whose other side says what the test says. */
function session(
  peerId: string,
  door: PeerDoor,
): { readonly session: Session; readonly calls: () => number } {
  let calls = 0;
  const made = new Session(
    { pipe: { send: () => true, close: () => {} }, clock: systemClock, log: silentLog, peerId },
    {
      initiator: false,
      hello: HELLO,
      pingIntervalMs: 60_000,
      idleMs: 60_000,
      unread: () => true,
      onCall: () => calls++,
      mayOpen: () => door.call(peerId),
      onBroken: (error) => door.broke(peerId, 'stream-broken', error),
      onClosed: () => {},
    },
  );
  return { session: made, calls: () => calls };
}

describe('the door of the mesh', () => {
  it('CALL-130: tells of a stream that breaks the rules of frames, and of none that only ends', () => {
    const { door, told } = watched(() => 1);
    session('rude', door).session.receive(new Uint8Array(16));
    const polite = session('polite', door).session;
    const writer = new FrameWriter();
    writer.hello(HELLO);
    polite.receive(writer.take().slice());
    polite.onClosed();
    door.broke('old', 'stream-broken', new SaharaError('version-unsupported'));
    expect(told).toEqual(['rude stream-broken']);
  });

  it('MESH-36: counts the calls that a peer begins over all of its streams', () => {
    const { door, told } = watched((peerId) => (peerId === 'low' ? 4 / CALL_OPENS_PER_SECOND_MAX : 1));
    for (const peerId of ['low', 'good']) {
      const both = [session(peerId, door), session(peerId, door)];
      for (const one of both) {
        const writer = new FrameWriter();
        writer.hello(HELLO);
        for (let call = 1; call < 8; call += 2) writer.open(call);
        one.session.receive(writer.take().slice());
      }
      const begun = both.reduce((sum, one) => sum + one.calls(), 0);
      expect(begun).toBe(peerId === 'low' ? 4 : 8);
      for (const one of both) one.session.onClosed();
    }
    expect(told).toEqual(new Array(4).fill('low calls-refused'));
  });

  it('MESH-11: tells of a neighbour that hands over too much', () => {
    const { door, told } = watched(() => 1);
    const burst = 4 * NEIGHBOUR_MESSAGES_PER_SECOND_MAX;
    for (let i = 0; i < burst; i++) expect(door.gossip('loud')).toBe(true);
    expect(door.gossip('loud')).toBe(false);
    expect(door.gossip('quiet')).toBe(true);
    expect(told).toEqual(['loud gossip-excess']);
  });
});
