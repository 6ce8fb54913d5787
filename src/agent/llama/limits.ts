/** Everything around local models that can grow, and how far. */
import { invariant } from '../../base/errors.ts';

/** Longest header of a model file: metadata with the vocabulary, and descriptions of tensors; bytes. */
export const GGUF_HEADER_BYTES_MAX: number = 64 * 1024 * 1024;
/** Piece of a model file that is hashed at a time, bytes. */
export const HASH_PIECE_BYTES: number = 1024 * 1024;
/** Most tokens of a vocabulary. */
export const VOCABULARY_MAX: number = 1_048_576;
/** Most bytes of a chat template. */
export const TEMPLATE_BYTES_MAX: number = 131_072;
/** Longest context that a model may claim, tokens. */
export const CONTEXT_MAX: number = 16_777_216;
/** Widest residual stream. */
export const EMBEDDING_MAX: number = 65_536;
/** Most layers. */
export const LAYERS_MAX: number = 1_024;
/** Widest feed-forward layer. */
export const FEED_FORWARD_MAX: number = 1_048_576;
/** Most heads of attention. */
export const HEADS_MAX: number = 1_024;
/** Widest head. */
export const HEAD_MAX: number = 1_024;
/** Most feed-forward networks of a layer. */
export const EXPERTS_MAX: number = 512;
/** Most kinds of sentences that a vocabulary tells apart. */
export const TOKEN_TYPES_MAX: number = 16;
/** Greatest rank of an adapter. */
export const RANK_MAX: number = 1_024;

/** Most sequences that one context decodes together. */
export const SEQUENCES_MAX: number = 64;
/** Most contexts of one model at a time: one for each set of adapters with scales. */
export const CONTEXTS_MAX: number = 8;
/** Most adapters at once. */
export const ADAPTERS_MAX: number = 8;
/** Greatest size of a scale: from its negative to it. */
export const SCALE_MAX: number = 8;
/** Most candidates that a sampler sees. */
export const CANDIDATES_MAX: number = 256;
/** Tokens of a prompt that are read at once: pieces begin at multiples of it. */
export const PIECE_TOKENS: number = 128;
/** Most tokens of prompts that are read in one step while others stream: what a stream waits for at most. */
export const PROMPT_TOKENS_PER_STEP: number = 128;
/** The same while nobody streams. */
export const PROMPT_TOKENS_ALONE: number = 512;
/** Tokens that are held back at most while they end within a character. */
export const PARTIAL_TOKENS_MAX: number = 16;
/** Most texts at which an answer stops. */
export const STOPS_MAX: number = 16;
/** Greatest length of one of them, UTF-16 units. */
export const STOP_LENGTH_MAX: number = 256;

/** Most tokens of thoughts before an answer; then they are ended for the model. */
export const THOUGHT_TOKENS_MAX: number = 4_096;
/** Most tokens of the calls of one turn; then the one that is being written is ended in the shortest way. */
export const CALL_TOKENS_MAX: number = 4_096;
/** Longest arguments of a call before they are ended in the shortest way, UTF-16 units. */
export const CALL_LENGTH_MAX: number = 8_192;
/** Most rules of a grammar that are looked at for one token, over all that it could be. */
export const RULES_PER_TOKEN_MAX: number = 65_536;
/** Most rules that one character of a tool's arguments may be looked up in: a schema with more is refused. */
export const RULES_PER_CHARACTER_MAX: number = 1_024;
/** Rules that are looked at to find that out. */
export const RULES_EXPLORED_MAX: number = 200_000;
/** Text that waits for its reader before its sequence is paused, UTF-16 units. */
export const UNREAD_LENGTH_MAX: number = 65_536;

/** Most texts that are judged in one request. */
export const JUDGED_TEXTS_MAX: number = 64;
/** Texts of a request that a model which makes vectors is given in one turn: whoever asks something waits for no more. */
export const JUDGED_TEXTS_PER_TURN: number = 8;
/** Tokens of a text that its vector is made of, and of question and passage together that are held against each other. */
export const JUDGED_TOKENS: number = 1_024;
/** Most numbers of a vector. */
export const VECTOR_NUMBERS_MAX: number = 8_192;

/** Longest message between daemon and host, UTF-16 units of its JSON. */
export const MESSAGE_LENGTH_MAX: number = 16 * 1024 * 1024;
/** Most requests under way in one host. */
export const REQUESTS_MAX: number = 1_024;
/** What is kept of a host's standard error, UTF-16 units. */
export const STDERR_LENGTH_MAX: number = 4_096;

invariant(CANDIDATES_MAX <= VOCABULARY_MAX, 'candidates are tokens');
invariant(PIECE_TOKENS <= PROMPT_TOKENS_PER_STEP, 'a piece fits into a step');
invariant(JUDGED_TEXTS_PER_TURN <= JUDGED_TEXTS_MAX, 'a turn fits into a request');
