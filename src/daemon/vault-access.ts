/** Answers out of vaults are allowed by the terms of what is in them, and written down. */
import type { Answerer, AnswerJob, AnswerPart } from '../agent/ports.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { didOf } from '../protocol/ids.ts';
import { checkPurpose } from '../vault/terms.ts';
import type { Vault } from '../vault/vault.ts';

/** An answerer that asks the terms of its vaults first and notes in each how many passages of it were quoted. */
export function withAccess(
  answerer: Answerer,
  parts: {
    readonly vaults: readonly Vault[];
    readonly agent: string;
    readonly clock: Clock;
    readonly log?: Log;
  },
): Answerer {
  const { vaults, agent, clock, log } = parts;
  async function* allowed(answer: AsyncIterable<AnswerPart>, job: AnswerJob): AsyncGenerator<AnswerPart> {
    for (const { books } of vaults) await checkPurpose(books, 'answer', clock.nowMs());
    const quoted = new Array<number>(vaults.length).fill(0);
    try {
      for await (const part of answer) {
        if (part.type === 'source') {
          for (const [i, vault] of vaults.entries()) {
            if ((await vault.chunk(part.source.chunk)) !== undefined) quoted[i] = (quoted[i] ?? 0) + 1;
          }
        }
        yield part;
      }
    } finally {
      const who = didOf(job.caller);
      for (const [i, { accesses }] of vaults.entries()) {
        const count = quoted[i] ?? 0;
        const access = { who, action: 'answer', purpose: 'answer', count, about: agent };
        await accesses.add(access).catch((error: unknown) => {
          log?.error('an access was not written down', { agent, code: asSaharaError(error).code });
        });
      }
    }
  }
  return {
    answer(job, options) {
      const run = answerer.answer(job, options);
      return { parts: allowed(run.parts, job), shares: run.shares.bind(run) };
    },
  };
}
