import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto';
import type { SealCipher } from '../protocol/seal.ts';

const TAG_BYTES = 16;

/** AES-128-GCM of node:crypto. */
export const nativeSealCipher: SealCipher = {
  under(bytes) {
    // A key object once for all frames: handing over the bytes each time costs three times as much.
    const key = createSecretKey(bytes);
    return {
      seal(nonce, message) {
        const cipher = createCipheriv('aes-128-gcm', key, nonce);
        const sealed = new Uint8Array(message.length + TAG_BYTES);
        sealed.set(cipher.update(message));
        cipher.final();
        sealed.set(cipher.getAuthTag(), message.length);
        return sealed;
      },
      open(nonce, sealed) {
        const at = sealed.length - TAG_BYTES;
        if (at < 0) return undefined;
        const decipher = createDecipheriv('aes-128-gcm', key, nonce, { authTagLength: TAG_BYTES });
        decipher.setAuthTag(sealed.subarray(at));
        const message = decipher.update(sealed.subarray(0, at));
        try {
          decipher.final();
        } catch {
          return undefined;
        }
        return new Uint8Array(message.buffer, message.byteOffset, message.length);
      },
    };
  },
};
