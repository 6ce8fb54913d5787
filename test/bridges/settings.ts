/** How the bots of tests are set up: quick, and with money for everyone. */
import { BRIDGE_DEFAULTS, type BridgeOptions } from '../../src/bridges/core/bridge.ts';
import type { PacerOptions } from '../../src/bridges/core/pacer.ts';

/** A pace that does not slow tests down. */
export const FAST: PacerOptions = {
  total: { burst: 50, intervalMs: 1 },
  direct: { burst: 10, intervalMs: 5 },
  group: { burst: 10, intervalMs: 5 },
};

/** Money for everyone, groups open. */
export const GENEROUS: BridgeOptions = {
  ...BRIDGE_DEFAULTS,
  agentDefault: 'paid',
  spending: {
    callMax: 10n ** 9n,
    userDayMax: 10n ** 12n,
    chatDayMax: 10n ** 12n,
    guildDayMax: 10n ** 12n,
    bridgeDayMax: 10n ** 12n,
    bridgeMax: 10n ** 12n,
    welcome: 10n ** 9n,
  },
  policy: { ...BRIDGE_DEFAULTS.policy, groups: ['telegram:-5', 'discord:500'], userBurst: 1000 },
};

/** What credit is bought in, grains. */
export const CREDIT = 5_000_000n;
/** Stars for it on Telegram. */
export const STARS = 50;
/** The product that it is on Discord. */
export const SKU = '4711';
