import { describe, expect, it } from 'vitest';
import { checkpointIn, showCheckpoint, showOwnCheckpoint } from '../../src/cli/checkpoint.ts';
import { blockIn, blockName } from '../../src/cli/named-block.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import { AUDIT_FORMAT, audit } from '../../src/protocol/audit.ts';
import { blockHeader, genesis as genesisSchema, headerHash } from '../../src/protocol/block.ts';
import { firstValidatorsHash } from '../../src/protocol/consensus.ts';
import { consensusHash } from '../../src/protocol/consensus-bytes.ts';
import { verifyAudit } from '../../src/protocol/verify-audit.ts';
import { suite, testGenesis } from '../ledger/support.ts';
import { firstOf, madeBlock, madeChain } from '../protocol/consensus-sample.ts';

// Of three voters one goes and one comes with every block.
const first = firstOf(madeChain(40));
const genesis = { ...testGenesis(), sequencer: firstValidatorsHash(suite, first) };
const network = networkNameOf(suite, genesis);
const chain = madeChain(40, network);

/** An audit file whose header is proved by the blocks from `from` on. */
function fileFrom(from: number): Uint8Array {
  const zeros = new Uint8Array(32);
  const payload = blockHeader.encode({
    ...{ version: 1, network, height: 9, previous: zeros, transactionsRoot: zeros, resultsRoot: zeros },
    ...{ stateRoot: zeros, proposer: zeros, timeMs: 0 },
  });
  const appHash = headerHash(suite, payload);
  const blocks = [from, from + 1, from + 2].map((height) => madeBlock(chain, height, { appHash }));
  return audit.encode({
    format: AUDIT_FORMAT,
    genesis: genesisSchema.encode(genesis),
    header: { payload, signature: new Uint8Array(0), sides: 0, siblings: [], consensus: { first, blocks } },
    subject: { type: 'did', did: first[0]?.did ?? zeros, channels: [], assets: [] },
    records: [],
    transactions: [],
  });
}

/** What is said about a file. */
function said(show: typeof showCheckpoint, file: Uint8Array): string {
  let text = '';
  const line: Terminal['line'] = (part = '') => {
    text += `${part}\n`;
  };
  // Nothing else of it is used.
  const terminal = { line } as Terminal;
  show({ terminal }, file, 'handbook.audit');
  return text;
}

/** Whether a file's block holds. */
function blockHolds(file: Uint8Array, through?: string): boolean | undefined {
  const expected = through === undefined ? {} : { through: blockIn('--through', through) };
  return verifyAudit(suite, file, expected).steps.find(({ check }) => check === 'block')?.ok;
}

describe('evidence whose proof begins with a later block', () => {
  it('says which block to ask for, and is verified by way of it as it says (ENG-71)', () => {
    const file = fileFrom(20);
    expect(blockHolds(file)).toBe(false);
    const hash = consensusHash(suite, network, madeBlock(chain, 20, { appHash: appHashOf(file) }).header);
    const name = blockName({ height: 20, hash });
    const text = said(showCheckpoint, file);
    expect(text).toContain('begins with block 20 of consensus: validators changed too often');
    expect(text).toContain('sahara network status --block 20');
    expect(text).toContain('\n  sahara verify handbook.audit --through 20:HASH\n');
    // What the file itself says its block is called proves nothing.
    expect(text).not.toContain(name);
    expect(said(showOwnCheckpoint, file)).toContain(`\n  sahara verify handbook.audit --through ${name}\n`);
    expect(blockHolds(file, name)).toBe(true);
    expect(blockHolds(file, `20:${'00'.repeat(32)}`)).toBe(false);
  });

  it('says nothing of a proof that begins with the network, nor of what is no evidence (ENG-71)', () => {
    expect(checkpointIn(fileFrom(1))).toBeUndefined();
    expect(said(showCheckpoint, fileFrom(2))).toBe('');
    expect(blockHolds(fileFrom(2))).toBe(true);
    for (const file of [new Uint8Array(0), new Uint8Array(90).fill(7), fileFrom(20).subarray(0, 400)])
      for (const show of [showCheckpoint, showOwnCheckpoint]) expect(said(show, file)).toBe('');
  });
});

function appHashOf(file: Uint8Array): Uint8Array {
  return headerHash(suite, audit.decode(file).header.payload);
}
