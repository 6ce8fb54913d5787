/** Kinds of gossip, each with a topic of its own on every network. */
export const TOPIC_KINDS = ['adverts', 'transactions', 'blocks', 'offers', 'observations'] as const;

/** A kind of gossip. */
export type TopicKind = (typeof TOPIC_KINDS)[number];

/** The topic of `kind` on `network`: `/sahara/1/<network>/<kind>`. */
export function topicName(network: string, kind: TopicKind): string {
  return `/sahara/1/${network}/${kind}`;
}

/** Every topic of `network`: what a peer may join, and what it lets its neighbours join. */
export function topicsOf(network: string): readonly string[] {
  return TOPIC_KINDS.map((kind) => topicName(network, kind));
}
