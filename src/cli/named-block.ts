/** Blocks of consensus as people name them to each other: `120:9f2c…`. */
import { fromHex, toHex } from '../base/bytes.ts';
import type { NamedBlock } from '../protocol/certified-header.ts';
import { usage } from './app.ts';

/** A block's name as options take it. */
export function blockName({ height, hash }: NamedBlock): string {
  return `${height}:${toHex(hash)}`;
}

/** The height of consensus that an option names. Throws `usage`. */
export function heightIn(option: string, text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw usage(`${option} takes the height of a block of consensus, as 120000`);
}

/** The block that an option names. Throws `usage`. */
export function blockIn(option: string, text: string): NamedBlock {
  const [, height, hex = ''] = /^([1-9]\d{0,14}):([0-9A-Fa-f]{64})$/.exec(text) ?? [];
  const hash = fromHex(hex);
  if (height === undefined || hash === undefined)
    throw usage(
      `${option} takes a block of consensus by its height and the 64 digits of its hash, as 120:9f2c…`,
    );
  return { height: Number(height), hash };
}
