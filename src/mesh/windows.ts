/** The flow control of yamux under a stream that carries many small messages. */
import type { Stream } from '@libp2p/interface';
import { StreamState, YamuxStream } from '@libp2p/yamux/stream';

/** What a stream of yamux keeps to itself, in bytes: its window, and how much more of it the other side may send. */
interface Window {
  readonly recvWindow: number;
  readonly recvWindowCapacity: number;
}

/**
 * Has a stream say how much more it takes once half of its window is used up, as other yamux do. The library says so
 * after every frame: one write more, and one wake-up of the other side, for each message that is read.
 */
export function patientWindow(stream: Stream): void {
  if (!(stream instanceof YamuxStream)) return;
  const update = stream.sendWindowUpdate;
  stream.sendWindowUpdate = () => {
    // Private to its class, and nowhere else to be had.
    const { recvWindow, recvWindowCapacity } = stream as unknown as Window;
    // Before a stream is established an update also carries the answer to its opening.
    if (stream.state === StreamState.Established && recvWindowCapacity * 2 > recvWindow) return;
    update.call(stream);
  };
}
