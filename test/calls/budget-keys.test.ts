/** Calls below a call whose payee's key changes on the way. */
import { describe, expect, it } from 'vitest';
import { createDelegateAnswerer } from '../../src/agent/delegate.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { createTown } from './budget-town.ts';
import { AGENT_ASSET, quotingAnswerer } from './rig.ts';

const desk = {
  operator: 'alice',
  answerer: createDelegateAnswerer({
    asset: AGENT_ASSET,
    delegates: [{ agent: 'guide', skill: 'answer', budget: 0 }],
  }),
};
const guide = { operator: 'bob', price: { perCall: 300n }, answerer: quotingAnswerer() };

describe('a call below one, when the certificate of its host changed on the way (ID-34)', () => {
  const asked = async (refusals: number): Promise<{ tries: number; cost: bigint }> => {
    let tries = 0;
    const town = await createTown({
      agents: { desk, guide },
      pair(agent) {
        if (agent === 'guide' && ++tries <= refusals) {
          throw new SaharaError('certificate-invalid', { link: 0, reason: 'the key changed' });
        }
        return {};
      },
    });
    const done = town.ask('desk', { budget: { amount: 20_000n } }).result;
    const cost = await done.then(
      ({ receipt }) => receipt.amount,
      () => -1n,
    );
    return { tries, cost };
  };

  it('is made once more', async () => {
    const { cost: plain } = await asked(0);
    expect(await asked(1)).toEqual({ tries: 2, cost: plain });
  });

  it('is not made a third time', async () => {
    const { tries, cost } = await asked(5);
    expect(tries).toBe(2);
    expect(cost).toBeLessThan((await asked(0)).cost);
  });
});
