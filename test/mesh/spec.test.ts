/** Holds `spec/mesh.md` against the numbers and names that the code uses. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CARD_PROTOCOL } from '../../src/mesh/cards.ts';
import { ADVERTS_PROTOCOL, DIRECTORY_DEFAULTS } from '../../src/mesh/directory.ts';
import { ADVERT_INTERVAL_MS_MIN } from '../../src/mesh/directory-state.ts';
import * as limits from '../../src/mesh/limits.ts';
import { MEASURES_DEFAULTS } from '../../src/mesh/measures.ts';
import { SCORE_WEIGHTS } from '../../src/mesh/offer-score.ts';
import { OFFER_PROTOCOL } from '../../src/mesh/offers.ts';
import { MESH_DEFAULTS } from '../../src/mesh/options.ts';
import { PROBE_PROTOCOL } from '../../src/mesh/probes.ts';
import { RETRY_MS } from '../../src/mesh/suspects.ts';
import { TOPIC_KINDS, topicName } from '../../src/mesh/topics.ts';
import { FAILURE_BYTES_MAX } from '../../src/protocol/exchange.ts';
import {
  CALL_PROTOCOL,
  CERTIFICATE_BYTES_MAX,
  CONTROL_FRAME_BYTES_MAX,
  DATA_KIND_MAX,
  FRAME_TYPES,
  HELLO_LIMITS,
} from '../../src/protocol/frames.ts';
import {
  ADVERT_BYTES_MAX,
  ADVERT_LIFE_MS_MAX,
  CLOCK_SKEW_MS,
  OBSERVATION_AGE_MS_MAX,
  OBSERVATION_INTERVAL_MS_MIN,
  OFFER_REQUEST_LIFE_MS_MAX,
  OFFERS_PER_PEER_MAX,
} from '../../src/protocol/limits.ts';

const spec = readFileSync(new URL('../../spec/mesh.md', import.meta.url), 'utf8').replaceAll(/\s+/g, ' ');

function requirement(id: string): string {
  const start = spec.indexOf(`**${id}**`);
  expect(start, id).toBeGreaterThanOrEqual(0);
  return spec.slice(start, spec.indexOf('**MESH-', start + 8));
}

const shown = (value: number): string => value.toLocaleString('en-US');
const seconds = (ms: number): string => `${ms / 1_000} seconds`;

describe('spec/mesh.md', () => {
  it.each([
    ['MESH-11', [limits.GOSSIP_BYTES_MAX, limits.PUBLISHES_PER_SECOND_MAX, limits.PUBLISH_BURST_MAX]],
    ['MESH-11', [limits.NEIGHBOUR_MESSAGES_PER_SECOND_MAX, limits.GOSSIP_RPC_BYTES_MAX]],
    ['MESH-14', [limits.VALIDATIONS_MAX]],
    ['MESH-20', [CERTIFICATE_BYTES_MAX, DATA_KIND_MAX]],
    ['MESH-23', [CONTROL_FRAME_BYTES_MAX]],
    ['MESH-25', Object.values(HELLO_LIMITS).flatMap(({ min, max }) => [min, max])],
    ['MESH-25', [limits.CALL_BODY_BYTES_MAX]],
    ['MESH-52', [FAILURE_BYTES_MAX]],
    ['MESH-53', [limits.REQUESTS_PER_PEER_MAX]],
    ['MESH-60', [limits.AGENTS_PER_PEER_MAX, ADVERT_BYTES_MAX]],
    ['MESH-66', [limits.DIRECTORY_AGENTS_MAX, limits.HOSTS_PER_AGENT_MAX, limits.AGENTS_PER_OPERATOR_MAX]],
    ['MESH-72', [OFFERS_PER_PEER_MAX]],
    ['MESH-75', [limits.OFFERS_GATHERED_MAX, limits.REQUESTS_OPEN_MAX]],
    ['MESH-78', [limits.SAMPLES_PER_PAYER_MAX, limits.MEASURED_PAYERS_MAX, limits.MEASURED_SAMPLES_MAX]],
    ['MESH-81', [DIRECTORY_DEFAULTS.probesPerRound]],
    ['MESH-74', Object.values(SCORE_WEIGHTS)],
  ])('%s names %j', (id, values) => {
    for (const value of values) expect(requirement(id)).toContain(shown(value));
  });

  it('names times as they are', () => {
    expect(requirement('MESH-42')).toContain(seconds(MESH_DEFAULTS.pingIntervalMs));
    expect(requirement('MESH-43')).toContain(`${MESH_DEFAULTS.idleMs / 60_000} minutes`);
    expect(requirement('MESH-13')).toContain(`${MESH_DEFAULTS.banMs / 60_000} minutes`);
    expect(requirement('MESH-61')).toContain(seconds(DIRECTORY_DEFAULTS.heartbeatMs));
    expect(requirement('MESH-61')).toContain(seconds(ADVERT_LIFE_MS_MAX));
    expect(requirement('MESH-65')).toContain(seconds(CLOCK_SKEW_MS));
    expect(requirement('MESH-71')).toContain(seconds(OFFER_REQUEST_LIFE_MS_MAX));
    expect(requirement('MESH-76')).toContain(seconds(OBSERVATION_INTERVAL_MS_MIN));
    expect(requirement('MESH-78')).toContain(`${MEASURES_DEFAULTS.windowMs / 60_000} minutes`);
    expect(requirement('MESH-79')).toContain(seconds(OBSERVATION_AGE_MS_MAX));
    expect(requirement('MESH-81')).toContain(seconds(DIRECTORY_DEFAULTS.probeIntervalMs));
    expect(requirement('MESH-82')).toContain(seconds(DIRECTORY_DEFAULTS.probeTimeoutMs));
    expect(requirement('MESH-82')).toContain(seconds(RETRY_MS));
    expect(ADVERT_INTERVAL_MS_MIN).toBe(1_000);
    expect(requirement('MESH-65')).toContain('within a second');
  });

  it('names every frame with its type', () => {
    const names = { fail: 'ERR' };
    for (const [name, type] of Object.entries(FRAME_TYPES)) {
      const shownName = { ...names }[name as 'fail'] ?? name.toUpperCase();
      expect(requirement('MESH-20')).toContain(`| 0x${type.toString(16).padStart(2, '0')} | ${shownName} |`);
    }
  });

  it('names protocols and topics', () => {
    const protocols = [CALL_PROTOCOL, CARD_PROTOCOL, ADVERTS_PROTOCOL, OFFER_PROTOCOL, PROBE_PROTOCOL];
    for (const protocol of protocols) expect(spec).toContain(`\`${protocol}\``);
    for (const kind of TOPIC_KINDS) expect(requirement('MESH-12')).toContain(`| \`${kind}\` |`);
    expect(topicName('<network>', 'adverts')).toBe('/sahara/1/<network>/adverts');
  });

  it('keeps its limits in order', () => {
    expect(limits.CALL_WINDOW_BYTES).toBeLessThan(limits.SESSION_UNREAD_BYTES_MAX);
    expect(limits.CALL_BODY_BYTES_MAX).toBeLessThanOrEqual(limits.CALL_PENDING_BYTES_MAX);
    expect(limits.SESSION_UNREAD_BYTES_MAX).toBeLessThan(limits.UNREAD_BYTES_MAX);
    expect(3 * DIRECTORY_DEFAULTS.heartbeatMs).toBeLessThanOrEqual(ADVERT_LIFE_MS_MAX);
  });
});
