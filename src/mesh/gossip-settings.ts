import { createHash } from 'node:crypto';
import type { GossipsubOpts, Message } from '@libp2p/gossipsub';
import { StrictSign } from '@libp2p/gossipsub';
import { u32be, utf8 } from '../base/bytes.ts';
import { GOSSIP_RPC_BYTES_MAX } from './limits.ts';
import type { MeshOptions } from './options.ts';
import type { Standings } from './standing.ts';

/** Score under which a neighbour is not listened to, and is disconnected. */
export const GRAYLIST_SCORE = -80;

/**
 * What names a message: SHA-256 over the topic, the author's peer id and the data, each after its length (u32).
 * The lengths keep a message of one topic from being taken for one of another; the author keeps what somebody
 * else wraps again from counting as the message itself, and being suppressed with it.
 */
export function messageId(topic: string, author: Uint8Array, data: Uint8Array): Uint8Array {
  const name = utf8(topic);
  return createHash('sha256')
    .update(u32be(name.length))
    .update(name)
    .update(u32be(author.length))
    .update(author)
    .update(u32be(data.length))
    .update(data)
    .digest();
}

const NOBODY = new Uint8Array(0);

/** The author's peer id in its bytes; unsigned messages never get this far. */
function authorOf(message: Message): Uint8Array {
  return message.type === 'signed' ? message.from.toMultihash().bytes : NOBODY;
}

type TopicScores = NonNullable<GossipsubOpts['scoreParams']['topics']>;

// Traffic is rare here, so missing deliveries prove nothing; only what was rejected counts, squared.
function topicScores(topics: readonly string[]): TopicScores {
  const scores = {
    topicWeight: 1,
    timeInMeshWeight: 0.01,
    timeInMeshQuantum: 1_000,
    timeInMeshCap: 300,
    firstMessageDeliveriesWeight: 0.1,
    firstMessageDeliveriesDecay: 0.5,
    firstMessageDeliveriesCap: 50,
    meshMessageDeliveriesWeight: 0,
    meshMessageDeliveriesDecay: 0.5,
    meshMessageDeliveriesCap: 100,
    meshMessageDeliveriesThreshold: 1,
    meshMessageDeliveriesWindow: 10,
    meshMessageDeliveriesActivation: 5_000,
    meshFailurePenaltyWeight: 0,
    meshFailurePenaltyDecay: 0.5,
    invalidMessageDeliveriesWeight: -5,
    invalidMessageDeliveriesDecay: 0.97,
  };
  return Object.fromEntries(topics.map((topic) => [topic, scores]));
}

/** The settings of gossipsub that hold on every Sahara network. */
export function gossipSettings(standings: Standings, options: MeshOptions): Partial<GossipsubOpts> {
  return {
    globalSignaturePolicy: StrictSign,
    floodPublish: false,
    fallbackToFloodsub: false,
    emitSelf: false,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    runOnLimitedConnection: true,
    allowedTopics: [...options.topics],
    maxInboundDataLength: GOSSIP_RPC_BYTES_MAX,
    idontwantMinDataSize: 32_768,
    heartbeatInterval: options.heartbeatMs,
    D: 4,
    Dlo: 3,
    Dhi: 6,
    Dscore: 2,
    Dout: 1,
    Dlazy: 4,
    msgIdFn: (message) => messageId(message.topic, authorOf(message), message.data),
    fastMsgIdFn: ({ topic, from, data }) =>
      Buffer.from(messageId(topic, from ?? NOBODY, data ?? NOBODY)).toString('latin1'),
    scoreParams: {
      topics: topicScores(options.topics),
      topicScoreCap: 10,
      appSpecificScore: (peerId) => standings.scoreOf(peerId),
      appSpecificWeight: 1,
      behaviourPenaltyThreshold: 6,
      // Peers behind one address are ordinary: a household, a rack, a test.
      IPColocationFactorWeight: 0,
    },
    scoreThresholds: { graylistThreshold: GRAYLIST_SCORE },
  };
}
