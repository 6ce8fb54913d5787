/** `network.*`: by which rules the network goes, and this operator's vote about it. */
import { SaharaError } from '../../base/errors.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { ONLY, stateKey } from '../../ledger/records.ts';
import { RULES } from '../../ledger/records-rules.ts';
import { RULES_KNOWN, rulesFrom } from '../../ledger/rules.ts';
import { didOf } from '../../protocol/ids.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { RulesReport } from '../admin/methods-network.ts';
import type { Running } from '../compose.ts';

type NetworkNames = Extract<keyof AdminHandlers, `network.${string}`>;

/** Reads of the rules, and votes about them. */
export function networkHandlers({
  ledger,
  wallet,
}: Pick<Running, 'ledger' | 'wallet'>): Pick<AdminHandlers, NetworkNames> {
  return {
    'network.rules': async (_input, signal) => rulesOf(ledger, signal),
    'network.approve': async ({ version, height }, signal) => {
      if (version > RULES_KNOWN)
        throw new SaharaError('upgrade-needed', { height, version, known: RULES_KNOWN });
      await wallet.send({ type: 'approve-upgrade', version, height }, { signal });
      return rulesOf(ledger, signal);
    },
  };
}

async function rulesOf(
  ledger: Pick<Ledger, 'mode' | 'prove' | 'stateProof' | 'head'>,
  signal: AbortSignal,
): Promise<RulesReport> {
  const key = stateKey(RULES, ONLY);
  const light = ledger.mode === 'light';
  const entry = light ? (await ledger.prove([key], { signal })).entries[0] : ledger.stateProof(key);
  return rulesReport(entry?.value, ledger.head().height);
}

/** What the stored rules say, in the admin API's words. */
export function rulesReport(stored: Uint8Array | undefined, height: number): RulesReport {
  const { version, plan, approvals } = rulesFrom(stored);
  return {
    version,
    known: RULES_KNOWN,
    height,
    ...(plan && { plan: { version: plan.version, height: plan.height } }),
    approvals: approvals.map((one) => ({ did: didOf(one.did), version: one.version, height: one.height })),
  };
}
