/** A host of one agent, on a mesh of its own, with everything that a daemon's host has. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCallRecords } from '../../src/agent/call-records.ts';
import { createHost } from '../../src/agent/host.ts';
import type { Answerer, CallStream } from '../../src/agent/ports.ts';
import { openQuotaBook } from '../../src/agent/quota.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { systemClock as clock } from '../../src/base/clock.ts';
import { BUSY_STORE, openLevelStore } from '../../src/base/level-store.ts';
import { silentLog as log } from '../../src/base/log.ts';
import { systemDice as dice } from '../../src/base/random.ts';
import { openReplayStore } from '../../src/base/replay.ts';
import { createMemoryStore, prefixed } from '../../src/base/store.ts';
import { openFileTail } from '../../src/base/tail.ts';
import type { Mesh } from '../../src/mesh/interface.ts';
import { createMesh } from '../../src/mesh/mesh.ts';
import { createPayeeBook } from '../../src/payment/payee-book.ts';
import { answerPaymentQuery } from '../../src/payment/payment-service.ts';
import { type Card, card as cardSchema } from '../../src/protocol/card.ts';
import { eagerSuite } from '../../src/protocol/eager-suite.ts';
import {
  PAYMENT_ANSWER_BYTES_MAX,
  PAYMENT_PROTOCOL,
  PAYMENT_QUERY_BYTES_MAX,
} from '../../src/protocol/payment-query.ts';
import { createTickSigner, createVerifier, signed, signOne } from '../../src/protocol/signing.ts';
import { nativeSuite as suite, swiftSuite } from '../../src/protocol/suite-native.ts';
import { channels, keys, NETWORK, tick } from './shared.ts';

/** A mesh node on loopback. */
export async function openMesh(): Promise<Mesh> {
  const parts = { peerSeed: dice.bytes(32), store: createMemoryStore(), log, clock, dice };
  return createMesh(parts, {
    network: NETWORK,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    dht: 'off',
    idleMs: 600_000,
  });
}

/**
 * Serves an agent with this card and answerer; answers where, and its signed card in hexadecimal. `enter`: what each
 * stream passes before the host takes it.
 */
export async function serveAgent(
  card: Card,
  answerer: Answerer,
  enter: (stream: CallStream) => CallStream = (stream) => stream,
): Promise<{ readonly address: string; readonly card: string }> {
  const node = await openMesh();
  const path = mkdtempSync(join(tmpdir(), 'sahara-bench-host-'));
  const store = await openLevelStore(path, BUSY_STORE);
  const at = (name: string): ReturnType<typeof prefixed> => prefixed(store, utf8(name));
  const signedCard = signOne(suite, keys.agent, NETWORK, { type: 'card', payload: cardSchema.encode(card) });
  const cardBytes = signed.encode(signedCard);
  const verifier = createVerifier(eagerSuite(swiftSuite));
  // The book gathers a tick itself, so its signer need not wait for another.
  const operator = createTickSigner({
    suite,
    signer: keys.operator,
    network: NETWORK,
    defer: queueMicrotask,
  });
  const tail = openFileTail(join(path, 'payee.tail'));
  const books = { suite, verifier, clock, store: at('p'), tail, channels, network: NETWORK, operator };
  const payee = createPayeeBook(books);
  const replay = await openReplayStore({ clock, store: at('r') });
  const hosted = { card, cardHash: suite.sha256(cardBytes), signer: tick(keys.agent), answerer };
  const host = createHost({
    suite,
    verifier,
    clock,
    network: NETWORK,
    replay,
    payee,
    records: await openCallRecords({ clock, store: at('c') }),
    quota: await openQuotaBook({ clock, store: at('q') }),
    log,
    agents: { find: () => hosted },
  });
  node.serveCalls((stream) => host.serve(enter(stream)));
  node.serve(PAYMENT_PROTOCOL, {
    requestBytesMax: PAYMENT_QUERY_BYTES_MAX,
    answerBytesMax: PAYMENT_ANSWER_BYTES_MAX,
    concurrencyMax: 16,
    handle: (body) => answerPaymentQuery({ book: payee, verifier, clock, replay, network: NETWORK }, body),
  });
  return { address: node.addresses()[0] ?? '', card: Buffer.from(cardBytes).toString('hex') };
}
