/** Stake actions for the ledger's fuzzer: bonds, a delegation and parts on their way back, and sound actions on them. */
import type { Action } from '../../../src/protocol/transaction.ts';
import { bond, delegate, header, release, unbond, undelegate } from '../../ledger/stake-support.ts';
import { alice, type Bench, bob } from '../../ledger/support.ts';

const SAHARA = 1_000_000_000n;

/** Sets the stage and says what can be done on it. */
export async function stakeActions(bench: Bench): Promise<readonly Action[]> {
  await bench.run(bob, bond(2n * SAHARA, 'provider', 100_000));
  await bench.run(bob, bond(SAHARA, 'validator'));
  await bench.run(alice, delegate(bob, 2n * SAHARA));
  await bench.run(alice, undelegate(bob, SAHARA));
  return [
    bond(SAHARA, 'provider', 50_000),
    unbond(SAHARA),
    delegate(bob, SAHARA),
    undelegate(bob, SAHARA),
    release(bob, alice),
    {
      type: 'report-double-signing',
      first: header(bench.network, bob, 3),
      second: header(bench.network, bob, 3, { timeMs: 2 }),
    },
    { type: 'collect-reward', epoch: 0, did: bob.publicKey },
    { type: 'approve-upgrade', version: 2, height: 100 },
  ];
}
