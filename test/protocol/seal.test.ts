import { AEAD_AES_128_GCM, CipherSuite, KDF_HKDF_SHA256, KEM_DHKEM_X25519_HKDF_SHA256 } from 'hpke';
import { describe, expect, it } from 'vitest';
import {
  callerLock,
  hpkeExport,
  hpkeSender,
  paddedMessage,
  scalarOf,
  sealMessage,
  x25519Key,
  x25519Public,
} from '../../scripts/vectors/seal.ts';
import { nativeSealCipher as cipher } from '../../src/agent/sealed-cipher.ts';
import { concat, toHex, utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { systemDice } from '../../src/base/random.ts';
import {
  createSealer,
  createSealKey,
  createUnsealer,
  type SealKey,
  type SealParts,
  type SealSession,
} from '../../src/protocol/seal.ts';
import {
  type CallSealed,
  callSealed,
  SEAL_SALT_BYTES,
  SEALED_BODY_BYTES_MAX,
  SEALED_MESSAGE_BYTES_MAX,
  type SealedMessage,
} from '../../src/protocol/sealed-message.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import { filled, network } from './sample.ts';
import { bytesOf, type Case, vectors } from './vector-files.ts';

const seed = filled(0x51);
const parts = { cipher, network, dice: systemDice };

const sealTo = (agent: Uint8Array): Promise<SealSession> =>
  createSealer({ ...parts, clock: systemClock }).to(agent);

const openSealed = (
  given: SealParts,
  key: SealKey,
  opening: CallSealed,
): ReturnType<ReturnType<typeof createUnsealer>['open']> => createUnsealer(given).open(key, opening);

const codeOf = async (attempt: () => unknown): Promise<string> => {
  try {
    await attempt();
    return 'ok';
  } catch (error) {
    if (error instanceof SaharaError) return error.code;
    throw error;
  }
};

const frame = (body: Uint8Array, kind = 1): SealedMessage => ({ type: 'frame', kind, body });

async function pairOf(): Promise<{ caller: SealSession; key: SealKey }> {
  const key = await createSealKey(seed);
  return { caller: await sealTo(key.agent), key };
}

async function opened(caller: SealSession, key: SealKey, body = utf8('question')): Promise<SealSession> {
  const { session } = await openSealed(parts, key, callSealed.decode(caller.write(frame(body))));
  return session;
}

describe('HPKE', () => {
  const { given, valid } = vectors('hpke');
  const of = (key: string): Uint8Array => bytesOf(given, key);
  const suite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_128_GCM);
  const context = async (): ReturnType<typeof suite.SetupRecipient> => {
    const [privateKey, publicKey] = await Promise.all([
      suite.DeserializePrivateKey(of('skRm')),
      suite.DeserializePublicKey(of('pkRm')),
    ]);
    return suite.SetupRecipient({ privateKey, publicKey }, of('enc'), { info: of('info') });
  };

  it('is the one of RFC 9180: what its appendix exports is exported (CALL-90)', async () => {
    const ctx = await context();
    const exports = valid.filter(({ name }) => name.startsWith('export'));
    expect(exports).toHaveLength(3);
    for (const entry of exports) {
      const value = await ctx.Export(bytesOf(entry, 'context'), Number(entry.length));
      expect(toHex(value), entry.name).toBe(entry.value);
    }
  });

  it('is the one of RFC 9180: what its appendix encrypts is opened, in its order (CALL-90)', async () => {
    const encryptions = valid.filter(({ name }) => name.startsWith('encryption'));
    expect(encryptions).toHaveLength(6);
    const ctx = await context();
    const first = encryptions[0] as Case;
    const plain = await ctx.Open(bytesOf(first, 'ciphertext'), bytesOf(first, 'aad'));
    expect(toHex(plain)).toBe(first.plaintext);
  });

  it('counts nonces as the appendix does (CALL-92)', () => {
    for (const entry of valid.filter(({ name }) => name.startsWith('encryption'))) {
      const nonce = Buffer.from(of('base_nonce'));
      nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ Number(entry.sequence)) >>> 0, 8);
      expect(toHex(nonce)).toBe(entry.nonce);
    }
  });

  it('is made again from primitives alone, as the vectors are', () => {
    const made = hpkeSender({ ephemeral: of('skEm'), recipient: of('pkRm'), info: of('info') });
    expect(toHex(made.enc)).toBe(given.enc);
    expect(toHex(made.exporterSecret)).toBe(given.exporter_secret);
    expect(toHex(hpkeExport(made.exporterSecret, utf8('TestContext'), 32))).toBe(
      valid.find(({ name }) => name === 'export 2')?.value,
    );
  });
});

describe('the vectors of sealed calls', () => {
  const { given, valid, invalid } = vectors('seal');
  const framesOf = (entry: Case): readonly Uint8Array[] =>
    (entry.frames as readonly string[]).map((hex) => new Uint8Array(Buffer.from(hex, 'hex')));
  const plain = (message: SealedMessage): unknown =>
    'body' in message ? { ...message, body: toHex(message.body) } : message;
  const dice = { bytes: (): Uint8Array => bytesOf(given, 'answerSalt') };

  async function read(frames: readonly Uint8Array[]): Promise<{ messages: unknown[]; session: SealSession }> {
    const key = await createSealKey(bytesOf(given, 'agentSeed'));
    const [start = new Uint8Array(0), ...rest] = frames;
    const open = { ...parts, network: String(given.network), dice };
    const { first, session } = await openSealed(open, key, callSealed.decode(start));
    return { messages: [plain(first), ...rest.map((body) => plain(session.read(body)))], session };
  }

  it.each(valid)('open: $name (CALL-90 CALL-92 CALL-93)', async (entry) => {
    expect((await read(framesOf(entry))).messages).toEqual(entry.messages);
  });

  it.each(invalid)('do not open: $name (CALL-94)', async (entry) => {
    const frames = framesOf(entry);
    const at = Number(entry.at);
    if (at > 0) await read(frames.slice(0, at));
    expect(await codeOf(() => read(frames.slice(0, at + 1)))).toBe(entry.code);
  });

  it('answer as they say (CALL-91)', async () => {
    const { session } = await read(framesOf(valid[0] as Case));
    const messages = given.answerMessages as readonly { type: string; kind?: number; body: string }[];
    const said = messages.map(({ body, ...rest }) =>
      toHex(session.write({ ...rest, body: new Uint8Array(Buffer.from(body, 'hex')) } as SealedMessage)),
    );
    expect(said).toEqual(given.answers);
  });

  it('use the Ed25519 key of the agent as an X25519 key (CALL-90)', async () => {
    const key = await createSealKey(bytesOf(given, 'agentSeed'));
    expect(toHex(key.agent)).toBe(given.agent);
    expect(toHex(x25519Public(x25519Key(scalarOf(bytesOf(given, 'agentSeed')))))).toBe(given.agentX25519);
  });
});

describe('a sealed call', () => {
  it('carries messages both ways, in order', async () => {
    const { caller, key } = await pairOf();
    const start = callSealed.decode(caller.write(frame(utf8('question'))));
    expect(toHex(start.agent)).toBe(toHex(key.agent));
    const { first, session } = await openSealed(parts, key, start);
    expect(first).toMatchObject({ type: 'frame', kind: 1 });
    for (let i = 0; i < 300; i++) {
      const body = systemDice.bytes(i * 7);
      expect(caller.read(session.write(frame(body, 2)))).toEqual(frame(body, 2));
      expect(session.read(caller.write(frame(body, 10)))).toEqual(frame(body, 10));
    }
    expect(caller.read(session.write({ type: 'end' }))).toEqual({ type: 'end' });
    expect(session.read(caller.write({ type: 'cancel' }))).toEqual({ type: 'cancel' });
  });

  it('opens for its agent, network and purpose only (CALL-90)', async () => {
    const { caller, key } = await pairOf();
    const start = callSealed.decode(caller.write(frame(utf8('question'))));
    const other = await createSealKey(filled(0x61));
    expect(await codeOf(() => openSealed(parts, other, start))).toBe('seal-invalid');
    const elsewhere = { ...parts, network: 'other-0000000000000000' };
    expect(await codeOf(() => openSealed(elsewhere, key, start))).toBe('seal-invalid');
    const recipient = x25519Public(x25519Key(scalarOf(seed)));
    const name = utf8(`sahara/1/${network}/other`);
    for (const info of [concat(Uint8Array.of(name.length), name, key.agent), new Uint8Array(0)]) {
      const { enc, exporterSecret } = hpkeSender({ ephemeral: filled(0x62), recipient, info });
      const salt = filled(0x63);
      const lock = callerLock(hpkeExport(exporterSecret, utf8('sahara/1/seal'), 32), salt);
      const sealed = sealMessage(lock, 0, paddedMessage(0, 1, { body: utf8('x') }));
      const forged = { agent: key.agent, encapsulated: enc, salt, sealed };
      expect(await codeOf(() => openSealed(parts, key, forged))).toBe('seal-invalid');
    }
  });

  it('is sealed to points of the curve that are not of small order (CALL-90)', async () => {
    const off = filled(0xff);
    const small = [filled(0), Uint8Array.of(1, ...filled(0, 31))];
    const notOnCurve = Uint8Array.of(2, ...filled(0, 31));
    for (const agent of [off, ...small, notOnCurve]) {
      expect(await codeOf(() => sealTo(agent)), toHex(agent)).toBe('seal-invalid');
    }
    expect(await codeOf(() => sealTo(createSigner(filled(9)).publicKey))).toBe('ok');
  });

  it('hides lengths and kinds: frames of a size differ in nothing that can be seen (CALL-93)', async () => {
    const { caller, key } = await pairOf();
    const host = await opened(caller, key);
    host.write(frame(new Uint8Array(0)));
    const sizeOf = (bodyBytes: number): number => host.write(frame(filled(1, bodyBytes), 2)).length - 16;
    expect(new Set([0, 1, 100, 250].map(sizeOf))).toEqual(new Set([256]));
    expect(host.write({ type: 'end' })).toHaveLength(256 + 16);
    expect([251, 506, 507, 4_090].map(sizeOf)).toEqual([512, 512, 1_024, 4_096]);
    expect(sizeOf(524_282)).toBe(524_288);
    expect(sizeOf(524_283)).toBe(SEALED_MESSAGE_BYTES_MAX);
    expect(sizeOf(SEALED_BODY_BYTES_MAX)).toBe(SEALED_MESSAGE_BYTES_MAX);
    expect(await codeOf(() => host.write(frame(filled(1, SEALED_BODY_BYTES_MAX + 1))))).toBe('too-large');
    const largest = caller.write(frame(filled(1, SEALED_BODY_BYTES_MAX)));
    expect(largest.length).toBeLessThanOrEqual(1_048_576);
    const fresh = (await pairOf()).caller.write(frame(filled(1, SEALED_BODY_BYTES_MAX)));
    expect(fresh.length).toBeLessThanOrEqual(1_048_576);
  });

  it('answers a repeated opening under other keys, so that the two answers tell nothing (CALL-91)', async () => {
    const { caller, key } = await pairOf();
    const start = callSealed.decode(caller.write(frame(utf8('question'))));
    const answers = await Promise.all(
      [1, 2].map(async () => {
        const { session } = await openSealed(parts, key, start);
        return session.write(frame(filled(7, 100), 2));
      }),
    );
    const [one = new Uint8Array(0), two = new Uint8Array(0)] = answers;
    expect(toHex(one.subarray(0, SEAL_SALT_BYTES))).not.toBe(toHex(two.subarray(0, SEAL_SALT_BYTES)));
    expect(toHex(one.subarray(SEAL_SALT_BYTES))).not.toBe(toHex(two.subarray(SEAL_SALT_BYTES)));
  });

  it('uses an encapsulated key for a minute, under other keys for each call (CALL-91)', async () => {
    let nowMs = 0;
    const clock = { ...systemClock, monotonicMs: () => nowMs };
    const sealer = createSealer({ ...parts, clock });
    const unsealer = createUnsealer(parts, { secretsMax: 1 });
    const key = await createSealKey(seed);
    const openings = async (): Promise<CallSealed> =>
      callSealed.decode((await sealer.to(key.agent)).write(frame(utf8('question'))));
    const first = await openings();
    nowMs = 59_999;
    const second = await openings();
    nowMs = 60_000;
    const third = await openings();
    expect(toHex(second.encapsulated)).toBe(toHex(first.encapsulated));
    expect(toHex(third.encapsulated)).not.toBe(toHex(first.encapsulated));
    expect(toHex(second.salt)).not.toBe(toHex(first.salt));
    expect(toHex(second.sealed)).not.toBe(toHex(first.sealed));
    // Also when the secret of the one before was forgotten.
    for (const opening of [first, third, second]) {
      expect((await unsealer.open(key, opening)).first).toMatchObject({ type: 'frame', kind: 1 });
    }
  });

  it('forgets what could not be made, and tries again', async () => {
    const sealer = createSealer({ ...parts, clock: systemClock }, { agentsMax: 1 });
    expect(await codeOf(() => sealer.to(filled(0)))).toBe('seal-invalid');
    expect(await codeOf(() => sealer.to(filled(0)))).toBe('seal-invalid');
    expect(await codeOf(() => sealer.to(createSigner(seed).publicKey))).toBe('ok');
    expect(await codeOf(() => sealer.to(createSigner(filled(9)).publicKey))).toBe('ok');
  });

  it('does not open with any bit changed, from either side (CALL-94)', async () => {
    const { caller, key } = await pairOf();
    const start = caller.write(frame(utf8('question')));
    for (let at = 0; at < start.length; at++) {
      const opening = (): ReturnType<typeof callSealed.decode> => callSealed.decode(flipped(start, at));
      const code = await codeOf(async () => {
        const found = toHex(opening().agent) === toHex(key.agent) ? key : undefined;
        if (found === undefined) throw new SaharaError('seal-invalid');
        return openSealed(parts, found, opening());
      });
      expect(code, `byte ${at}`).toMatch(/seal-invalid|malformed/);
    }
    for (let at = 0; at < SEAL_SALT_BYTES + 272; at++) {
      const pair = await pairOf();
      const host = await opened(pair.caller, key);
      const answer = host.write(frame(utf8('answer'), 2));
      expect(await codeOf(() => pair.caller.read(flipped(answer, at))), `byte ${at}`).toBe('seal-invalid');
    }
  });

  it('does not open frames that are left out, repeated, exchanged or turned round (CALL-94)', async () => {
    const key = await createSealKey(seed);
    const wrongs: ((frames: readonly Uint8Array[], own: Uint8Array) => Uint8Array | undefined)[] = [
      ([first]) => first,
      ([, , third]) => third,
      (_frames, own) => own,
      () => new Uint8Array(0),
      () => filled(0, 272),
      ([, second]) => second?.subarray(1),
    ];
    for (const [i, wrong] of wrongs.entries()) {
      const { caller } = await pairOf();
      const host = await opened(caller, key);
      const frames = [1, 2, 3].map((fill) => host.write(frame(filled(fill), 2)));
      expect(caller.read(frames[0] ?? filled(0))).toEqual(frame(filled(1), 2));
      const body = wrong(frames, caller.write(frame(filled(4), 10))) ?? filled(0);
      expect(await codeOf(() => caller.read(body)), `case ${i}`).toBe('seal-invalid');
    }
  });
});

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8));
  return copy;
}
