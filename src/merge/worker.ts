/** A merge worker: one kernel memory, one job at a time. Started by `pool.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { asSaharaError, invariant } from '../base/errors.ts';
import { createFileIo } from './io.ts';
import { doJob, type Job } from './jobs.ts';
import { createKernels } from './kernels.ts';
import type { WorkerReply, WorkerSetup } from './pool.ts';

invariant(parentPort, 'this file runs as a worker');
const port = parentPort;
// Sent by pool.ts, which types it.
const { memoryBytes, root } = workerData as WorkerSetup;
const instance = createKernels(memoryBytes);
const io = createFileIo(root);

port.on('message', (job: Job) => {
  port.postMessage(reply(job));
});
port.on('close', () => io.close());

function reply(job: Job): WorkerReply {
  try {
    return { ok: true, result: doJob(instance, job, io) };
  } catch (error) {
    const { code, facts } = asSaharaError(error);
    return { ok: false, code, facts };
  }
}
