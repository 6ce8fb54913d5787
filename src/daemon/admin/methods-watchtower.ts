/** The methods of the admin API about watchtowers, with the schemas of their inputs. */
import { z } from 'zod';

/** A lane that this peer watches for a payee. */
export interface WatchedRow {
  readonly channel: string;
  readonly lane: number;
  /** DIDs. */
  readonly payee: string;
  readonly payer: string;
  /** What a claim would have to bring in all, grains. */
  readonly promised: string;
  readonly sinceMs: number;
}

/** What this peer watches, and who watches for it. */
export interface WatchtowerReport {
  /** Absent: this peer is no watchtower. */
  readonly serving?: {
    readonly lanes: number;
    readonly payees: number;
    /** Claims made since the start, and what they paid, grains. */
    readonly claims: number;
    readonly paid: string;
    /** At most 256 of them, those watched for longest first. */
    readonly watched: readonly WatchedRow[];
  };
  /** Absent: nobody watches for this peer. */
  readonly using?: {
    /** Address or peer id. */
    readonly peer: string;
    /** When the tower last answered for claims. */
    readonly lastAtMs?: number;
    /** Error code: why it could not be asked the last time. */
    readonly failure?: string;
    /** Channels of which it took no claim, and why. */
    readonly refused: readonly { readonly channel: string; readonly verdict: string }[];
  };
}

/** Methods that answer once. */
export interface WatchtowerMethods {
  'watchtower.status': { input: Readonly<Record<string, never>>; output: WatchtowerReport };
  'watchtower.serve': { input: { readonly on: boolean }; output: WatchtowerReport };
  /** Without a peer, nobody watches any more. */
  'watchtower.use': { input: { readonly peer?: string | undefined }; output: WatchtowerReport };
}

/** The schemas of their inputs. */
export const WATCHTOWER_INPUTS: {
  readonly [K in keyof WatchtowerMethods]: z.ZodType<WatchtowerMethods[K]['input']>;
} = {
  'watchtower.status': z.strictObject({}),
  'watchtower.serve': z.strictObject({ on: z.boolean() }),
  'watchtower.use': z.strictObject({ peer: z.string().min(1).max(512).optional() }),
};
