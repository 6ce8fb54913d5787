/** Evidence that is proved to those alone who know a later block of consensus than the beginning, and what to do about it. */
import { asSaharaError } from '../base/errors.ts';
import { audit, looksLikeAudit } from '../protocol/audit.ts';
import { readBundle } from '../protocol/bundle.ts';
import { type CertifiedHeader, checkpointOf, type NamedBlock } from '../protocol/certified-header.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { App } from './app.ts';
import { blockName } from './named-block.ts';

/**
 * The block of consensus that whoever verifies an evidence bundle or an audit file has to know; absent where its proof
 * begins with the network, and for what is neither. Nothing of it is verified.
 */
export function checkpointIn(file: Uint8Array): NamedBlock | undefined {
  try {
    const header = headerIn(file);
    return header && checkpointOf(nativeSuite, header);
  } catch (error) {
    if (asSaharaError(error).code !== 'malformed') throw error;
    return undefined;
  }
}

/**
 * Says what to do with evidence in the file `name` that nobody can verify who names no block; nothing of any other. The hash
 * is not told of a file that came from somebody: whoever pasted it would believe what they are to check.
 */
export function showCheckpoint({ terminal }: Pick<App, 'terminal'>, file: Uint8Array, name: string): void {
  const found = checkpointIn(file);
  if (found === undefined) return;
  terminal.line(
    `${beginsWith(found)} Get the hash of that block from somebody whose node you trust (sahara network status --block ${found.height}), and verify by way of it:`,
  );
  terminal.line(`  sahara verify ${name} --through ${found.height}:HASH`);
}

/** Says of evidence that was just made here what whoever gets it needs to know. */
export function showOwnCheckpoint({ terminal }: Pick<App, 'terminal'>, file: Uint8Array, name: string): void {
  const found = checkpointIn(file);
  if (found === undefined) return;
  terminal.line(
    `${beginsWith(found)} It is proved to whoever has that block from somebody they trust, as this peer does:`,
  );
  terminal.line(`  sahara verify ${name} --through ${blockName(found)}`);
}

function beginsWith({ height }: NamedBlock): string {
  return `Its proof begins with block ${height} of consensus: validators changed too often since the network began for one that begins there.`;
}

function headerIn(file: Uint8Array): CertifiedHeader | undefined {
  return looksLikeAudit(file) ? audit.decode(file).header : readBundle(file).settlement?.header;
}
