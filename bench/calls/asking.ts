/** The asking half of the benches: a caller with its own books on disk. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCallRecords } from '../../src/agent/call-records.ts';
import { type Caller, type CallerOptions, createCaller } from '../../src/agent/caller.ts';
import type { CallTransport } from '../../src/agent/ports.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { systemClock as clock } from '../../src/base/clock.ts';
import { BUSY_STORE, openLevelStore } from '../../src/base/level-store.ts';
import { systemDice as dice } from '../../src/base/random.ts';
import { prefixed } from '../../src/base/store.ts';
import type { Mesh } from '../../src/mesh/interface.ts';
import { PayerBook } from '../../src/payment/payer-book.ts';
import { eagerSuite } from '../../src/protocol/eager-suite.ts';
import { PAYMENT_ANSWER_BYTES_MAX, PAYMENT_PROTOCOL } from '../../src/protocol/payment-query.ts';
import { createVerifier } from '../../src/protocol/signing.ts';
import { nativeSuite as suite, swiftSuite } from '../../src/protocol/suite-native.ts';
import { channels, keys, NETWORK, tick } from './shared.ts';

/**
 * A caller with everything that a daemon's caller has, over `mesh` or another transport; `payee` is the peer that is
 * asked about payments.
 */
export async function openCaller(
  mesh: Mesh,
  payee: string,
  { transport = mesh, ...options }: Partial<CallerOptions> & { readonly transport?: CallTransport } = {},
): Promise<Caller> {
  const store = await openLevelStore(mkdtempSync(join(tmpdir(), 'sahara-bench-caller-')), BUSY_STORE);
  const operator = tick(keys.payer);
  const verifier = createVerifier(eagerSuite(swiftSuite));
  const payer = await PayerBook.open({
    suite,
    verifier,
    clock,
    store: prefixed(store, utf8('p')),
    channels,
    network: NETWORK,
    operator,
    peer: {
      ask: (_payee, body) =>
        mesh.request(payee, PAYMENT_PROTOCOL, body, { answerBytesMax: PAYMENT_ANSWER_BYTES_MAX }),
    },
  });
  const records = await openCallRecords({ clock, store: prefixed(store, utf8('c')) });
  return createCaller(
    {
      suite,
      verifier,
      clock,
      dice,
      network: NETWORK,
      operator,
      transport,
      payer,
      records,
    },
    options,
  );
}
