/**
 * What one call may still spend on calls below it. Pure bookkeeping: each call below holds the most that it can cost
 * until it has ended, so calls side by side can never spend more than was granted, whatever each of them turns out to
 * cost. A call whose cost is not known keeps its hold.
 */
import { equalBytes } from '../base/bytes.ts';
import { invariant, SaharaError } from '../base/errors.ts';
import { budgetFault, type Spending } from '../protocol/budget.ts';
import type { CallBudget } from '../protocol/envelope.ts';
import { didOf, type PublicKey } from '../protocol/ids.ts';

/** A part of a budget held for one call below. */
export interface CallHold {
  /** The call has ended and cost `cost`, grains: at most what was held. */
  end(cost: bigint): void;
}

/** The book of one call. */
export class CallBook {
  readonly #granted: CallBudget | undefined;
  readonly #agents: readonly PublicKey[];
  #spent = 0n;
  #held = 0n;

  /** `agents`: the keys from the root of the tree down to this call's own agent. */
  constructor(granted: CallBudget | undefined, agents: readonly PublicKey[]) {
    this.#granted = granted;
    this.#agents = agents;
  }

  /** What was granted; absent where no calls may be made. */
  get granted(): CallBudget | undefined {
    return this.#granted;
  }

  /** Grains that are neither spent nor held. */
  get left(): bigint {
    return (this.#granted?.amount ?? 0n) - this.#spent - this.#held;
  }

  /** Grains that calls below have cost so far. */
  get spent(): bigint {
    return this.#spent;
  }

  /** Holds what a call to `agent` wants. Throws `budget-exceeded`, `call-cycle`; then nothing is held (CALL-85). */
  hold(agent: PublicKey, wanted: Spending): CallHold {
    const granted = this.#granted && { ...this.#granted, amount: this.left };
    const fault = budgetFault(granted, wanted);
    if (fault) throw fault;
    if (this.#agents.some((above) => equalBytes(above, agent))) {
      throw new SaharaError('call-cycle', { agent: didOf(agent) });
    }
    const passed = wanted.budget?.amount ?? 0n;
    const amount = passed > wanted.amount ? passed : wanted.amount;
    this.#held += amount;
    let held = true;
    return {
      end: (cost) => {
        invariant(held && cost >= 0n && cost <= amount, 'a call below ends once, inside of its hold');
        held = false;
        this.#held -= amount;
        this.#spent += cost;
      },
    };
  }
}
