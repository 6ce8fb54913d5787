/**
 * Where signatures are checked. Handing a check to another thread costs more than half of the check itself when
 * the process is idle, and with batch signatures one check serves all that came in one tick, so the first few of a
 * turn of the event loop are made on the spot. Only what goes beyond, as from many different signers at once,
 * leaves the event loop.
 */
import type { Suite } from './suite.ts';

/** `suite` whose `verifyAsync` checks up to `perTurn` signatures of a turn on the spot. Default 2. */
export function eagerSuite(suite: Suite, perTurn = 2): Suite {
  let left = perTurn;
  let scheduled = false;
  return {
    ...suite,
    verifyAsync(publicKey, message, signature) {
      if (left === 0) return suite.verifyAsync(publicKey, message, signature);
      left--;
      if (!scheduled) {
        scheduled = true;
        setImmediate(() => {
          left = perTurn;
          scheduled = false;
        });
      }
      return Promise.resolve(suite.verify(publicKey, message, signature));
    },
  };
}
