/** The method of the admin API that pays somebody, with the schema of its input. */
import { z } from 'zod';

/** What is to be paid. */
export interface PayInput {
  /** DID of who gets it. */
  readonly to: string;
  /** Grains. */
  readonly amount: string;
  /** 16 bytes in hexadecimal that name the payment: asked for again under the same, it is not paid twice. */
  readonly reference: string;
  readonly memo?: string | undefined;
  /** Pays a DID that the ledger has never seen, which a mistyped one would be too. */
  readonly unseen?: boolean | undefined;
}

/** A payment that took effect. */
export interface PayReply {
  readonly to: string;
  readonly amount: string;
  readonly reference: string;
  readonly fee: string;
  readonly transaction: string;
  readonly height: number;
  readonly timeMs: number;
  /** Position among the `count` transactions of the block, from 0. */
  readonly index: number;
  readonly count: number;
  /** It was paid before, when it was asked for then; nothing was paid now. */
  readonly before: boolean;
  /** What is left, grains. */
  readonly balance: string;
}

/** Methods that answer once. */
export interface PayMethods {
  pay: { input: PayInput; output: PayReply };
}

/** The schemas of their inputs. */
export const PAY_INPUTS: { readonly pay: z.ZodType<PayInput> } = {
  pay: z.strictObject({
    to: z.string().min(1).max(256),
    amount: z.string().regex(/^\d{1,19}$/),
    reference: z.string().regex(/^[0-9a-f]{32}$/),
    memo: z.string().min(1).max(128).optional(),
    unseen: z.boolean().optional(),
  }),
};
