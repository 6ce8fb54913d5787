/** Everything in the merge engine that can grow, and how far. */
import { invariant } from '../base/errors.ts';

/** Most bytes of a safetensors header, the format's own limit; and of a GGUF header, an archive's directory or a pickle. */
export const HEADER_BYTES_MAX: number = 100_000_000;
/** Most tensors of one model. */
export const TENSORS_MAX: number = 1_000_000;
/** Most instructions of a pickle, with nine more for each thing that one makes: a tensor takes about 110. */
export const PICKLE_WORK_MAX: number = 10_000_000;
/** Most dimensions of a tensor. */
export const DIMENSIONS_MAX: number = 8;
/** Most elements of one tensor: the counter hash and the histograms count in 32 bits. */
export const TENSOR_ELEMENTS_MAX: number = 2 ** 32 - 1;
/** Most bytes of a tensor's name, in UTF-8. */
export const NAME_BYTES_MAX: number = 1_024;
/** Most files that one model is split into. */
export const SHARDS_MAX: number = 10_000;
/** Most bytes of a shard index, a model's config.json or a manifest. */
export const JSON_BYTES_MAX: number = 256 * 1024 * 1024;
/** Most bytes of a recipe. */
export const RECIPE_BYTES_MAX: number = 1024 * 1024;
/** Most models that one merge reads, the base included. */
export const MODELS_MAX: number = 64;
/** Most parts of models that a recipe speaks of. */
export const MODULES_MAX: number = 64;
/** Most documents of a recipe: stages and the output. */
export const STAGES_MAX: number = 64;
/** Most slices of a recipe. */
export const SLICES_MAX: number = 4_096;
/** Most errors that one plan lists. */
export const PROBLEMS_MAX: number = 100;
/** Most bytes of a tokenizer or configuration file that is compared or copied beside the weights. */
export const SIDE_FILE_BYTES_MAX: number = 256 * 1024 * 1024;

/** Most bytes of a tokenizer that is joined with others. */
export const TOKENIZER_BYTES_MAX: number = 128 * 1024 * 1024;
/** Greatest number of a token in a joined vocabulary. */
export const TOKEN_ID_MAX: number = 2 ** 24 - 2;
/** Most rows of an embedding in a joined vocabulary. */
export const VOCABULARY_ROWS_MAX: number = 2 ** 24;

/** Most metadata keys of a GGUF file. */
export const METADATA_KEYS_MAX: number = 65_536;
/** Most bytes of a text, and most items of an array, in GGUF metadata. */
export const GGUF_STRING_BYTES_MAX: number = 64 * 1024 * 1024;

/** Longest chat template that is taken over from a model, bytes. */
export const CHAT_TEMPLATE_BYTES_MAX: number = 1024 * 1024;

/** Most bytes of an adapter, which is held in memory whole. */
export const ADAPTER_BYTES_MAX: number = 2 ** 31;
/** Greatest rank of an adapter's module. */
export const ADAPTER_RANK_MAX: number = 4_096;
/** Most clients of a federated round: every pair of them is compared. */
export const ADAPTER_CLIENTS_MAX: number = 1_024;

/** Most scales of one tensor of FP8: a block of 128 by 128 for each, of the largest tensor. */
export const SCALES_MAX: number = 2 ** 24;

/** Elements of a tile: the piece of a tensor that the kernels work on while it stays in the processor's cache. */
export const TILE_ELEMENTS: number = 8_192;
/** Elements of a chunk, the piece that is read and written at once, when a tensor does not fit into memory. */
export const CHUNK_ELEMENTS: number = 1024 * 1024;
/** Least memory of one worker in bytes. */
export const WORKER_MEMORY_BYTES_MIN: number = 8 * 1024 * 1024;
/** Most memory of one worker in bytes: what 32-bit addresses reach, less a page. */
export const WORKER_MEMORY_BYTES_MAX: number = 2 ** 32 - 65_536;
/** Bytes of work below which another worker costs more to start than it saves. */
export const WORKER_SHARE_BYTES_MIN: number = 1024 * 1024;
/** Most workers of one merge. */
export const WORKERS_MAX: number = 64;
/** Longest time that a worker is waited for while it loads, milliseconds; then it is left to end by itself. */
export const WORKER_LOAD_MS_MAX: number = 60_000;
/** Longest time between telling a worker to end and terminating it, milliseconds. */
export const WORKER_END_MS_MAX: number = 10_000;

invariant(
  TILE_ELEMENTS % 8 === 0 && CHUNK_ELEMENTS % TILE_ELEMENTS === 0,
  'a chunk is whole tiles of whole blocks',
);
