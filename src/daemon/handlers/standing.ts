/** `standing`: what others think of this peer, and what it thinks of them. */
import { callerName, peerName, subjectOf } from '../../agent/standing-names.ts';
import { viewOf } from '../../agent/standing-service.ts';
import { asSaharaError } from '../../base/errors.ts';
import { didOf, type PublicKey, peerIdBytes, publicKeyOf } from '../../protocol/ids.ts';
import type { StandingView } from '../../protocol/standing.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { StandingOfMe, StandingReport, StandingRow } from '../admin/types.ts';
import type { Running } from '../compose.ts';
import { askPeer } from '../standing.ts';

/** Peers that are asked when none is named. */
const ASKED_MAX = 16;
/** Peers and callers that are shown when none is named. */
const SHOWN_MAX = 100;

/** What others think of this peer, and what it thinks of them. */
export function standingHandlers(running: Running): Pick<AdminHandlers, 'standing'> {
  return {
    async standing({ of }, signal) {
      if (of === undefined) return everybody(running, signal);
      const { peers, callers } = await meant(running, of);
      const names = [...peers.map(peerName), ...callers.map(callerName)];
      return {
        ofMe: await ask(running, peers, signal),
        held: names.map((name) => rowOf(running, name)),
      };
    },
  };
}

async function everybody(running: Running, signal: AbortSignal): Promise<StandingReport> {
  const peers = running.mesh.peers().map(({ peerId }) => peerId);
  const held = running.standing.list(SHOWN_MAX).map(({ name }) => rowOf(running, name));
  return { ofMe: await ask(running, peers.slice(0, ASKED_MAX), signal), held };
}

/** The peers and keys of what somebody named: a peer id, a caller's DID, or an agent. */
async function meant(
  { directory, knownNames, mesh }: Running,
  of: string,
): Promise<{ readonly peers: readonly string[]; readonly callers: readonly PublicKey[] }> {
  const connected = mesh.peers().find(({ peerId }) => of.length >= 6 && peerId.endsWith(of));
  if (connected !== undefined) return { peers: [connected.peerId], callers: [] };
  if (/^(12D3Koo|Qm)/.test(of) && peerIdBytes(of) !== undefined) return { peers: [of], callers: [] };
  try {
    const { hosts, operator } = directory.find(of, await knownNames.of(of));
    return { peers: hosts.map(({ peerId }) => peerId), callers: [operator] };
  } catch (error) {
    const key = publicKeyOf(of);
    if (key === undefined) throw error;
    return { peers: [], callers: [key] };
  }
}

async function ask(
  running: Running,
  peers: readonly string[],
  signal: AbortSignal,
): Promise<readonly StandingOfMe[]> {
  const others = peers.filter((peerId) => peerId !== running.mesh.peerId);
  return Promise.all(
    others.map(async (peerId): Promise<StandingOfMe> => {
      try {
        const { stranger, peer, caller } = await askPeer(running, peerId, signal);
        const mine = didOf(running.wallet.publicKey);
        return {
          by: peerId,
          stranger,
          thinks: [shown('peer', running.mesh.peerId, peer), shown('caller', mine, caller)],
        };
      } catch (error) {
        const { code, facts } = asSaharaError(error);
        return { by: peerId, stranger: false, thinks: [], failure: { code, facts } };
      }
    }),
  );
}

function rowOf({ standing, agents, mesh, wallet }: Running, name: string): StandingRow {
  const subject = subjectOf(name);
  if (subject !== undefined && 'caller' in subject) {
    const { caller } = agents.limitsOf(mesh.peerId, subject.caller);
    return shown('caller', didOf(subject.caller), viewOf(standing.of(name), caller));
  }
  const peerId = subject?.peerId ?? name;
  const { peer } = agents.limitsOf(peerId, wallet.publicKey);
  return shown('peer', peerId, viewOf(standing.of(name), peer));
}

function shown(kind: StandingRow['kind'], subject: string, view: StandingView): StandingRow {
  const { step, points, facts, limits, betterAfterMs, betterAfterCalls } = view;
  return {
    kind,
    subject,
    step,
    points,
    facts,
    limits,
    ...(betterAfterMs !== undefined && { betterAfterMs }),
    ...(betterAfterCalls !== undefined && { betterAfterCalls }),
  };
}
