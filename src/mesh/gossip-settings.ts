import { createHash } from 'node:crypto';
import type { GossipsubOpts } from '@libp2p/gossipsub';
import { StrictSign } from '@libp2p/gossipsub';
import { u32be, utf8 } from '../base/bytes.ts';
import { GOSSIP_RPC_BYTES_MAX } from './limits.ts';
import type { MeshOptions } from './options.ts';
import type { Standings } from './standing.ts';

/** Score under which a neighbour is not listened to, and is disconnected. */
export const GRAYLIST_SCORE = -80;

/**
 * What names a message: SHA-256 of the topic's length (u32), the topic and the data. The length frames the topic,
 * so that no message of one topic can be taken for one of another; the publisher is not part of it, so that one
 * advert wrapped again by somebody else is still the same advert.
 */
export function messageId(topic: string, data: Uint8Array): Uint8Array {
  const name = utf8(topic);
  return createHash('sha256').update(u32be(name.length)).update(name).update(data).digest();
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
    msgIdFn: (message) => messageId(message.topic, message.data),
    fastMsgIdFn: (message) =>
      Buffer.from(messageId(message.topic, message.data ?? new Uint8Array(0))).toString('latin1'),
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
