/** A merge worker: one kernel memory, one job at a time. Started by `pool.ts`, and ends when it is told to. */
import { parentPort, workerData } from 'node:worker_threads';
import { asSaharaError, invariant, SaharaError } from '../base/errors.ts';
import { createFileIo } from './io.ts';
import { doJob, type Job } from './jobs.ts';
import { createKernels } from './kernels.ts';
import type { WorkerOrder, WorkerReply, WorkerSetup } from './pool.ts';
import type { TensorIo } from './task.ts';

invariant(parentPort, 'this file runs as a worker');
const port = parentPort;
// Sent by pool.ts, which types it.
const { memoryBytes, root, stop } = workerData as WorkerSetup;
const instance = createKernels(memoryBytes);
const files = createFileIo(root);
const io: TensorIo = {
  read(source, offset, into) {
    goOn();
    files.read(source, offset, into);
  },
  write(target, offset, bytes) {
    goOn();
    files.write(target, offset, bytes);
  },
};

port.on('message', (order: WorkerOrder) => {
  // With its port closed nothing keeps the thread, and it ends by itself.
  if (order.type === 'end') port.close();
  else say(reply(order.job));
});
port.on('close', () => files.close());
// Last: whoever hears it knows that nothing is loaded any more.
say({ type: 'ready' });

function say(answer: WorkerReply): void {
  port.postMessage(answer);
}

function goOn(): void {
  if (Atomics.load(stop, 0) !== 0) throw new SaharaError('cancelled');
}

function reply(job: Job): WorkerReply {
  try {
    return { type: 'done', result: doJob(instance, job, io) };
  } catch (error) {
    const { code, facts } = asSaharaError(error);
    return { type: 'failed', code, facts };
  }
}
