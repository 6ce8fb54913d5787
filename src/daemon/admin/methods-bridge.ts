/** The methods of the admin API about bridges to chats, with the schemas of their inputs. */
import { z } from 'zod';
import type { BotCheck } from '../../bridges/core/check.ts';

/** The platforms, as inputs name them. */
type Platform = 'telegram' | 'discord';

/** How one bridge does. */
export interface BridgeRow {
  readonly platform: Platform;
  /** `waiting`: it is tried again; `refused`: its token is not known; `off`: by the configuration. */
  readonly state: 'starting' | 'running' | 'waiting' | 'refused' | 'off';
  /** Whether its token is kept in the home, or stands in the environment. */
  readonly tokenFrom: 'kept' | 'environment';
  /** What is wrong, in words. */
  readonly reason?: string;
  /** Questions and commands under way. */
  readonly running: number;
  /** How often the platform asked to wait since the start. */
  readonly refusals: number;
}

/** A bot as its platform knows it, and what stands in its way. */
export type BridgeCheckReport = BotCheck & { readonly platform: Platform };

/** What a person allows a bridge of their money with it, and what to paste there. */
export interface BridgeLinkReport {
  /** The text for `/link`. */
  readonly grant: string;
  /** The bridge's operator, a DID. */
  readonly bridge: string;
  /** Whom it is for, such as `telegram:12345`. */
  readonly user: string;
  readonly expiresAtMs: number;
}

/** Methods that answer once. */
export interface BridgeMethods {
  'bridge.list': { input: Readonly<Record<string, never>>; output: readonly BridgeRow[] };
  'bridge.set': {
    input: { readonly platform: Platform; readonly token: string };
    output: BridgeCheckReport;
  };
  'bridge.check': { input: { readonly platform: Platform }; output: BridgeCheckReport };
  'bridge.remove': { input: { readonly platform: Platform }; output: readonly BridgeRow[] };
  /** Amounts in grains. */
  'bridge.link': {
    input: {
      readonly code: string;
      readonly callMax: string;
      readonly dayMax: string;
      readonly max: string;
      readonly days: number;
    };
    output: BridgeLinkReport;
  };
}

const platform = z.enum(['telegram', 'discord']);
const grains = z.string().regex(/^\d{1,19}$/);

/** The schemas of their inputs. */
export const BRIDGE_INPUTS: { readonly [K in keyof BridgeMethods]: z.ZodType<BridgeMethods[K]['input']> } = {
  'bridge.list': z.strictObject({}),
  'bridge.set': z.strictObject({ platform, token: z.string().regex(/^[\w:.-]{20,200}$/) }),
  'bridge.check': z.strictObject({ platform }),
  'bridge.remove': z.strictObject({ platform }),
  'bridge.link': z.strictObject({
    code: z.string().min(8).max(1024),
    callMax: grains,
    dayMax: grains,
    max: grains,
    days: z.int().min(1).max(366),
  }),
};
