/** The options of models on this machine. */
import { z } from 'zod';

/** How models on this machine are found and run. */
export interface ModelsConfig {
  /** Base address of the hub that `hub:` means. */
  readonly hub: string;
  /** What computes. */
  readonly gpu: 'auto' | 'none' | 'cuda' | 'vulkan' | 'metal';
  /** Threads that decode; 0: all processors but one. */
  readonly threads: number;
  /** Answers that one model makes at a time. */
  readonly sequences: number;
  /** Megabytes that all loaded models together may take; 0: what is free. */
  readonly memoryMb: number;
}

/** The schema of the section. */
export const modelsSchema: z.ZodType<ModelsConfig> = z
  .strictObject({
    hub: z
      .string()
      .regex(/^https:\/\/[^\s/@]+\/?$|^http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?\/?$/)
      .meta({ allowed: 'an https address without a path, or http on this machine' })
      .default('https://huggingface.co')
      .describe('Hub that `sahara model pull hub:OWNER/REPOSITORY/FILE.gguf` asks.'),
    gpu: z
      .enum(['auto', 'none', 'cuda', 'vulkan', 'metal'])
      .default('auto')
      .describe(
        'What models on this machine compute with. auto: a graphics processor where one can be used.',
      ),
    threads: z
      .int()
      .min(0)
      .max(1024)
      .default(0)
      .describe('Threads that a model on this machine computes with. 0: all processors but one.'),
    sequences: z
      .int()
      .min(1)
      .max(64)
      .default(4)
      .describe('Answers that one model on this machine makes at a time; each takes memory for its context.'),
    memoryMb: z
      .int()
      .min(0)
      .max(100_000_000)
      .default(0)
      .describe('Memory that all models on this machine may take together. Megabytes; 0: what is free.'),
  })
  .prefault({});
