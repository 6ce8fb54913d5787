/** Limits of a home's models. */

/** Most models of one home. */
export const MODELS_MAX = 256;

/** Most downloads that are kept half done. */
export const PARTS_MAX = 16;

/** Largest model file, bytes. */
export const MODEL_BYTES_MAX: number = 2 ** 41;

/** Space that stays free on the disk, bytes: the ledger and the books need some. */
export const SPACE_LEFT_BYTES = 500_000_000;

/** Redirects that one request follows. */
export const REDIRECTS_MAX = 5;

/** Attempts in a row that bring no byte, after which a download is given up. */
export const ATTEMPTS_MAX = 5;

/** Wait before the first of them is repeated, milliseconds; doubled for each further one. */
export const ATTEMPT_WAIT_MS = 500;

/** Longest wait for an answer's head or its next bytes, milliseconds. */
export const DOWNLOAD_IDLE_MS = 30_000;

/** Bytes between two writes of a part to the disk that are waited for. */
export const SYNC_EVERY_BYTES = 67_108_864;

/** Largest list of files that a hub may send, bytes. */
export const HUB_LIST_BYTES_MAX = 4_194_304;

/** Time between two words on progress, milliseconds. */
export const TELL_EVERY_MS = 200;
