import { describe, expect, it } from 'vitest';
import { genesis, networkOf } from '../../src/protocol/block.ts';
import { CALL_REQUEST_BYTES_MAX, callRequest, delta, source } from '../../src/protocol/call.ts';
import { covers } from '../../src/protocol/certificate.ts';
import * as limits from '../../src/protocol/limits.ts';
import { PAYLOAD_BYTES_MAX } from '../../src/protocol/signing.ts';
import { filled, genesisBytes, network, sampleGenesis, sampleSource, suite } from './sample.ts';

describe('the name of a network', () => {
  it('is the genesis’ name and the beginning of its hash (ID-3)', () => {
    expect(network).toMatch(/^sample-[0-9a-f]{16}$/);
    expect(networkOf(suite, genesisBytes)).toBe(network);
    const other = genesis.encode({ ...sampleGenesis, createdAtMs: 1 });
    expect(networkOf(suite, other)).not.toBe(network);
  });

  it.each(['', 'Upper', '-first', 'a/b', 'a b', 'ä', 'a_b'])('refuses a genesis called %j (ID-3)', (name) => {
    expect(() => networkOf(suite, genesis.encode({ ...sampleGenesis, name }))).toThrow('malformed');
  });
});

describe('capabilities', () => {
  it('cover themselves and, by a star at the end, every continuation (ID-6)', () => {
    expect(covers('serve:agent/a', 'serve:agent/a')).toBe(true);
    expect(covers('serve:agent/a', 'serve:agent/ab')).toBe(false);
    expect(covers('serve:*', 'serve:agent/*')).toBe(true);
    expect(covers('serve:agent/*', 'serve:*')).toBe(false);
    expect(covers('*', 'anything')).toBe(true);
    expect(covers('serve:*/a', 'serve:agent/a')).toBe(false);
    expect(covers('', '')).toBe(true);
  });
});

describe('limits', () => {
  const text = (bytes: number): string => 'x'.repeat(bytes);

  it('fit each other: the largest request, source and delta still travel (LIM-1)', () => {
    const turn = { role: 'agent', text: text(limits.CONTEXT_TURN_BYTES_MAX) } as const;
    const request = callRequest.encode({
      cardHash: filled(0),
      skill: text(64),
      question: text(limits.QUESTION_BYTES_MAX),
      context: Array.from({ length: limits.CONTEXT_TURNS_MAX }, () => turn),
      priceMax: 10n ** 18n,
      cover: 10n ** 18n,
      outputUnitsMax: 0xffff_ffff,
      deadlineMs: limits.CALL_DEADLINE_MS_MAX,
      seed: 0xffff_ffff,
    });
    expect(request.length).toBeLessThanOrEqual(CALL_REQUEST_BYTES_MAX);
    expect(CALL_REQUEST_BYTES_MAX).toBeLessThan(PAYLOAD_BYTES_MAX);
    const passage = { ...sampleSource, text: text(limits.SOURCE_TEXT_BYTES_MAX), title: text(1024) };
    expect(source.encode({ ...passage, document: text(512), licence: text(128) }).length).toBeLessThan(
      65_536,
    );
    const far = 0xffff_ffff;
    const citation = { start: far, end: far, source: far, sourceStart: far, sourceEnd: far };
    const citations = Array.from({ length: limits.CITATIONS_MAX }, () => citation);
    const piece = { sequence: far, text: text(limits.DELTA_TEXT_BYTES_MAX), citations };
    expect(delta.encode(piece).length).toBeLessThan(65_536);
    expect(limits.BLOCK_BYTES_MAX).toBeGreaterThan(limits.TRANSACTION_BYTES_MAX);
    expect(limits.RECEIPT_ASSETS_MAX).toBeLessThanOrEqual(limits.CLAIM_ASSETS_MAX);
  });
});
