/** Encryption under streams that carry many small messages. */
import type { ConnectionEncrypter, MessageStream } from '@libp2p/interface';

type Pieces = Exclude<Parameters<MessageStream['send']>[0], Uint8Array>;

/** How the library's streams hand on what they are told to send. */
interface Sending {
  sendData(data: Pieces): unknown;
}

/**
 * `encrypter` whose connections encrypt and write what is sent at once as one piece. A frame of yamux is a head and a
 * body; the library encrypts and writes each by itself, the body a turn of the event loop later, and the other side
 * wakes up for each.
 */
export function inOneWrite<Components>(
  encrypter: (components: Components) => ConnectionEncrypter,
): (components: Components) => ConnectionEncrypter {
  return (components) => {
    const inner = encrypter(components);
    const { secureOutbound, secureInbound } = inner;
    inner.secureOutbound = async (stream, options) =>
      joined(await secureOutbound.call(inner, stream, options));
    inner.secureInbound = async (stream, options) => joined(await secureInbound.call(inner, stream, options));
    return inner;
  };
}

function joined<Secured extends { readonly connection: MessageStream }>(secured: Secured): Secured {
  const sending = secured.connection as MessageStream & Partial<Sending>;
  const { sendData } = sending;
  if (sendData === undefined) return secured;
  sending.sendData = (data) => {
    const whole = data.subarray();
    data.consume(data.byteLength);
    data.append(whole);
    return sendData.call(sending, data);
  };
  return secured;
}
