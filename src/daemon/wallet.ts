/**
 * The operator's money on the ledger: one sender for its key, a first draw from the faucet where the network has
 * one, and what the payment books need to know of channels.
 */

import { GRAINS_PER_SAHARA } from '../base/amount.ts';
import { equalBytes } from '../base/bytes.ts';
import { type Clock, timeoutSignal } from '../base/clock.ts';
import { asSaharaError, invariant, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Store } from '../base/store.ts';
import { createLedgerClient, type LedgerClient, type SendOptions } from '../ledger/client.ts';
import type { Channel, Inclusion, Ledger } from '../ledger/ledger.ts';
import type { ClaimedChannels } from '../payment/claims.ts';
import type { ChannelInfo, ClaimLedger } from '../payment/ports.ts';
import type { PublicKey } from '../protocol/ids.ts';
import type { Signer, Suite } from '../protocol/suite.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { type Action, transaction } from '../protocol/transaction.ts';
import { Turns } from './turns.ts';

/** What a new account asks of the faucet, grains. */
const FAUCET_DRAW: bigint = 100n * GRAINS_PER_SAHARA;

/** Longest wait for a block, milliseconds. */
const SETTLE_TIMEOUT_MS = 30_000;

const FAUCET_RETRY_MS = 2_000;

/** The operator's money on the ledger. */
export interface Wallet {
  readonly publicKey: PublicKey;
  balance(): bigint;
  /** Sends an action and resolves once it took effect; `nonce` is the number that it used. */
  send(
    action: Action,
    options?: Pick<SendOptions, 'signal' | 'recorded'>,
  ): Promise<Inclusion & { readonly nonce: number }>;
  /**
   * Changes the key that signs: once no transaction is under way, and while none begins, `work` may send actions
   * signed by another key.
   */
  rotate<T>(
    work: (send: (action: Action, options: Pick<SendOptions, 'signer'>) => Promise<Inclusion>) => Promise<T>,
    options?: { readonly signal?: AbortSignal },
  ): Promise<T>;
  /** Sees to it that a new account has money where a faucet gives it; resolves when it has or cannot have. */
  readonly funded: Promise<void>;
  readonly channels: ClaimedChannels;
  readonly claims: ClaimLedger;
  /** Payees to which channels are opened or filled up, one attempt at a time each. */
  readonly turns: Turns;
  stop(): void;
}

/** What a wallet works with. */
export interface WalletParts {
  readonly ledger: Ledger;
  readonly signer: Signer;
  /** Default: the native one. */
  readonly suite?: Suite;
  readonly clock: Clock;
  readonly log: Log;
  /** This part has the store for itself. */
  readonly store: Store;
}

/** The wallet of `parts.signer`. */
export function createWallet(parts: WalletParts): Wallet {
  const { ledger, signer, clock, suite = nativeSuite } = parts;
  const client = createLedgerClient({ ledger, signer, suite, clock, journal: parts.store });
  const stopping = new AbortController();
  // Whoever sends while the key changes waits for the new one.
  let rotating: Promise<unknown> | undefined;
  const unlocked = async (): Promise<void> => {
    while (rotating !== undefined) await rotating.catch(() => {});
  };
  const unanswered = (error: unknown, signal: AbortSignal | undefined): unknown => {
    const { code, facts } = asSaharaError(error);
    if (code !== 'cancelled' || stopping.signal.aborted || signal?.aborted === true) return error;
    // Nobody cancelled it: the ledger did not answer.
    return new SaharaError('deadline-exceeded', { ...facts, what: 'ledger', limitMs: SETTLE_TIMEOUT_MS });
  };
  const balance = (): bigint => ledger.account(signer.publicKey).balance;
  return {
    publicKey: signer.publicKey,
    balance,
    async send(action, { signal, recorded } = {}) {
      await unlocked();
      const limits = { signal: within(clock, stopping.signal, signal) };
      const sending = client.send(action, { ...limits, ...(recorded && { recorded }) });
      const inclusion = await sending.catch((error: unknown) => {
        throw unanswered(error, signal);
      });
      const proof = await ledger.proof(inclusion.id);
      invariant(proof, 'what took effect is in a block');
      return { ...inclusion, nonce: transaction.decode(proof.transaction.payload).nonce };
    },
    async rotate(work, { signal } = {}) {
      await unlocked();
      const limit = within(clock, stopping.signal, signal);
      const working = client
        .settled({ signal: limit })
        .then(() => work((action, options) => client.send(action, { ...options, signal: limit })))
        .catch((error: unknown) => {
          throw unanswered(error, signal);
        })
        .finally(() => {
          rotating = undefined;
        });
      rotating = working;
      return working;
    },
    funded: draw(parts, client, stopping.signal),
    channels: channelView(ledger),
    turns: new Turns(),
    claims: {
      async submitClaim(claim, { signal }) {
        await unlocked();
        const limits = { signal: within(clock, stopping.signal, signal) };
        return (await client.send({ type: 'claim', ...claim }, limits)).id;
      },
      async submitClaims(claims, { signal }) {
        await unlocked();
        const limits = { signal: within(clock, stopping.signal, signal) };
        return (await client.send({ type: 'claim-batch', claims }, limits)).id;
      },
      outcome: async (id) => ledger.lookup(id)?.result.code,
    },
    stop() {
      stopping.abort(new SaharaError('cancelled'));
      client.stop();
    },
  };
}

function within(clock: Clock, stopping: AbortSignal, signal?: AbortSignal): AbortSignal {
  return AbortSignal.any([stopping, timeoutSignal(clock, SETTLE_TIMEOUT_MS), ...(signal ? [signal] : [])]);
}

/** The channels of committed blocks. */
function channelView(ledger: Ledger): ClaimedChannels {
  return {
    async claimed(sought) {
      try {
        return (await ledger.settled(sought)) !== undefined;
      } catch (error) {
        if (asSaharaError(error).code === 'state-unproven') return false;
        throw error;
      }
    },
    channel(id) {
      return ledger.read(({ channel }) => {
        const found = channel(id);
        return found && infoOf(found, ledger.head().height);
      });
    },
    between: (payer, payee) =>
      ledger
        .channelsOf(payer)
        .filter((channel) => equalBytes(channel.payer, payer) && equalBytes(channel.payee, payee))
        .map((channel) => infoOf(channel, ledger.head().height)),
  };
}

function infoOf(channel: Channel, height: number): ChannelInfo {
  const { id, payer, payee, deposit, revision, claimed, state, withdrawal, lanes } = channel;
  // A claim made now is in the next block at the earliest.
  const voucherKeys = channel.voucherKeys.filter(({ until }) => until === undefined || until > height);
  const leaving = withdrawal?.amount ?? 0n;
  return { id, payer, payee, deposit, revision, claimed, state, leaving, lanes, voucherKeys };
}

async function draw(parts: WalletParts, client: LedgerClient, signal: AbortSignal): Promise<void> {
  const { ledger, signer, log, clock } = parts;
  const { faucet } = ledger.genesis;
  if (faucet === undefined) return;
  const amount = FAUCET_DRAW < faucet.perAccount ? FAUCET_DRAW : faucet.perAccount;
  while (!signal.aborted) {
    // A transaction of an earlier run or round goes on by itself; a second draw beside it would draw twice.
    await client.settled({ signal }).catch(() => {});
    try {
      await ledger.current({ signal });
      const { balance, nonce } = ledger.account(signer.publicKey);
      if (balance > 0n || nonce > 0) return;
      await client.send({ type: 'faucet', to: signer.publicKey, amount }, { signal: within(clock, signal) });
      return;
    } catch (error) {
      const { code, facts } = asSaharaError(error);
      if (code === 'tx-refused') {
        log.warn('the faucet gives nothing', facts);
        return;
      }
      log.debug('the faucet did not answer yet', { code });
    }
    await new Promise<void>((resolve) => clock.after(FAUCET_RETRY_MS, resolve));
  }
}
