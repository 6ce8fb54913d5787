/** A call's stream with somebody who sees every frame and changes nothing, unless the party is a rogue. */
import type { CallFrame, CallSink, CallStream } from '../../src/mesh/interface.ts';

/** Sees the frames of one end. */
export interface FrameWatcher {
  /** Before a frame is sent. What it returns is sent instead; `undefined`: nothing. */
  sending(frame: CallFrame): CallFrame | undefined;
  received(kind: number, body: Uint8Array): void;
}

/** `inner`, watched. */
export function watchStream(inner: CallStream, watcher: FrameWatcher): CallStream {
  return {
    get peerId() {
      return inner.peerId;
    },
    get peerCertificate() {
      return inner.peerCertificate;
    },
    get signal() {
      return inner.signal;
    },
    send(frame) {
      const passed = watcher.sending(frame);
      return passed === undefined ? true : inner.send(passed);
    },
    writable: (options) => inner.writable(options),
    async *frames() {
      for await (const frame of inner.frames()) {
        watcher.received(frame.kind, frame.body);
        yield frame;
      }
    },
    consume(sink: CallSink) {
      inner.consume({
        frame(kind, body) {
          watcher.received(kind, body);
          sink.frame(kind, body);
        },
        end: () => sink.end(),
        fail: (error) => sink.fail(error),
      });
    },
    end: () => inner.end(),
    fail: (error) => inner.fail(error),
    cancel: () => inner.cancel(),
  };
}
