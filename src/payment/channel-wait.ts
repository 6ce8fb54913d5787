/**
 * Looks again for a channel that a voucher names and this peer's ledger does not have (PAY-79). Its payer hears of the
 * block with a new channel as early as its payee does, and may call a moment before the payee has taken it in.
 */
import { toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { invariant } from '../base/errors.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { CHANNEL_WAIT_MS, CHANNEL_WAITERS_MAX, CHANNEL_WAITERS_PER_PAYER_MAX } from './limits.ts';
import type { ChannelInfo, ChannelView } from './ports.ts';

/** The pauses before the channel is looked for again, milliseconds: by number, whatever a clock says meanwhile. */
const PAUSES_MS = [50, 100, 200, 400, 800, 1_450];
invariant(
  PAUSES_MS.reduce((sum, pauseMs) => sum + pauseMs, 0) === CHANNEL_WAIT_MS,
  'a channel is looked for as long as is said',
);

/** A channel that is looked for, and who says that it pays on it. */
export interface WantedChannel {
  readonly channel: Hash;
  readonly payer: PublicKey;
}

/** Those who wait for channels at one payee. */
export class ChannelWait {
  readonly #parts: { readonly channels: ChannelView; readonly clock: Clock };
  readonly #byPayer = new Map<string, number>();
  #waiting = 0;

  constructor(parts: { readonly channels: ChannelView; readonly clock: Clock }) {
    this.#parts = parts;
  }

  /** The channel once the ledger has it; `undefined` when that takes too long, too many wait, or `signal` aborts. */
  async find({ channel, payer }: WantedChannel, signal?: AbortSignal): Promise<ChannelInfo | undefined> {
    const name = toHex(payer);
    const own = this.#byPayer.get(name) ?? 0;
    if (this.#waiting >= CHANNEL_WAITERS_MAX || own >= CHANNEL_WAITERS_PER_PAYER_MAX) return undefined;
    this.#byPayer.set(name, own + 1);
    this.#waiting++;
    try {
      return await this.#look(channel, signal);
    } finally {
      this.#waiting--;
      const left = (this.#byPayer.get(name) ?? 1) - 1;
      if (left > 0) this.#byPayer.set(name, left);
      else this.#byPayer.delete(name);
    }
  }

  async #look(channel: Hash, signal: AbortSignal | undefined): Promise<ChannelInfo | undefined> {
    const { channels, clock } = this.#parts;
    for (const pauseMs of PAUSES_MS) {
      if (signal?.aborted) return undefined;
      await pause(clock, pauseMs, signal);
      const found = await channels.channel(channel);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** Resolves after `pauseMs`, or as soon as `signal` aborts. */
function pause(clock: Clock, pauseMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      cancel();
      signal?.removeEventListener('abort', over);
      resolve();
    };
    const cancel = clock.after(pauseMs, over);
    signal?.addEventListener('abort', over, { once: true });
  });
}
