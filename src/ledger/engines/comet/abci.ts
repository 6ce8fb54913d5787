/** Which part answers which request of ABCI. */
import {
  type Request,
  type Response,
  ResponseCheckTx,
  type ResponseInfo,
  ResponseQuery,
  ResponseProcessProposal_ProposalStatus as Status,
  ResponseVerifyVoteExtension_VerifyStatus as VoteStatus,
} from 'cosmjs-types/tendermint/abci/types';
import { asSaharaError, invariant } from '../../../base/errors.ts';
import type { LightAnswers } from '../../light/answers.ts';
import { stateAnswer, stateQuestion } from '../../light/messages.ts';
import { asUpdate, type CometApplication } from './application.ts';
import type { Checks } from './checks.ts';
import type { StateSync } from './state-sync.ts';

/** Parts that answer. */
export interface AbciParts {
  readonly application: CometApplication;
  readonly checks: Checks;
  readonly answers: LightAnswers;
  readonly sync: StateSync;
}

/** The path of ABCI queries whose data is a question of a light client (LEDGER-145 and on). */
export const STATE_QUERY_PATH = '/sahara/state/1';
/** Code of a query that was not answered. */
const UNANSWERED = 1;

/** Answers requests of every connection. */
export function createAbciHandler(parts: AbciParts): (request: Request) => Promise<Response> {
  const { application, checks } = parts;
  return async (request) => {
    if (request.checkTx)
      return { checkTx: ResponseCheckTx.fromPartial({ code: await checks.check(request.checkTx.tx) }) };
    if (request.flush) return { flush: {} };
    if (request.echo) return { echo: request.echo };
    if (request.info) return { info: info(application) };
    if (request.prepareProposal)
      return { prepareProposal: { txs: [...application.prepare(request.prepareProposal)] } };
    if (request.processProposal) {
      const status = application.accepts(request.processProposal) ? Status.ACCEPT : Status.REJECT;
      return { processProposal: { status } };
    }
    if (request.finalizeBlock) return { finalizeBlock: await application.finalize(request.finalizeBlock) };
    if (request.commit) return { commit: { retainHeight: BigInt(await application.commit()) } };
    if (request.initChain) {
      const validators = application.initChain(request.initChain).map(asUpdate);
      return { initChain: { validators, appHash: application.info().appHash } };
    }
    if (request.query) return { query: await query(parts, request.query) };
    return snapshotAnswer(parts, request);
  };
}

function info(application: CometApplication): ResponseInfo {
  const { height, appHash, version } = application.info();
  return {
    data: 'sahara',
    version: '',
    appVersion: BigInt(version),
    lastBlockHeight: BigInt(height),
    lastBlockAppHash: height === 0 ? new Uint8Array(0) : appHash,
  };
}

async function snapshotAnswer({ sync }: AbciParts, request: Request): Promise<Response> {
  if (request.listSnapshots) return { listSnapshots: { snapshots: [...sync.list()] } };
  if (request.offerSnapshot) return { offerSnapshot: { result: await sync.offer(request.offerSnapshot) } };
  if (request.loadSnapshotChunk)
    return { loadSnapshotChunk: { chunk: await sync.load(request.loadSnapshotChunk) } };
  if (request.applySnapshotChunk) return { applySnapshotChunk: await sync.apply(request.applySnapshotChunk) };
  if (request.extendVote) return { extendVote: { voteExtension: new Uint8Array(0) } };
  // Votes carry nothing of the ledger's.
  invariant(request.verifyVoteExtension !== undefined, 'a request of ABCI 2.0');
  const { voteExtension } = request.verifyVoteExtension;
  const status = voteExtension.length === 0 ? VoteStatus.ACCEPT : VoteStatus.REJECT;
  return { verifyVoteExtension: { status } };
}

async function query(
  { application, answers }: AbciParts,
  { path, data }: { readonly path: string; readonly data: Uint8Array },
): Promise<ResponseQuery> {
  const height = BigInt(application.info().height);
  if (path !== STATE_QUERY_PATH)
    return ResponseQuery.fromPartial({ code: UNANSWERED, log: 'no such path', height });
  try {
    const value = stateAnswer.encode(await answers.state(stateQuestion.decode(data)));
    return ResponseQuery.fromPartial({ code: 0, value, height });
  } catch (error) {
    const { code, message } = asSaharaError(error);
    return ResponseQuery.fromPartial({ code: UNANSWERED, log: `${code}: ${message}`, height });
  }
}
