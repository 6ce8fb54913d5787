/**
 * The operator's identity on the ledger: registers it, rotates its key, recovers those of others as their guardian, and
 * takes certificates back. A next key is on disk before the ledger hears of it, and a transaction before it is sent, so
 * a process that dies at any point of a rotation finds every key that may sign afterwards in its home.
 */
import { equalBytes, fromHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import { type Identity, identityIn, identityKey } from '../ledger/identities.ts';
import type { Inclusion, Ledger } from '../ledger/ledger.ts';
import { consentOf, consentTo, type RecoveryTerms, recoveryRequest } from '../protocol/actions-identity.ts';
import type { RecoveryPolicy } from '../protocol/identity.ts';
import { didOf, type PublicKey, publicKeyOf } from '../protocol/ids.ts';
import { checkSigned, signed as signedSchema } from '../protocol/signing.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { Core } from './core.ts';
import { publicKeyIn } from './keystore.ts';
import { followOnce } from './operator-key.ts';

/** What identities are kept with. */
export type IdentityParts = Pick<Core, 'key' | 'keys' | 'ledger' | 'wallet' | 'network' | 'log'>;

/** How something that waits for the ledger is given up. */
interface Waiting {
  readonly signal: AbortSignal;
}

const REQUEST_PREFIX = 'sahara-recovery:';
const REQUEST_CHARACTERS_MAX = 2048;

/**
 * The record of a DID at the ledger's newest block: a light ledger has it proved anew, and not from what it read a short
 * while ago. Rejects with `state-unproven` when nobody proves it.
 */
export async function identityNow(
  ledger: Pick<Ledger, 'mode' | 'current' | 'identity' | 'prove'>,
  did: PublicKey,
): Promise<Identity | undefined> {
  if (ledger.mode !== 'light') return ledger.identity(did);
  await ledger.current();
  const { entries } = await ledger.prove([identityKey(did)]);
  const value = entries[0]?.value;
  return identityIn((table) => value && table.schema.decode(value), did);
}

/** The DID's record, or `usage` for one without. */
async function registered({ ledger }: IdentityParts, did: PublicKey): Promise<Identity> {
  const known = await identityNow(ledger, did);
  if (known !== undefined) return known;
  throw new SaharaError('usage', {
    reason: `Nobody has registered ${didOf(did)} on the ledger, so no other key can sign for it`,
    next: 'Its owner registers it with `sahara identity init`',
  });
}

/** Registers the operator's DID with the hash of a next key that is made, or was made before, and kept here. */
export async function register(
  parts: IdentityParts,
  policy: Partial<RecoveryPolicy>,
  options: Waiting,
): Promise<Inclusion> {
  const { key, ledger, wallet } = parts;
  if ((await ledger.read(({ identity }) => identity(key.publicKey))) !== undefined) {
    throw new SaharaError('usage', { reason: 'This identity is registered already' });
  }
  const next = hashOf(await keyAfter(parts));
  return wallet.send({ type: 'register-identity', next, policy: policyOf(parts, policy) }, options);
}

/** How a key is rotated: `policy` replaces guardians, threshold and delay; `nextKey` is the next key's file, from elsewhere. */
export interface RotateOrder {
  readonly policy: Partial<RecoveryPolicy> | undefined;
  readonly nextKey: string | undefined;
}

/**
 * Has the next key sign from now on, and names another one to follow it. Throws `key-missing` while the next key is
 * neither in this home nor brought, and `usage` when another one is brought.
 */
export async function rotate(
  parts: IdentityParts,
  { policy, nextKey }: RotateOrder,
  options: Waiting,
): Promise<Inclusion> {
  const { key, keys, wallet } = parts;
  return key.hold(() =>
    wallet.rotate(async (send) => {
      const known = await registered(parts, key.publicKey);
      if (nextKey !== undefined && !equalBytes(hashOf(publicKeyIn(nextKey)), known.next)) {
        throw new SaharaError('usage', {
          reason: 'The file holds another key than the next one of this identity',
        });
      }
      if (nextKey !== undefined) await keys.takeOperatorKey(nextKey);
      const next = await nextHere(parts, known);
      const signer = await keys.operatorKey(next);
      const after = hashOf(await keyAfter(parts));
      point('identity:prepared');
      const renewed = policy && policyOf(parts, policy, known);
      const inclusion = await send(
        { type: 'rotate-key', key: next, next: after, policy: renewed },
        { signer },
      );
      point('identity:rotated');
      await followOnce(parts);
      return inclusion;
    }, options),
  );
}

/** Moves the next key into a new file, out of this home, and answers it. Throws `key-missing`, `usage`. */
export async function exportNext(parts: IdentityParts, file: string): Promise<PublicKey> {
  const { key, keys } = parts;
  // A rotation that is under way needs it.
  return parts.wallet.rotate(async () => {
    const next = await nextHere(parts, await registered(parts, key.publicKey));
    await keys.giveOperatorKey(next, file);
    return next;
  });
}

/**
 * What the owner of a DID whose keys are lost hands to its guardians: a text with a new key of this home, the hash of the
 * one after it, and that key's agreement.
 */
export async function requestRecovery(
  parts: IdentityParts,
  did: PublicKey,
): Promise<{ readonly request: string; readonly key: PublicKey }> {
  const { keys, network } = parts;
  const known = await registered(parts, did);
  const key = await keyAfter(parts, known);
  const next = hashOf(await keyAfter(parts, known, key));
  const consent = consentTo(nativeSuite, await keys.operatorKey(key), network, { did, next });
  const request = signedSchema.encode(consentOf(network, { did, key, next }, consent));
  return { request: REQUEST_PREFIX + Buffer.from(request).toString('base64url'), key };
}

/** Votes, as a guardian, for the new key in a request for `did`. */
export async function voteForRecovery(
  parts: IdentityParts,
  vote: { readonly did: PublicKey; readonly request: string },
  options: Waiting,
): Promise<Inclusion> {
  const { terms, consent } = readRequest(parts, vote.request);
  if (!equalBytes(terms.did, vote.did)) {
    throw new SaharaError('usage', {
      reason: `The request is for ${didOf(terms.did)}, not for ${didOf(vote.did)}`,
    });
  }
  await registered(parts, vote.did);
  return parts.wallet.send({ type: 'recover-identity', ...terms, consent }, options);
}

/** Rejects every recovery of the operator's DID, with the key that signs now. */
export async function cancelRecovery(parts: IdentityParts, options: Waiting): Promise<Inclusion> {
  const { recoveries } = await registered(parts, parts.key.publicKey);
  if (recoveries.length === 0)
    throw new SaharaError('usage', { reason: 'Nobody wants to recover this identity' });
  return parts.wallet.send({ type: 'cancel-recovery' }, options);
}

/** Makes a recovery whose delay is over. Throws `usage` when there is none, or not yet. */
export async function finishRecovery(
  parts: IdentityParts,
  did: PublicKey,
  options: Waiting,
): Promise<Inclusion> {
  const { recovery } = await registered(parts, did);
  const { height } = parts.ledger.head();
  if (recovery?.effectiveAt === undefined) {
    throw new SaharaError('usage', { reason: 'No recovery has the votes that it takes' });
  }
  if (recovery.effectiveAt > height + 1) {
    const reason = `The recovery can be finished from height ${recovery.effectiveAt} on; the ledger is at ${height}`;
    throw new SaharaError('usage', { reason });
  }
  const { key, next } = recovery;
  return parts.wallet.send({ type: 'finish-recovery', did, key, next }, options);
}

/** The keys of this home, and which of them the ledger's record of the operator's DID means. */
export async function keysHere({ key, keys, ledger }: IdentityParts): Promise<{
  readonly signing: boolean;
  readonly next: boolean;
}> {
  const known = await ledger.read(({ identity }) => identity(key.publicKey));
  const here = await keys.operatorKeys();
  return {
    signing: here.some((one) => equalBytes(one, known?.key ?? key.publicKey)),
    next: known !== undefined && here.some((one) => equalBytes(hashOf(one), known.next)),
  };
}

/** DIDs out of texts. Throws `usage` for one that is none. */
export function didsOf(texts: readonly string[]): readonly PublicKey[] {
  return texts.map((text) => {
    const key = publicKeyOf(text);
    if (key === undefined) throw new SaharaError('usage', { reason: `${text} is not a DID` });
    return key;
  });
}

/** A serial out of 32 hexadecimal digits; `undefined` for other texts. */
export function serialOf(text: string): Uint8Array | undefined {
  const serial = fromHex(text.toLowerCase());
  return serial?.length === 16 ? serial : undefined;
}

/**
 * The first key that was made after all that the operator's own record, or `known`, means and after `besides`: an
 * attempt that died may have left one. Otherwise a new one. On disk either way.
 */
async function keyAfter(parts: IdentityParts, known?: Identity, besides?: PublicKey): Promise<PublicKey> {
  const { key, keys, ledger } = parts;
  const own = await ledger.read(({ identity }) => identity(key.publicKey));
  const records = [own, known].filter((one) => one !== undefined);
  const used = [
    key.publicKey,
    ...records.flatMap((one) => [one.key, ...one.retired.map((retired) => retired.key)]),
    ...(besides === undefined ? [] : [besides]),
  ];
  const here = await keys.operatorKeys();
  const last = here.findLastIndex(
    (one) =>
      used.some((other) => equalBytes(one, other)) ||
      records.some(({ next }) => equalBytes(hashOf(one), next)),
  );
  return here[last + 1] ?? keys.addOperatorKey();
}

/** The next key by a record, which is in this home. Throws `key-missing`. */
async function nextHere({ keys }: IdentityParts, known: Identity): Promise<PublicKey> {
  const next = (await keys.operatorKeys()).find((one) => equalBytes(hashOf(one), known.next));
  if (next !== undefined) return next;
  throw new SaharaError('key-missing', { name: 'the next key of this identity', path: 'the folder keys' });
}

function hashOf(key: PublicKey): Uint8Array {
  return nativeSuite.sha256(key);
}

function policyOf(
  { ledger }: IdentityParts,
  wanted: Partial<RecoveryPolicy>,
  known?: RecoveryPolicy,
): RecoveryPolicy {
  const guardians = wanted.guardians ?? known?.guardians ?? [];
  // A majority, unless somebody says otherwise.
  const threshold = wanted.threshold ?? (guardians.length === 0 ? 0 : Math.floor(guardians.length / 2) + 1);
  const { closeDelayBlocks } = ledger.genesis.parameters;
  const delayBlocks = wanted.delayBlocks ?? known?.delayBlocks ?? closeDelayBlocks;
  if (threshold > guardians.length) {
    throw new SaharaError('usage', { reason: `${threshold} votes are more than there are guardians` });
  }
  if (delayBlocks < closeDelayBlocks) {
    throw new SaharaError('usage', { reason: `A recovery takes at least ${closeDelayBlocks} blocks here` });
  }
  return { guardians, threshold, delayBlocks };
}

function readRequest(
  { network }: IdentityParts,
  text: string,
): { readonly terms: RecoveryTerms; readonly consent: Uint8Array } {
  const fault = (reason: string, cause?: unknown): SaharaError =>
    new SaharaError('usage', { reason }, { cause });
  if (!text.startsWith(REQUEST_PREFIX) || text.length > REQUEST_CHARACTERS_MAX) {
    throw fault(`A request is one text that begins with ${REQUEST_PREFIX}`);
  }
  try {
    const message = signedSchema.decode(Buffer.from(text.slice(REQUEST_PREFIX.length), 'base64url'));
    const { network: of, ...request } = recoveryRequest.decode(message.payload);
    if (of !== network) throw fault(`The request is of the network ${of}, not of ${network}`);
    if (checkSigned(nativeSuite, network, 'recovery-request', request.key, message)) {
      throw fault('The new key did not sign the request');
    }
    const { did, key, next } = request;
    return { terms: { did, key, next }, consent: message.signature };
  } catch (error) {
    if (error instanceof SaharaError && error.code === 'usage') throw error;
    throw fault('The request cannot be read; have it sent again, whole', error);
  }
}
