/** What a light ledger tells of itself, and when it warns. */
import { toHex } from '../../base/bytes.ts';
import { blockHeader, type Genesis } from '../../protocol/block.ts';
import type { TwoCertified } from '../../protocol/certified-header.ts';
import type { Suite } from '../../protocol/suite.ts';
import type { LightClient } from './client.ts';
import { conflicts } from './headers.ts';
import type { LightLedgerOptions, LightReport } from './ledger.ts';
import type { LightPeersReport } from './peers.ts';

/** Longest time without an answer that holds before it is told, milliseconds. */
const WARN_AFTER_MS = 60_000;
/** Parts of a channel's closing delay that may pass without one. */
const WARN_WITHIN_DELAY = 4;
/** Rounds of asking that may fail before it is told. */
const WARN_ROUNDS = 3;

/** How long nobody may prove own records before that is told, milliseconds. */
export function patienceOf({ parameters }: Genesis, { pollIntervalMs }: LightLedgerOptions): number {
  const delayMs = parameters.closeDelayBlocks * parameters.blockIntervalMs;
  return Math.max(WARN_ROUNDS * pollIntervalMs, Math.min(WARN_AFTER_MS, delayMs / WARN_WITHIN_DELAY));
}

/** What is reported on, besides what the client knows. */
export interface Reported {
  readonly proved: {
    readonly height: number;
    readonly atMs: number | undefined;
    readonly fault: string | undefined;
  };
  readonly patienceMs: number;
  readonly channels: number;
}

/** The report at `parts.nowMs`, monotonic. */
export function reportOf(
  parts: { readonly client: LightClient; readonly suite: Suite; readonly nowMs: number },
  { proved, patienceMs, channels }: Reported,
): LightReport {
  const { client, suite, nowMs } = parts;
  const ago = proved.atMs === undefined ? undefined : Math.round(nowMs - proved.atMs);
  const evidence = client.evidence();
  const { latest, untilMs } = client.consensus;
  const peers = client.peers();
  const warning = warningOf(ago, { proved, patienceMs, peers });
  return {
    headerHeight: client.head().height,
    provedHeight: proved.height,
    ...(ago !== undefined && { provedAgoMs: ago }),
    peers,
    channels,
    ...(latest !== undefined && {
      consensus: {
        height: latest.height,
        hash: toHex(latest.hash),
        timeMs: latest.timeMs,
        validators: latest.voters.length,
        untilMs: untilMs ?? latest.timeMs,
      },
    }),
    ...(warning !== undefined && { warning }),
    ...(evidence && {
      evidence: [evidence.one, evidence.other].map(({ payload }) => toHex(suite.sha256(payload))),
    }),
    ...(evidence && conflicts(evidence) && { conflict: conflictOf(evidence) }),
  };
}

function conflictOf({ one }: TwoCertified): string {
  const { height } = blockHeader.decode(one.payload);
  return `Validators decided on two different blocks ${height}: of their keys, or of those that voted once, a third or more signed something false. This home goes on from the one that it followed`;
}

function warningOf(
  ago: number | undefined,
  {
    proved,
    patienceMs,
    peers,
  }: Pick<Reported, 'proved' | 'patienceMs'> & { readonly peers: LightPeersReport },
): string | undefined {
  const { connected, light } = peers;
  if (connected === 0) return 'No peer is connected: nothing is known of the latest blocks';
  if (ago !== undefined && ago <= patienceMs) return undefined;
  const fault = proved.fault === undefined ? '' : `: ${proved.fault}`;
  const why = light === connected ? lightOnly(connected) : fault;
  if (ago === undefined) return `No peer has proved anything yet${why}`;
  return `For ${Math.round(ago / 1000)} s no peer has proved own records${why}`;
}

function lightOnly(connected: number): string {
  const who =
    connected === 1 ? 'the only one that is connected follows' : `all ${connected} that are connected follow`;
  return `: ${who} the ledger lightly too. Start with \`--bootstrap ADDRESS\` of one that keeps all of it, such as a host, or with \`--ledger-mode full\` to keep it here`;
}
