/** The method of the admin API about the voucher key of a channel, with the schema of its input. */
import { z } from 'zod';

/** How the voucher key of a channel stands. */
export interface VoucherKeyRow {
  /** In hexadecimal. */
  readonly channel: string;
  /** DID of the key that the ledger has for its vouchers; absent: it has none. */
  readonly key?: string;
  /** Whether that key is in this home and signs the vouchers; else the account's own key does. */
  readonly signs: boolean;
  /** DID of a key that was made and that the ledger does not have yet: the same change goes on with it. */
  readonly pending?: string;
  /** Former keys whose vouchers the payee can still claim, up to that height. */
  readonly former: readonly { readonly key: string; readonly until: number }[];
  /** What the payee can have of it at most by whatever signs, grains. */
  readonly bound: string;
}

/** Methods that answer once. */
export interface VoucherKeyMethods {
  'channel.voucherKey': {
    /** Without a change it is only told. */
    input: { readonly channel: string; readonly change?: 'set' | 'rotate' | 'revoke' | undefined };
    output: VoucherKeyRow;
  };
}

/** The schemas of their inputs. */
export const VOUCHER_KEY_INPUTS: {
  readonly [K in keyof VoucherKeyMethods]: z.ZodType<VoucherKeyMethods[K]['input']>;
} = {
  'channel.voucherKey': z.strictObject({
    channel: z.string().min(1).max(256),
    change: z.enum(['set', 'rotate', 'revoke']).optional(),
  }),
};
