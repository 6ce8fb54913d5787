/** Amounts of money as people write them. Inside, money is always bigint grains. */

/** Grains in one SAHARA. */
export const GRAINS_PER_SAHARA = 1_000_000_000n;

const DECIMALS = 9;
/** A billion SAHARA: no amount on the wire is greater. */
const GRAINS_LIMIT = 10n ** 18n;

/** `0.002 SAHARA` for 2,000,000 grains: exact, without trailing zeros. */
export function formatAmount(grains: bigint): string {
  return `${formatDecimal(grains)} SAHARA`;
}

/** `0.002` for 2,000,000 grains. */
export function formatDecimal(grains: bigint): string {
  const sign = grains < 0n ? '-' : '';
  const size = grains < 0n ? -grains : grains;
  const fraction = (size % GRAINS_PER_SAHARA).toString().padStart(DECIMALS, '0').replace(/0+$/, '');
  const whole = `${sign}${size / GRAINS_PER_SAHARA}`;
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

/** Grains of a text such as `0.002`, `1`, `1.5 SAHARA` or `250 grains`; `undefined` for anything else. */
export function parseAmount(text: string): bigint | undefined {
  const whole = /^(\d{1,19}) ?grains?$/.exec(text.trim());
  const match = /^(\d{1,10})(?:\.(\d{1,9}))?(?: ?SAHARA)?$/i.exec(text.trim());
  if (!whole && !match) return undefined;
  const fraction = (match?.[2] ?? '').padEnd(DECIMALS, '0');
  const grains = whole
    ? BigInt(whole[1] ?? '')
    : BigInt(match?.[1] ?? '') * GRAINS_PER_SAHARA + BigInt(fraction);
  return grains <= GRAINS_LIMIT ? grains : undefined;
}
