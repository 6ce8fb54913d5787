/**
 * Gossip: topics out of an allow-list, each message judged before it is passed on. gossipsub runs validators
 * without bound and punishes little by itself, so the bounds and the penalties are here.
 */
import type { GossipSub, GossipsubMessage, Message, TopicValidatorFn } from '@libp2p/gossipsub';
import { TopicValidatorResult } from '@libp2p/gossipsub';
import type { Clock } from '../base/clock.ts';
import { invariant, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { PeerDoor } from './door.ts';
import type { TopicHandler, Verdict } from './interface.ts';
import { GOSSIP_BYTES_MAX, PUBLISH_BURST_MAX, PUBLISHES_PER_SECOND_MAX, VALIDATIONS_MAX } from './limits.ts';
import { createBucket } from './rate.ts';
import type { Standings } from './standing.ts';
import { plainBytes } from './streams.ts';

/** Longest judgement of one message, milliseconds; slower ones count as `ignore`. */
const VALIDATION_MS_MAX = 2_000;

/** Points a neighbour loses for each message above its rate. */
const RATE_PENALTY = 1;

/** Topics and messages. */
export interface Gossip {
  subscribe(topic: string, handler: TopicHandler): () => void;
  publish(topic: string, message: Uint8Array): Promise<{ readonly recipients: number }>;
  stop(): void;
}

/** What gossip works with. */
export interface GossipParts {
  readonly pubsub: GossipSub;
  readonly clock: Clock;
  readonly log: Log;
  readonly standings: Standings;
  readonly door: PeerDoor;
}

interface Joined {
  readonly handler: TopicHandler;
  running: number;
}

const RESULTS: Readonly<Record<Verdict, TopicValidatorResult>> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
};

/** Gossip over a started node. `topics`: those that may be joined or published to. */
export function createGossip(parts: GossipParts, options: { readonly topics: readonly string[] }): Gossip {
  const { pubsub, clock, log } = parts;
  const allowed = new Set(options.topics);
  const joined = new Map<string, Joined>();
  const publishing = createBucket({
    ratePerSecond: PUBLISHES_PER_SECOND_MAX,
    burst: PUBLISH_BURST_MAX,
    nowMs: clock.monotonicMs(),
  });

  const judge = createJudge(parts, joined);
  const onMessage = (event: CustomEvent<GossipsubMessage>): void => {
    const { msg, propagationSource } = event.detail;
    try {
      joined
        .get(msg.topic)
        ?.handler.deliver(plainBytes(msg.data), propagationSource.toString(), authorOf(msg));
    } catch (error) {
      log.error('gossip handler failed', { topic: msg.topic, reason: String(error) });
    }
  };
  pubsub.addEventListener('gossipsub:message', onMessage);

  return {
    subscribe(topic, handler) {
      invariant(allowed.has(topic), 'the topic is in the allow-list');
      invariant(!joined.has(topic), 'a topic has one handler');
      invariant(handler.sizeBytesMax <= GOSSIP_BYTES_MAX, 'gossip messages are small');
      joined.set(topic, { handler, running: 0 });
      pubsub.topicValidators.set(topic, judge);
      pubsub.subscribe(topic);
      return () => {
        if (joined.get(topic)?.handler !== handler) return;
        joined.delete(topic);
        pubsub.unsubscribe(topic);
        pubsub.topicValidators.delete(topic);
      };
    },
    async publish(topic, message) {
      invariant(allowed.has(topic), 'the topic is in the allow-list');
      const limitBytes = joined.get(topic)?.handler.sizeBytesMax ?? GOSSIP_BYTES_MAX;
      if (message.length > limitBytes) {
        throw new SaharaError('too-large', { what: 'gossip message', sizeBytes: message.length, limitBytes });
      }
      const nowMs = clock.monotonicMs();
      if (!publishing.take(nowMs)) {
        throw new SaharaError('rate-limited', { what: 'gossip', retryAfterMs: publishing.waitMs(nowMs) });
      }
      const { recipients } = await pubsub.publish(topic, message);
      return { recipients: recipients.length };
    },
    stop() {
      pubsub.removeEventListener('gossipsub:message', onMessage);
      for (const topic of joined.keys()) pubsub.topicValidators.delete(topic);
      joined.clear();
    },
  };
}

/** Judges a message for gossipsub: size, rate, room, then the topic's own handler. */
function createJudge(parts: GossipParts, joined: ReadonlyMap<string, Joined>): TopicValidatorFn {
  const { clock, log, standings, door } = parts;
  return (peer, message) => {
    const topic = joined.get(message.topic);
    if (!topic) return RESULTS.ignore;
    const from = peer.toString();
    if (message.data.length > topic.handler.sizeBytesMax) {
      door.note(from, 'gossip-rejected');
      return RESULTS.reject;
    }
    // The message is judged all the same: dropping it would drop it for every neighbour, as it now counts as seen.
    if (!door.gossip(from)) standings.penalise(from, RATE_PENALTY);
    if (topic.running >= VALIDATIONS_MAX) return RESULTS.ignore;
    topic.running++;
    return verdictOf(() => topic.handler.validate(plainBytes(message.data), from, authorOf(message)), clock)
      .catch((error: unknown): Verdict => {
        log.error('gossip validator failed', { topic: message.topic, reason: String(error) });
        return 'ignore';
      })
      .then((verdict) => {
        if (verdict === 'reject') door.note(from, 'gossip-rejected');
        return RESULTS[verdict];
      })
      .finally(() => topic.running--);
  };
}

async function verdictOf(validate: () => Verdict | Promise<Verdict>, clock: Clock): Promise<Verdict> {
  const verdict = validate();
  if (typeof verdict === 'string') return verdict;
  const late = Promise.withResolvers<Verdict>();
  const cancel = clock.after(VALIDATION_MS_MAX, () => late.resolve('ignore'));
  return await Promise.race([verdict, late.promise]).finally(cancel);
}

/** Who signed a message. Unsigned ones are refused before they come here. */
function authorOf(message: Message): string {
  return message.type === 'signed' ? message.from.toString() : '';
}
