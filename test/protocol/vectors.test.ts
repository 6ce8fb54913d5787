/** Runs every vector of `spec/vectors/` that belongs to the protocol's own pages, over both suites. */
import { describe, expect, it } from 'vitest';
import { vectorFiles } from '../../scripts/vectors/files.ts';
import { equalBytes, fromHex, toHex } from '../../src/base/bytes.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { checkParents } from '../../src/protocol/budget.ts';
import { callOpening, callRequest } from '../../src/protocol/call.ts';
import { certificateChain, verifyChain } from '../../src/protocol/certificate.ts';
import { Reader, Writer } from '../../src/protocol/codec.ts';
import { type EnvelopeExpectation, envelope, verifyEnvelope } from '../../src/protocol/envelope.ts';
import { didOf, publicKeyOf } from '../../src/protocol/ids.ts';
import { merklePath, merkleRootFrom } from '../../src/protocol/merkle.ts';
import { receiptLeaf, receiptPath, receiptRootFrom } from '../../src/protocol/receipt-tree.ts';
import { checkSigned, createVerifier, signed } from '../../src/protocol/signing.ts';
import type { Suite } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite, swiftSuite } from '../../src/protocol/suite-native.ts';
import { portableSuite } from '../../src/protocol/suite-portable.ts';
import { verifyBundle } from '../../src/protocol/verify-bundle.ts';
import { SCHEMAS } from './schemas.ts';
import { bytesOf, type Case, vectors } from './vector-files.ts';

const SUITES: readonly (readonly [string, Suite])[] = [
  ['native', nativeSuite],
  ['swift', swiftSuite],
  ['portable', portableSuite],
];

const codeOf = (attempt: () => unknown): string => {
  try {
    attempt();
    return 'ok';
  } catch (error) {
    if (error instanceof SaharaError) return error.code;
    throw error;
  }
};

describe('the files', () => {
  it.each([...vectorFiles()])('%s holds what the protocol makes, and is not rewritten here', (name, text) => {
    expect(vectors(name.replace('.json', '')).text).toBe(text);
  });
});

/** Reads and writes a value in the terms of `encoding.json`. */
function writeValue(writer: Writer, value: unknown): void {
  if (value === null) writer.null();
  else if (typeof value === 'boolean') writer.bool(value);
  else if (Array.isArray(value)) {
    writer.array(value.length);
    for (const item of value) writeValue(writer, item);
  } else if (typeof value === 'object' && 'bytes' in value) writer.bytes(bytesOf({ ...value }, 'bytes'));
  else if (typeof value === 'object' && 'map' in value) {
    writer.map(new Map(value.map as [string, unknown][]), (item) => writeValue(writer, item));
  } else writer.uint(BigInt(String(value)));
}

function readAnything(reader: Reader, bytes: Uint8Array): void {
  const major = (bytes[reader.offset] ?? 0xff) >> 5;
  const max = 2 ** 31;
  if (major === 0) reader.bigUint(2n ** 64n - 1n);
  else if (major === 2) reader.bytes(0, max);
  else if (major === 3) reader.text(max);
  else if (major === 4) {
    const length = reader.array(max);
    for (let i = 0; i < length; i++) readAnything(reader, bytes);
    reader.leave();
  } else if (major === 5) reader.map(max, max, () => readAnything(reader, bytes));
  else if (!reader.nullNext()) reader.bool();
}

describe('encoding.json', () => {
  const file = vectors('encoding');
  it.each(file.valid)('writes $name (ENC-1)', (entry) => {
    const writer = new Writer();
    if (entry.name.startsWith('text')) writer.text(String(entry.value));
    else if (entry.name === 'an array') writeArray(writer);
    else writeValue(writer, entry.value);
    expect(toHex(writer.finish())).toBe(entry.hex);
  });
  it.each(file.valid)('reads $name (ENC-1)', (entry) => {
    const bytes = bytesOf(entry, 'hex');
    const reader = new Reader(bytes);
    readAnything(reader, bytes);
    expect(() => reader.end()).not.toThrow();
  });
  it.each(file.invalid)('refuses $name (ENC-2)', (entry) => {
    const bytes = bytesOf(entry, 'hex');
    const reader = new Reader(bytes);
    const read = (): void => {
      readAnything(reader, bytes);
      reader.end();
    };
    expect(codeOf(read)).toBe('malformed');
  });
});

function writeArray(writer: Writer): void {
  writer.array(3);
  writer.uint(1);
  writer.null();
  writer.text('a');
}

describe('records.json', () => {
  const file = vectors('records');
  const read = (entry: Case): string => {
    const known = SCHEMAS.find(({ name }) => name === entry.record);
    return codeOf(() => known?.decode(bytesOf(entry, 'hex')));
  };
  it.each(file.valid)('reads $record: $name (ENC-10)', (entry) => expect(read(entry)).toBe('ok'));
  it.each(file.invalid)('refuses $record: $name (ENC-10, ENC-13)', (entry) => {
    expect(read(entry)).toBe('malformed');
  });
});

describe('identity.json', () => {
  const file = vectors('identity');
  it.each(file.valid as readonly unknown[] as readonly Case[])('$did names its key (ID-1)', (entry) => {
    const publicKey = bytesOf(entry, 'publicKey');
    expect(didOf(publicKey)).toBe(entry.did);
    expect(publicKeyOf(String(entry.did))).toEqual(publicKey);
  });
  it.each(file.invalid)('refuses $name (ID-2)', (entry) => {
    expect(publicKeyOf(String(entry.did))).toBeUndefined();
  });
});

describe.each(SUITES)('over the %s suite', (_name, suite) => {
  describe('ed25519.json', () => {
    const file = vectors('ed25519');
    const verdict = (entry: Case): boolean =>
      suite.verify(bytesOf(entry, 'publicKey'), bytesOf(entry, 'message'), bytesOf(entry, 'signature'));
    it.each(file.valid)('accepts $name (SIGN-1)', (entry) => expect(verdict(entry)).toBe(true));
    it('refuses the invalid ones, at once and later (SIGN-2, SIGN-3)', async () => {
      expect(file.invalid.length).toBeGreaterThan(230);
      for (const entry of file.invalid) {
        expect(verdict(entry), entry.name).toBe(false);
        const [key, message, signature] = ['publicKey', 'message', 'signature'].map((name) =>
          bytesOf(entry, name),
        );
        if (!key || !message || !signature) throw new TypeError('incomplete');
        expect(await suite.verifyAsync(key, message, signature), entry.name).toBe(false);
      }
    });
  });

  describe('signing.json', () => {
    const file = vectors('signing');
    const network = String(file.given.network);
    const check = (entry: Case): string => {
      const message = signed.decode(bytesOf(entry, 'message'));
      return checkSigned(suite, network, String(entry.type), bytesOf(entry, 'publicKey'), message) ?? 'ok';
    };
    it.each(file.valid)('accepts $name (SIGN-4)', (entry) => expect(check(entry)).toBe('ok'));
    it.each(file.invalid)('refuses $name (SIGN-5, SIGN-6, SIGN-7)', (entry) => {
      expect(check(entry)).toBe(entry.code);
    });
    it('gives the same verdicts when roots are remembered (SIGN-8)', async () => {
      const verifier = createVerifier(suite);
      for (const entry of [...file.valid, ...file.invalid, ...file.valid]) {
        const message = signed.decode(bytesOf(entry, 'message'));
        const type = String(entry.type);
        const fault = await verifier.check(network, type, bytesOf(entry, 'publicKey'), message);
        expect(fault ?? 'ok', entry.name).toBe(entry.code ?? 'ok');
      }
    });
  });

  describe('envelope.json', () => {
    const file = vectors('envelope');
    const to = file.given.to as { readonly name: string };
    const expected: EnvelopeExpectation = {
      network: String(file.given.network),
      to: { kind: 'agent', name: fromHex(to.name) ?? new Uint8Array(0) },
      bodyType: 'call',
      nowMs: Number(file.given.nowMs),
    };
    const open = async (entry: Case): Promise<string> => {
      const parts = { suite, verifier: createVerifier(suite) };
      const message = signed.decode(bytesOf(entry, 'message'));
      try {
        await verifyEnvelope(parts, message, bytesOf(entry, 'body'), expected);
        return 'ok';
      } catch (error) {
        if (error instanceof SaharaError) return error.code;
        throw error;
      }
    };
    it.each(file.valid)('takes $name (ENV-1)', async (entry) => expect(await open(entry)).toBe('ok'));
    it.each(file.invalid)(
      'refuses $name: $code (ENV-2, ENV-3, ENV-4, ENV-5, ENV-6, ENV-7, ENV-8)',
      async (entry) => expect(await open(entry)).toBe(entry.code),
    );
  });

  describe('certificate.json', () => {
    const file = vectors('certificate');
    const subject = file.given.subject as { readonly id: string };
    const verify = (entry: Case): unknown =>
      verifyChain(suite, certificateChain.decode(bytesOf(entry, 'chain')), {
        network: String(file.given.network),
        root: bytesOf(file.given, 'root'),
        subject: { kind: 'key', id: fromHex(subject.id) ?? new Uint8Array(0) },
        capability: String(file.given.capability),
        nowMs: Number(file.given.nowMs),
      });
    it.each(file.valid)('accepts $name (ID-4)', (entry) => {
      expect(() => verify(entry)).not.toThrow();
    });
    it.each(file.invalid)('refuses $name at link $link (ID-5, ID-6, ID-7, ID-8)', (entry) => {
      let refusal: unknown;
      try {
        verify(entry);
      } catch (error) {
        refusal = error;
      }
      if (entry.name === 'five links') expect(refusal).toMatchObject({ code: 'malformed' });
      else expect(refusal).toMatchObject({ code: 'certificate-invalid', facts: { link: entry.link } });
    });
  });

  describe('merkle.json', () => {
    const file = vectors('merkle');
    const leads = (entry: Case): boolean => {
      const path = merklePath.decode(bytesOf(entry, 'path'));
      const root = merkleRootFrom(suite, bytesOf(entry, 'leaf'), path);
      return root !== undefined && equalBytes(root, bytesOf(entry, 'root'));
    };
    it.each(file.valid)('$name leads to its root (RCPT-20)', (entry) => expect(leads(entry)).toBe(true));
    it.each(file.invalid)('$name does not (RCPT-21)', (entry) => expect(leads(entry)).toBe(false));
  });

  describe('receipt-tree.json', () => {
    const file = vectors('receipt-tree');
    const leads = (entry: Case): boolean => {
      const leaf = receiptLeaf(suite, bytesOf(entry, 'payload'), BigInt(String(entry.amount)));
      const root = receiptRootFrom(suite, leaf, receiptPath.decode(bytesOf(entry, 'path')));
      const same = root !== undefined && equalBytes(root.hash, bytesOf(entry, 'root'));
      return same && root.sum === BigInt(String(entry.sum));
    };
    it.each(file.valid)('$name leads to its root and sum (RCPT-10)', (entry) => {
      expect(leads(entry)).toBe(true);
    });
    it.each(file.invalid)('$name does not (RCPT-12, RCPT-13)', (entry) => expect(leads(entry)).toBe(false));
  });

  describe('budget.json', () => {
    const file = vectors('budget');
    const network = String(file.given.network);
    const judged = async (entry: Case): Promise<Readonly<Record<string, unknown>>> => {
      const opening = callOpening.decode(bytesOf(entry, 'opening'));
      const call = {
        envelope: envelope.decode(opening.envelope.payload),
        request: callRequest.decode(opening.request),
        parents: opening.parents,
      };
      try {
        await checkParents({ verifier: createVerifier(suite), network }, call);
        return { code: 'ok' };
      } catch (error) {
        if (!(error instanceof SaharaError)) throw error;
        return { code: error.code, ...error.facts };
      }
    };
    it.each(file.valid)('takes $name (CALL-81)', async (entry) =>
      expect(await judged(entry)).toEqual({ code: 'ok' }),
    );
    it.each(file.invalid)('refuses $name: $code (CALL-82, CALL-83, CALL-84, CALL-89)', async (entry) => {
      const { code, what } = entry;
      expect(await judged(entry)).toMatchObject({ code, ...(what === undefined ? {} : { what }) });
    });
  });

  describe('bundle.json', () => {
    const file = vectors('bundle');
    const network = String(file.given.network);
    it.each(file.valid)('$name holds (RCPT-30)', (entry) => {
      const verdict = verifyBundle(suite, bytesOf(entry, 'hex'), { network });
      expect(verdict.steps.filter((step) => !step.ok)).toEqual([]);
      expect(verdict.ok).toBe(true);
      expect(String(verdict.summary?.receipt.amount)).toBe(entry.amount);
      expect(verdict.summary?.settlement !== undefined).toBe(entry.settled);
    });
    it.each(file.invalid)(
      '$name fails at $check (RCPT-31: RCPT-1, RCPT-2, RCPT-3, RCPT-4, RCPT-5, RCPT-6, RCPT-7, RCPT-35, RCPT-36, RCPT-37, RCPT-38, RCPT-40 to RCPT-45)',
      (entry) => {
        const verdict = verifyBundle(suite, bytesOf(entry, 'hex'), { network });
        expect(verdict.ok).toBe(false);
        expect(verdict.summary).toBeUndefined();
        expect(verdict.steps.at(-1)).toMatchObject({ ok: false, check: entry.check });
      },
    );
    const once = vectors('once');
    it.each(once.valid)('$name, and it holds (RCPT-71, RCPT-72, RCPT-73)', (entry) => {
      const verdict = verifyBundle(suite, bytesOf(entry, 'hex'), { network });
      expect(verdict.steps.filter((step) => !step.ok)).toEqual([]);
      expect(String(verdict.summary?.receipt.amount)).toBe(entry.amount);
      expect(verdict.summary?.settlement?.by).toBe('payment');
    });
    it.each(once.invalid)('paid by one transaction, $name: fails at $check (RCPT-71 to RCPT-73)', (entry) => {
      const verdict = verifyBundle(suite, bytesOf(entry, 'hex'), { network });
      expect(verdict.summary).toBeUndefined();
      expect(verdict.steps.at(-1)).toMatchObject({ ok: false, check: entry.check });
    });
    it('fails when it is of another network than expected (RCPT-32)', () => {
      const file = vectors('bundle').valid[0];
      const verdict = verifyBundle(suite, bytesOf({ ...file }, 'hex'), { network: 'other-0123456789abcdef' });
      expect(verdict.steps.at(-1)).toMatchObject({ ok: false, check: 'network' });
    });
  });
});

describe('signatures of the vectors', () => {
  it('are reproduced from their seeds (SIGN-1)', () => {
    const file = vectors('signing');
    const seeds = file.given.seeds as { readonly payer: string };
    const signer = createSigner(fromHex(seeds.payer) ?? new Uint8Array(0));
    expect(toHex(signer.publicKey)).toBe(file.valid[0]?.publicKey);
  });
});
