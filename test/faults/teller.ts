/**
 * A model that tells numbered sentences, over the wire of real ones. The question says how many and how far apart:
 * "Tell 40 sentences, 5 ms apart." The same question gives the same words, so a receipt's units can be foretold.
 */
import { type Endpoint, openStream, sendPiece, startEndpoint } from '../agent/endpoint.ts';

/** The question for so many sentences. */
export function tellMe(sentences: number, apartMs = 0, about = 'sand'): string {
  return `Tell ${sentences} sentences about ${about}, ${apartMs} ms apart.`;
}

/** The `i`th sentence that is told, from 1. */
export function sentence(i: number): string {
  return `Sentence ${i} is about a camel that walks. `;
}

/** Starts the model on loopback. */
export function startTeller(): Promise<Endpoint> {
  return startEndpoint(async (response, { body }) => {
    const asked = body.messages.at(-1)?.content ?? '';
    const [, count = '1', apartMs = '0'] = /Tell (\d+) sentences.*?(\d+) ms apart/s.exec(asked) ?? [];
    openStream(response);
    for (let i = 1; i <= Number(count) && !response.destroyed; i++) {
      if (Number(apartMs) > 0) await new Promise((resolve) => setTimeout(resolve, Number(apartMs)));
      sendPiece(response, sentence(i));
    }
    sendPiece(response, undefined, 'stop');
    response.end('data: [DONE]\n\n');
  });
}
