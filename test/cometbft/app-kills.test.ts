import { afterEach, test } from 'vitest';
import { type Opened, tellAppKill } from './app-kill-story.ts';
import { program } from './support.ts';

let opened: Opened = {};
afterEach(async () => {
  const { comet, child, remove } = opened;
  opened = {};
  await comet?.stop();
  child?.kill('SIGKILL');
  await remove?.();
});

test.each(['before-block', 'after-block', 'before-quiet', 'after-quiet'])(
  'ENG-10: the ledger is killed %s, and comes back to the same chain with nothing lost or twice',
  (point) => tellAppKill(opened, program, point),
);
