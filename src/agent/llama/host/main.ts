/**
 * A process of its own for one model: started by `process.ts`, ended with it. Whatever a model file does to
 * llama.cpp, it does here.
 */
import { systemClock } from '../../../base/clock.ts';
import { asSaharaError, SaharaError } from '../../../base/errors.ts';
import type { FromHost, LoadMessage } from '../messages.ts';
import { readToHost } from '../read-messages.ts';
import { ModelService } from './service.ts';

const MEMORY_LOOK_MS = 500;

let service: ModelService | undefined;
let loading = false;

process.title = 'sahara-model';
// The daemon is gone, by whatever death: nobody is left to answer to, and nothing here is worth a farewell.
process.on('disconnect', end);
process.on('message', (value: unknown) => {
  try {
    const message = readToHost(value);
    if (message.type !== 'load') service?.take(message);
    else if (!loading) void load(message);
    loading ||= message.type === 'load';
  } catch (error) {
    unable(asSaharaError(error));
  }
});

async function load(message: LoadMessage): Promise<void> {
  try {
    const library = await import('node-llama-cpp').catch((error: unknown) => {
      const reason = 'node-llama-cpp is not installed here: npm install node-llama-cpp@3';
      throw new SaharaError('backend-missing', { backend: 'llama', reason }, { cause: error });
    });
    const llama = await library
      .getLlama({
        gpu: message.gpu === 'none' ? false : message.gpu,
        build: 'never',
        skipDownload: true,
        progressLogs: false,
        maxThreads: message.threads,
        logLevel: library.LlamaLogLevel.warn,
        logger: (level, text) => process.stderr.write(`[${level}] ${text}\n`),
      })
      .catch((error: unknown) => {
        const asked =
          message.gpu === 'none' || message.gpu === 'auto' ? '' : `, with ${message.gpu} as asked for`;
        const reason = `no binary of node-llama-cpp runs here${asked}`;
        throw new SaharaError('backend-missing', { backend: 'llama', reason }, { cause: error });
      });
    const model = await llama.loadModel({ modelPath: message.path });
    service = new ModelService({ library, model, threads: message.threads, send });
    watchMemory(message.memoryBytesMax);
    send({
      type: 'ready',
      gpu: llama.gpu === false ? 'none' : llama.gpu,
      build: llama.llamaCppRelease.release,
      devices: llama.gpu === false ? [] : await llama.getGpuDeviceNames(),
      memoryBytes: process.memoryUsage.rss(),
      deviceBytes: llama.gpu === false ? 0 : (await llama.getVramState()).total,
      wrapper: service.wrapper,
    });
  } catch (error) {
    unable(asSaharaError(error));
  }
}

function watchMemory(bytesMax: number): void {
  const look = (): void => {
    const found = process.memoryUsage.rss();
    if (found > bytesMax) {
      unable(new SaharaError('memory-insufficient', { needsBytes: found, limitBytes: bytesMax }));
    } else systemClock.after(MEMORY_LOOK_MS, look);
  };
  look();
}

function send(message: FromHost): void {
  // A channel that closed under the message ends this process by `disconnect`.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

function unable({ code, facts, message }: SaharaError): void {
  const failure: FromHost =
    code === 'internal'
      ? { type: 'unable', code: 'backend-failed', facts: { backend: 'llama', reason: message } }
      : { type: 'unable', code, facts };
  if (process.connected) process.send?.(failure, undefined, undefined, end);
  else end();
}

function end(): void {
  process.kill(process.pid, 'SIGKILL');
}
