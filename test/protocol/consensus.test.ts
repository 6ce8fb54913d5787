import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blockHeader, headerHash } from '../../src/protocol/block.ts';
import {
  certifiedBy,
  certifiedHeader,
  type OpenedHeader,
  openCertified,
} from '../../src/protocol/certified-header.ts';
import { firstValidatorsHash } from '../../src/protocol/consensus.ts';
import { VALIDATORS_MAX } from '../../src/protocol/limits.ts';
import { signed, signOne } from '../../src/protocol/signing.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import { portableSuite } from '../../src/protocol/suite-portable.ts';
import { firstOf, madeBlock, steadyChain } from './consensus-sample.ts';
import { filled, suite } from './sample.ts';
import { bytesOf, type Case, vectors } from './vector-files.ts';

const file = vectors('consensus');

function open(one: Case, wire: Uint8Array = bytesOf(one, 'header')): OpenedHeader {
  const { through } = one as { readonly through?: { readonly height: number; readonly hash: string } };
  const named = through && { height: through.height, hash: bytesOf(through, 'hash') };
  const root = { network: String(one.network), sequencer: bytesOf(one, 'sequencer'), through: named };
  return openCertified(suite, root, certifiedHeader.decode(wire));
}

/** The reason of a refusal. */
function reason(job: () => unknown): string {
  try {
    job();
    return 'none';
  } catch (error) {
    const { code, facts } = error as { readonly code: string; readonly facts: { readonly reason?: string } };
    return `${code}: ${facts.reason}`;
  }
}

describe('headers that validators decided on', () => {
  it.each(file.valid)('believes $name, and tells by whom (RCPT-85, RCPT-91, RCPT-92)', (one) => {
    const found = open(one);
    expect(found).toMatchObject({ header: { height: one.height }, decided: { height: one.decidedAt } });
    expect(certifiedBy(found)).toBe(
      `decided by ${one.signed} of ${one.voters} validators, who count ${one.power} of ${one.powerOfAll}`,
    );
    const wire = bytesOf(one, 'header');
    expect(certifiedHeader.encode(certifiedHeader.decode(wire))).toEqual(wire);
  });

  it.each(file.invalid)(
    'refuses $name, with a reason in words (RCPT-85, RCPT-86, RCPT-87, RCPT-88, RCPT-89, RCPT-90)',
    (one) => {
      const said = reason(() => open(one));
      expect(said).toMatch(/^bundle-invalid: .{15,}/);
      expect(said).not.toMatch(/undefined|-invalid: .*-invalid|unproven/);
    },
  );

  it('names what is wrong where (RCPT-88, RCPT-90)', () => {
    const said = (name: string): string =>
      reason(() => open(file.invalid.find((one) => one.name === name) ?? { name }));
    expect(said('two thirds of the voters, and no more')).toContain(
      'fails at block 7 of consensus: voters who count 2 of 3 signed it, which is not more than two thirds',
    );
    expect(said('a third of the voters before, and no more')).toContain(
      'no more than a third of the voters with whom the network began signed block 3',
    );
    expect(said('one vote for two voters')).toContain(
      'vote 2 is not its voter’s for this block of this network',
    );
    expect(said('votes on another network')).toContain('is not its voter’s for this block of this network');
    expect(said('votes for no block')).toContain('is not its voter’s for this block of this network');
    expect(said('votes for another height')).toContain('at block 8 of consensus');
    expect(said('a voter who counts more')).toContain('its voters are not those that its header names');
    expect(said('a network of other validators')).toContain('begins with other validators than the network');
    expect(said('the header of another block')).toContain('decided on another header');
    expect(said('not by way of the block that was named')).toContain('by way of block 6 of consensus');
  });

  it('refuses every change of a byte, whatever it was (RCPT-85)', { timeout: 60_000 }, () => {
    const one = file.valid.find(({ name }) => name === 'three of four') ?? { name: '' };
    const wire = bytesOf(one, 'header');
    for (let at = 0; at < wire.length; at++) {
      const changed = wire.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      expect(
        reason(() => open(one, changed)),
        `byte ${at}`,
      ).toMatch(/^(bundle-invalid|malformed):/);
    }
  });

  it('ends with a verdict for any bytes (RCPT-33)', () => {
    const wires = file.valid.map((one) => bytesOf(one, 'header'));
    const splice = fc.record({
      which: fc.nat(wires.length - 1),
      at: fc.nat(3_000),
      from: fc.nat(3_000),
      length: fc.nat(90),
    });
    fc.assert(
      fc.property(splice, ({ which, at, from, length }) => {
        const wire = wires[which] ?? new Uint8Array(0);
        const changed = wire.slice();
        changed.set(
          wire.subarray(from, from + length).subarray(0, Math.max(0, wire.length - at)),
          Math.min(at, wire.length),
        );
        const one = file.valid[which] ?? { name: '' };
        const said = reason(() => open(one, changed));
        expect(said).toMatch(/^(none|bundle-invalid: .+|malformed: .+)/);
        // What came before a block that was named is not asked.
        if (said === 'none' && 'through' in one) expect(open(one, changed)).toEqual(open(one, wire));
        else if (said === 'none') expect(changed).toEqual(wire);
      }),
      { numRuns: 300, examples: [[{ which: 13, at: 339, from: 0, length: 1 }]] },
    );
  });

  it('believes with as many validators as there may be, in both suites (RCPT-87)', () => {
    const chain = steadyChain(VALIDATORS_MAX);
    const payload = blockHeader.encode({
      version: 1,
      network: chain.network,
      height: 9,
      previous: filled(1),
      transactionsRoot: filled(2),
      resultsRoot: filled(3),
      stateRoot: filled(4),
      proposer: filled(5),
      timeMs: 1,
    });
    const first = firstOf(chain);
    const blocks = [
      madeBlock(chain, 70, { appHash: headerHash(suite, payload), away: [...Array(33).keys()] }),
    ];
    const header = {
      payload,
      signature: new Uint8Array(0),
      sides: 0,
      siblings: [],
      consensus: { first, blocks },
    };
    const root = { network: chain.network, sequencer: firstValidatorsHash(suite, first) };
    for (const one of [suite, portableSuite])
      expect(openCertified(one, root, header).decided?.decision).toMatchObject({ signed: 67, voters: 100 });
    // Beside everything else of a call it takes little room.
    expect(certifiedHeader.encode(header).length).toBeLessThan(32_768);
  });

  it('leaves a header that a sequencer signed as it was (RCPT-85, RCPT-90)', () => {
    const sequencer = createSigner(filled(9));
    const network = 'made-0123456789abcdef';
    const payload = blockHeader.encode({
      version: 1,
      network,
      height: 1,
      previous: filled(0),
      transactionsRoot: filled(2),
      resultsRoot: filled(3),
      stateRoot: filled(4),
      proposer: sequencer.publicKey,
      timeMs: 1,
    });
    const message = signOne(suite, sequencer, network, { type: 'block-header', payload });
    expect(certifiedHeader.encode(message)).toEqual(signed.encode(message));
    const root = { network, sequencer: sequencer.publicKey };
    const found = openCertified(suite, root, message);
    expect(found.decided).toBeUndefined();
    expect(certifiedBy(found)).toBe('signed by the network’s sequencer');
    expect(reason(() => openCertified(suite, { ...root, sequencer: filled(8) }, message))).toContain(
      'not of the network’s sequencer',
    );
    // Whoever names a block of consensus means a network that has one (RCPT-90).
    const through = { height: 6, hash: filled(6) };
    expect(reason(() => openCertified(suite, { ...root, through }, message))).toContain(
      'by way of no block of consensus',
    );
    // A proof by consensus is nothing where a sequencer orders.
    const chain = steadyChain(4, network);
    const first = firstOf(chain);
    const blocks = [madeBlock(chain, 2, { appHash: headerHash(suite, payload) })];
    const decided = {
      payload,
      signature: new Uint8Array(0),
      sides: 0,
      siblings: [],
      consensus: { first, blocks },
    };
    expect(reason(() => openCertified(suite, root, decided))).toContain('other validators than the network');
  });
});
