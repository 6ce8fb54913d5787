/** Limits of the mesh. Those that peers must share stand in `spec/mesh.md` and `src/protocol/frames.ts`. */

/** Calls of one peer that are served at a time. */
export const CALLS_PER_PEER_MAX = 1_024;
/** Calls that one peer may begin in a second: far above honest use, far below what would starve the others. */
export const CALL_OPENS_PER_SECOND_MAX = 100_000;
/** Call streams that one peer may hold open; more than one only while two dial at once or one drains. */
export const SESSIONS_PER_PEER_MAX = 4;
/** Greatest body of one call frame, bytes: an opening with its request fits. */
export const CALL_BODY_BYTES_MAX = 1_048_576;
/** Unread bytes of one call before its sender is held, one frame excepted. */
export const CALL_WINDOW_BYTES = 131_072;
/** Unread bytes of all calls of one stream before a further frame fails its call. */
export const SESSION_UNREAD_BYTES_MAX = 8_388_608;
/** Unread bytes of all calls of all peers before a further frame fails its call. */
export const UNREAD_BYTES_MAX = 134_217_728;
/** Bytes of one stream that wait for the network before its calls are held; at twice as many it is given up. */
export const SESSION_UNSENT_BYTES_MAX = 4_194_304;
/** Bytes of one call that wait for credit before sending on is an error. */
export const CALL_PENDING_BYTES_MAX = 2_097_152;

/** Largest gossip message, bytes, whatever its topic allows. */
export const GOSSIP_BYTES_MAX = 16_384;
/** Largest gossip RPC taken, bytes. A larger one would part the pair for the connection's life. */
export const GOSSIP_RPC_BYTES_MAX = 1_048_576;
/** Validations of one topic that run at a time; above, messages are ignored. */
export const VALIDATIONS_MAX = 64;
/** Messages that one neighbour may hand over in a second, and at once, before its standing falls. */
export const NEIGHBOUR_MESSAGES_PER_SECOND_MAX = 500;
/** Messages that this peer publishes in a second. */
export const PUBLISHES_PER_SECOND_MAX = 64;
/** Messages that this peer publishes at once. */
export const PUBLISH_BURST_MAX = 256;

/** Largest answer that `request` may ask for, bytes. */
export const ANSWER_BYTES_MAX = 67_108_864;
/** Questions that one peer may ask in a second, under all protocols; twice as many at once. */
export const QUESTIONS_PER_SECOND_MAX = 5_000;
/** Questions of one peer under one protocol that are open at a time. */
export const REQUESTS_PER_PEER_MAX = 16;

/** Peers in the address book. */
export const ADDRESS_BOOK_PEERS_MAX = 1_000;
/** Addresses kept of one peer. */
export const PEER_ADDRESSES_MAX = 8;
/** Longest address, characters. */
export const ADDRESS_CHARACTERS_MAX = 256;
/** Peers banned at a time. */
export const BANS_MAX = 1_024;
/** Peers whose standing is kept at a time. */
export const STANDINGS_MAX = 4_096;

/** Agents that the directory lists. */
export const DIRECTORY_AGENTS_MAX = 10_000;
/** Agents listed for one hosting peer. */
export const AGENTS_PER_PEER_MAX = 256;
/** Agents listed for one operator. */
export const AGENTS_PER_OPERATOR_MAX = 256;
/** Hosts listed for one agent. */
export const HOSTS_PER_AGENT_MAX = 16;
/** Hosts that failed a probe or a call and are remembered for it. */
export const SUSPECTS_MAX = 4_096;
/** Payers heard of one host of an agent; beyond, who paid least leaves. */
export const MEASURED_PAYERS_MAX = 64;
/** Observations kept of one payer on one host. */
export const SAMPLES_PER_PAYER_MAX = 8;
/** Observations kept of all hosts; beyond, the host not spoken of for longest is forgotten. */
export const MEASURED_SAMPLES_MAX = 65_536;
/** Receipts remembered so that none is spoken of twice, and pairs of payer and agent for their pace. */
export const RECEIPTS_SEEN_MAX = 65_536;
/** Requests for offers remembered so that none is answered twice. */
export const REQUESTS_SEEN_MAX = 16_384;
/** Authors of gossip whose pace is followed on one topic. */
export const AUTHORS_FOLLOWED_MAX = 4_096;
/** Offers that one request of this peer gathers. */
export const OFFERS_GATHERED_MAX = 64;
/** Requests for offers of this peer that are open at a time. */
export const REQUESTS_OPEN_MAX = 16;
/** Cards kept after they were pulled. */
export const CARDS_CACHED_MAX = 512;
/** Names offered when one is unknown. */
export const SUGGESTIONS_MAX = 3;
