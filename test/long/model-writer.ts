/** Adds a model file and pulls another, says each step, and ends; made to be killed on the way. */
import { join } from 'node:path';
import { checkGguf } from '../../src/agent/llama/gguf-check.ts';
import type { ModelEvent } from '../../src/agent/models/download.ts';
import { openModelStore } from '../../src/agent/models/store.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';

const [folder = '', file = '', url = ''] = process.argv.slice(2);
const store = await openModelStore(
  { clock: systemClock, store: await openLevelStore(join(folder, 'store')), check: checkGguf },
  { folder: join(folder, 'models'), hub: url },
);
const { signal } = new AbortController();
const tell = (event: ModelEvent): void => void process.stdout.write(`${event.type}\n`);
await store.add(file, { name: 'added', signal, tell });
process.stdout.write('added\n');
await store.pull(url, { name: 'pulled', signal, tell });
process.stdout.write('pulled\n');
process.kill(process.pid, 'SIGKILL');
