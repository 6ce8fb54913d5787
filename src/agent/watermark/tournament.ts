/**
 * A mark in the choice of words, after the tournament of SynthID-Text (Dathathri et al., Nature 634, 2024). In each step
 * a secret key and the three tokens before give every candidate ten random bits; ten rounds move probability towards
 * candidates whose bit is 1. Over all keys every candidate keeps its probability, so no word is preferred as such; for
 * one key the bits of what was chosen are ones more often than by chance, and whoever has the key can count them.
 */
import { createHmac, hash } from 'node:crypto';
import { utf8 } from '../../base/bytes.ts';
import { type Candidate, drawToken, type TokenChooser } from '../llama/sampler.ts';

/** Rounds of the tournament: bits for each token. */
export const MARK_LAYERS = 10;
/** Tokens before a token on which its bits depend. */
export const MARK_CONTEXT = 3;
/** Candidates that take part; the rest of the probability is small. */
export const MARK_CANDIDATES = 64;

const DOMAIN = utf8('sahara/1/watermark');

/** The bits of tokens behind one context: bit `l` of the answer belongs to round `l`. `context` has `MARK_CONTEXT` tokens. */
export function markBits(key: Uint8Array, context: readonly number[]): (token: number) => number {
  const here = createHmac('sha256', key).update(DOMAIN).update(words(context)).digest();
  const input = Buffer.concat([here, new Uint8Array(4)]);
  return (token) => {
    // Both parts have one length, so a plain hash of the secret before the token is as good as an HMAC, and faster.
    input.writeUInt32BE(token, here.length);
    return hash('sha256', input, 'buffer').readUInt16BE(0) & (2 ** MARK_LAYERS - 1);
  };
}

function words(tokens: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * tokens.length);
  const view = new DataView(bytes.buffer);
  tokens.forEach((token, i) => {
    view.setUint32(4 * i, token);
  });
  return bytes;
}

/** Probabilities after the tournament: each round gives a candidate's own times 1 + its bit - what the ones have together. */
export function playTournament(
  candidates: readonly Candidate[],
  bits: (token: number) => number,
): readonly Candidate[] {
  const drawn = candidates.map(({ token }) => bits(token));
  let chances = candidates.map(({ probability }) => probability);
  for (let layer = 0; layer < MARK_LAYERS; layer++) {
    const won = drawn.map((own) => (own >>> layer) & 1);
    const ones = chances.reduce((sum, chance, i) => sum + (won[i] === 1 ? chance : 0), 0);
    chances = chances.map((chance, i) => chance * (1 + (won[i] ?? 0) - ones));
  }
  return candidates.map(({ token }, i) => ({ token, probability: chances[i] ?? 0 }));
}

/**
 * Chooses tokens so that they carry the mark of `key`. One for each answer: behind a context that the answer had before
 * it draws without a mark, since the same bits again would make text repeat itself and say nothing new to a detector.
 */
export function createMarkChooser(key: Uint8Array): TokenChooser {
  const seen = new Set<string>();
  return (candidates, context) => {
    const before = context.tokens.slice(-MARK_CONTEXT);
    const name = before.join(' ');
    if (candidates.length < 2 || before.length < MARK_CONTEXT || seen.has(name)) {
      return drawToken(candidates, context);
    }
    seen.add(name);
    const first = candidates.slice(0, MARK_CANDIDATES);
    const share = first.reduce((sum, { probability }) => sum + probability, 0);
    const playing = first.map(({ token, probability }) => ({ token, probability: probability / share }));
    return drawToken(playTournament(playing, markBits(key, before)), context);
  };
}
