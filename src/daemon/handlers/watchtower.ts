/** `watchtower.*`: watching lanes for others, and being watched. */
import { toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { WatchedLane } from '../../payment/watch-records.ts';
import { didOf } from '../../protocol/ids.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { WatchedRow, WatchtowerReport } from '../admin/methods-watchtower.ts';
import type { Watchtowers } from '../watchtowers.ts';

const ROWS_MAX = 256;
const PEER = /^(?:(?:\/[^/\s]+)+\/p2p\/)?[1-9A-HJ-NP-Za-km-z]{40,64}$/;

type WatchtowerNames = Extract<keyof AdminHandlers, `watchtower.${string}`>;

/** What this peer watches for others, and who watches for it. */
export function watchtowerHandlers({
  watchtowers,
}: {
  readonly watchtowers: Watchtowers;
}): Pick<AdminHandlers, WatchtowerNames> {
  return {
    'watchtower.status': async () => reportOf(watchtowers),
    async 'watchtower.serve'({ on }) {
      await watchtowers.serve(on);
      return reportOf(watchtowers);
    },
    async 'watchtower.use'({ peer }, signal) {
      if (peer !== undefined && !PEER.test(peer)) {
        throw new SaharaError('usage', {
          reason: `"${peer}" is no peer: say an address such as /ip4/203.0.113.7/tcp/4101/p2p/12D3Koo..., a peer id, or none`,
        });
      }
      await watchtowers.use(peer, { signal });
      return reportOf(watchtowers);
    },
  };
}

function reportOf(watchtowers: Watchtowers): WatchtowerReport {
  const { serving, using } = watchtowers.state();
  return {
    ...(serving && {
      serving: {
        lanes: serving.lanes.length,
        payees: new Set(serving.lanes.map(({ payee }) => toHex(payee))).size,
        claims: serving.claimed.claims,
        paid: String(serving.claimed.paid),
        watched: [...serving.lanes]
          .sort((a, b) => a.sinceMs - b.sinceMs)
          .slice(0, ROWS_MAX)
          .map(rowOf),
      },
    }),
    ...(using && {
      using: {
        peer: using.peer,
        ...(using.lastAtMs !== undefined && { lastAtMs: using.lastAtMs }),
        ...(using.failure !== undefined && { failure: using.failure }),
        refused: using.refused.map(({ channel, verdict }) => ({ channel: toHex(channel), verdict })),
      },
    }),
  };
}

function rowOf({ channel, lane, payee, payer, sinceMs, ceiling, total }: WatchedLane): WatchedRow {
  return {
    channel: toHex(channel),
    lane,
    payee: didOf(payee),
    payer: didOf(payer),
    promised: String(total < ceiling ? total : ceiling),
    sinceMs,
  };
}
