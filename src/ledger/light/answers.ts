/** How a node that keeps the ledger answers light clients. */
import { SaharaError } from '../../base/errors.ts';
import type { CertifiedHeader } from '../../protocol/certified-header.ts';
import type { BlockParts } from '../blocks.ts';
import { BLOCK_REQUESTS_SERVED_MAX, HEADERS_ANSWER_BYTES_MAX, STATE_ANSWER_BYTES_MAX } from '../limits.ts';
import { listKindOf } from '../listings.ts';
import { createQueries } from '../queries.ts';
import type { LedgerMesh } from '../sync.ts';
import {
  HEADERS_PROTOCOL,
  type HeadersQuestion,
  headersAnswer,
  headersQuestion,
  STATE_PROTOCOL,
  type StateAnswer,
  type StateQuestion,
  stateAnswer,
  stateQuestion,
} from './messages.ts';

/** Bytes of a question, at most: its keys and their heads. */
const STATE_QUESTION_BYTES_MAX = 65_536;

/** Answers for light clients. */
export interface LightAnswers {
  headers(question: HeadersQuestion): Promise<readonly CertifiedHeader[]>;
  state(question: StateQuestion): Promise<StateAnswer>;
}

/** Answers from the ledger in `parts`; `exclusive` runs a job while no block is being written. */
export function createLightAnswers(
  parts: BlockParts,
  exclusive: <T>(job: () => Promise<T>) => Promise<T>,
): LightAnswers {
  const { chain } = parts;
  const queries = createQueries(parts);
  return {
    async headers({ fromHeight, count }) {
      const found: CertifiedHeader[] = [];
      const last = Math.min(chain.head().height, Math.max(fromHeight, chain.base) + count - 1);
      // Blocks up to the base are not here; what was asked for may be among them.
      for (let height = Math.max(1, fromHeight, chain.base); height <= last; height++) {
        const header = await chain.header(height);
        if (header === undefined) break;
        found.push(header);
      }
      return found;
    },
    async state(question) {
      if (question.type === 'inclusion')
        return { type: 'inclusion', proof: await queries.proof(question.id) };
      if (question.type === 'claim') return { type: 'inclusion', proof: await queries.settled(question) };
      if (question.type === 'listing') {
        const kind = listKindOf(question.kind);
        if (kind === undefined) throw new SaharaError('malformed', { reason: 'no such list' });
        return { type: 'listing', ids: await queries.listed(kind, question.key) };
      }
      // Between a block's write and its adoption, records and tree are of two heights.
      return exclusive(async () => {
        const { height } = chain.head();
        if (height < question.height)
          throw new SaharaError('state-unproven', { reason: `The peer is at block ${height} only` });
        const entries = question.keys.map((key) => queries.stateProof(key));
        return { type: 'records', header: height === 0 ? undefined : await chain.header(height), entries };
      });
    },
  };
}

/** Answers light clients over a mesh until the returned function is called. */
export function serveLight(mesh: Pick<LedgerMesh, 'serve'>, answers: LightAnswers): () => void {
  const concurrencyMax = BLOCK_REQUESTS_SERVED_MAX;
  const leaving = [
    mesh.serve(HEADERS_PROTOCOL, {
      requestBytesMax: 48,
      answerBytesMax: HEADERS_ANSWER_BYTES_MAX,
      concurrencyMax,
      handle: async (body) => headersAnswer.encode(await answers.headers(headersQuestion.decode(body))),
    }),
    mesh.serve(STATE_PROTOCOL, {
      requestBytesMax: STATE_QUESTION_BYTES_MAX,
      answerBytesMax: STATE_ANSWER_BYTES_MAX,
      concurrencyMax,
      handle: async (body) => stateAnswer.encode(await answers.state(stateQuestion.decode(body))),
    }),
  ];
  return () => {
    for (const leave of leaving) leave();
  };
}
