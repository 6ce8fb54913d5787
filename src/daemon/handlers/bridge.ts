/** `bridge.*`: bots on chat platforms, and what a person allows a bot of somebody else. */
import { SaharaError } from '../../base/errors.ts';
import { GRANT_TYPE, grantText, linkGrant, readCode } from '../../bridges/core/grant.ts';
import { didOf } from '../../protocol/ids.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { Bridges } from '../bridges.ts';
import type { Core } from '../core.ts';

type BridgeNames = Extract<keyof AdminHandlers, `bridge.${string}`>;

const DAY_MS = 86_400_000;

/** Bots on chat platforms. */
export function bridgeHandlers(
  running: Pick<Core, 'network' | 'clock' | 'operator'> & { readonly bridges: Bridges },
): Pick<AdminHandlers, BridgeNames> {
  const { bridges, network, clock, operator } = running;
  return {
    'bridge.list': async () => bridges.rows(),
    'bridge.set': async ({ platform, token }) => ({ platform, ...(await bridges.set(platform, token)) }),
    'bridge.check': async ({ platform }) => ({ platform, ...(await bridges.check(platform)) }),
    async 'bridge.remove'({ platform }) {
      await bridges.remove(platform);
      return bridges.rows();
    },
    async 'bridge.link'({ code, callMax, dayMax, max, days }) {
      const asked = readCode(code);
      if (asked.network !== network) throw new SaharaError('network-mismatch', { found: asked.network });
      const issuedAtMs = clock.nowMs();
      const expiresAtMs = issuedAtMs + days * DAY_MS;
      const payload = linkGrant.encode({
        ...asked,
        did: operator.publicKey,
        callMax: BigInt(callMax),
        dayMax: BigInt(dayMax),
        max: BigInt(max),
        issuedAtMs,
        expiresAtMs,
      });
      const grant = grantText(await operator.sign(GRANT_TYPE, payload));
      return { grant, bridge: didOf(asked.bridge), user: asked.user, expiresAtMs };
    },
  };
}
