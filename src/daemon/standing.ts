/** Standing in the daemon: who counts what the mesh sees, and the question by which peers hear what is thought of them. */
import type { StandingBook } from '../agent/standing.ts';
import { peerName } from '../agent/standing-names.ts';
import { answerStanding, askStanding, type CallerLimits } from '../agent/standing-service.ts';
import { equalBytes } from '../base/bytes.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { PeerConduct } from '../mesh/interface.ts';
import type { PublicKey } from '../protocol/ids.ts';
import {
  STANDING_ANSWER_BYTES_MAX,
  STANDING_PROTOCOL,
  STANDING_QUESTION_BYTES_MAX,
  type StandingAnswer,
} from '../protocol/standing.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { Core } from './core.ts';

const CONCURRENCY = 32;
const TIMEOUT_MS = 5_000;

/** Counts for `book` what the mesh sees of peers. */
export function conductOf(book: StandingBook): PeerConduct {
  return {
    note: (peerId, fact) => book.note(peerName(peerId), fact),
    shareOf: (peerId) => book.shareOf(peerName(peerId)),
  };
}

/** Whether `caller` has an open channel to `payee`. */
export function channelOpen(ledger: Ledger, payee: PublicKey, caller: PublicKey): boolean {
  return ledger
    .channelsOf(caller)
    .some(
      (channel) =>
        channel.state === 'open' && equalBytes(channel.payer, caller) && equalBytes(channel.payee, payee),
    );
}

/** Answers peers that ask what is thought of them, until the returned function is called. */
export function serveStanding(
  core: Core,
  limitsOf: (peerId: string, caller: PublicKey) => CallerLimits,
): () => void {
  const { mesh, verifier, clock, network, standing } = core;
  const parts = { suite: nativeSuite, verifier, clock, network, peerId: mesh.peerId, standing, limitsOf };
  return mesh.serve(STANDING_PROTOCOL, {
    requestBytesMax: STANDING_QUESTION_BYTES_MAX,
    answerBytesMax: STANDING_ANSWER_BYTES_MAX,
    concurrencyMax: CONCURRENCY,
    handle: (body, from) => answerStanding(parts, body, from),
  });
}

/** Asks a peer what it thinks of this one. */
export function askPeer(core: Core, peerId: string, signal: AbortSignal): Promise<StandingAnswer> {
  const { mesh, clock, dice, network, operator } = core;
  const parts = { suite: nativeSuite, clock, dice, network, operator, peerId: mesh.peerId };
  const limits = { answerBytesMax: STANDING_ANSWER_BYTES_MAX, timeoutMs: TIMEOUT_MS };
  return askStanding(
    {
      ...parts,
      request: (to, body, options) => mesh.request(to, STANDING_PROTOCOL, body, { ...limits, ...options }),
    },
    peerId,
    { signal },
  );
}
