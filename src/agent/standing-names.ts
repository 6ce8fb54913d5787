import { fromHex, toHex } from '../base/bytes.ts';
import type { PublicKey } from '../protocol/ids.ts';

/** The name of a peer among those whose standing is kept. */
export function peerName(peerId: string): string {
  return `peer:${peerId}`;
}

/** The name of a caller's key. */
export function callerName(caller: PublicKey): string {
  return `caller:${toHex(caller)}`;
}

/** The peer id or key of a name. */
export function subjectOf(
  name: string,
): { readonly peerId: string } | { readonly caller: PublicKey } | undefined {
  const at = name.indexOf(':');
  const [kind, rest] = [name.slice(0, at), name.slice(at + 1)];
  if (kind === 'peer') return { peerId: rest };
  const caller = kind === 'caller' ? fromHex(rest) : undefined;
  return caller && { caller };
}
