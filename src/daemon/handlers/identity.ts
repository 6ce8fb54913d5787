/** Identities: who signs, who may recover, what was certified and taken back. */
import { toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Inclusion } from '../../ledger/ledger.ts';
import { didOf, type PublicKey } from '../../protocol/ids.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { PolicyInput } from '../admin/methods-identity.ts';
import type { IdentityReply, IdentityReport, RevocationReply } from '../admin/types-identity.ts';
import { adopt } from '../adoption.ts';
import { subjectOf } from '../certificates.ts';
import type { Running } from '../compose.ts';
import { issueCredential } from '../credentials.ts';
import {
  cancelRecovery,
  didsOf,
  exportNext,
  finishRecovery,
  identityNow,
  keysHere,
  register,
  requestRecovery,
  rotate,
  serialOf,
  voteForRecovery,
} from '../identity.ts';

type IdentityNames = Extract<keyof AdminHandlers, `identity.${string}` | `credential.${string}`>;

const DAY_MS = 86_400_000;

/** The identity of this operator, and what it may do about others. */
export function identityHandlers(running: Running): Pick<AdminHandlers, IdentityNames> {
  const own = running.key.publicKey;
  const didOr = (text: string | undefined): PublicKey => (text === undefined ? own : didIn(text));
  const reply = async (did: PublicKey, inclusion: Inclusion): Promise<IdentityReply> => ({
    identity: await report(running, did),
    transaction: toHex(inclusion.id),
    height: inclusion.height,
  });
  return {
    'identity.show': ({ did }) => report(running, didOr(did)),
    'identity.init': async (input, signal) =>
      reply(own, await register(running, policyIn(input), { signal })),
    'identity.rotate': async ({ nextKey, ...input }, signal) => {
      const policy = Object.values(input).every((value) => value === undefined) ? undefined : policyIn(input);
      return reply(own, await rotate(running, { policy, nextKey }, { signal }));
    },
    async 'identity.request'({ did }) {
      const { request, key } = await requestRecovery(running, didOr(did));
      return { request, key: didOf(key) };
    },
    async 'identity.recover'({ did, request }, signal) {
      const whose = didIn(did);
      return reply(whose, await voteForRecovery(running, { did: whose, request }, { signal }));
    },
    'identity.cancel': async (_, signal) => reply(own, await cancelRecovery(running, { signal })),
    'identity.finish': async ({ did }, signal) =>
      reply(didIn(did), await finishRecovery(running, didIn(did), { signal })),
    async 'identity.adopt'({ did }, signal) {
      const adopted = await adopt(running, didIn(did), { signal });
      running.askToRestart();
      return adopted;
    },
    async 'identity.exportNext'({ file }) {
      return { key: didOf(await exportNext(running, file)), file };
    },
    'identity.revoke': ({ what }, signal) => revoke(running, what, signal),
    async 'identity.certify'({ subject, capabilities, roles = [], days }) {
      const order = { subject: subjectOf(subject), capabilities, roles, lifeMs: days * DAY_MS };
      const { stated, chain } = await running.certificates.issue(order);
      return {
        serial: toHex(stated.serial),
        subject,
        capabilities,
        notAfterMs: stated.notAfterMs,
        chain: Buffer.from(chain).toString('base64'),
      };
    },
    'credential.issue': ({ asset, subject, days }, signal) =>
      issueCredential(running, { asset, subject: didOr(subject), lifeMs: days * DAY_MS }, { signal }),
  };
}

/** A DID out of a text. Throws `usage`. */
function didIn(text: string): PublicKey {
  const [did] = didsOf([text]);
  if (did === undefined) throw new SaharaError('usage', { reason: `${text} is not a DID` });
  return did;
}

function policyIn({ guardians, threshold, delayBlocks }: PolicyInput): Parameters<typeof register>[1] {
  return {
    ...(guardians !== undefined && { guardians: didsOf(guardians) }),
    ...(threshold !== undefined && { threshold }),
    ...(delayBlocks !== undefined && { delayBlocks }),
  };
}

async function report(running: Running, did: PublicKey): Promise<IdentityReport> {
  const { ledger, key } = running;
  // Where nobody proves the newest, what was read last is told.
  const known = await identityNow(ledger, did).catch(() => ledger.read(({ identity }) => identity(did)));
  const mine = didOf(did) === didOf(key.publicKey);
  return {
    did: didOf(did),
    mine,
    registered: known !== undefined,
    key: didOf(known?.key ?? did),
    retired: (known?.retired ?? []).map((one) => ({ ...one, key: didOf(one.key) })),
    guardians: (known?.guardians ?? []).map(didOf),
    threshold: known?.threshold ?? 0,
    delayBlocks: known?.delayBlocks ?? 0,
    recoveries: (known?.recoveries ?? []).map(({ key: wanted, votes, effectiveAt }) => ({
      key: didOf(wanted),
      votes: votes.map(didOf),
      ...(effectiveAt !== undefined && { effectiveAt }),
    })),
    height: ledger.head().height,
    ...(mine && { here: await keysHere(running) }),
  };
}

/** One certificate by its serial, or all that a peer, a key or a hosted agent of this operator has or may have. */
async function revoke(running: Running, what: string, signal: AbortSignal): Promise<RevocationReply> {
  const { certificates, agents, key, ledger, wallet } = running;
  const serial = serialOf(what);
  const named = (await agents.list()).find(({ name }) => name === what)?.did;
  const asked = serial === undefined ? certificates.serialsOf(subjectOf(named ?? what)) : [serial];
  const over = await ledger.read(({ isRevoked }) => asked.map((one) => isRevoked(key.publicKey, one)));
  const left = asked.filter((_, i) => over[i] !== true);
  if (left.length === 0)
    throw new SaharaError('usage', { reason: `${what} has no certificate that still counts` });
  let height = 0;
  for (const one of left) {
    height = (await wallet.send({ type: 'revoke-certificate', serial: one }, { signal })).height;
  }
  return { serials: left.map(toHex), height };
}
