/**
 * Verifies an audit file: pure, without a clock, a network or a disk, in Node and in a browser alike. The checks run in
 * a fixed order and stop at the first that fails.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import { type Audit, type AuditedTransaction, type AuditSubject, readAudit } from './audit.ts';
import { type AuditContext, type AuditFindings, AuditReader, keysOf } from './audit-reader.ts';
import { tellSubject } from './audit-subjects.ts';
import { type BlockHeader, type Genesis, genesis, networkOf, transactionResult } from './block.ts';
import {
  type CertifiedHeader,
  certifiedBy,
  type NamedBlock,
  type OpenedHeader,
  openCertified,
} from './certified-header.ts';
import { must } from './evidence.ts';
import { counted } from './explain.ts';
import { didOf, type PublicKey } from './ids.ts';
import { type MerklePath, merkleRootFrom } from './merkle.ts';
import { charge } from './payment.ts';
import { checkSigned, type Signed, signed } from './signing.ts';
import { verifyStateProof } from './state-proof.ts';
import { CHANNEL } from './state-records.ts';
import type { Suite } from './suite.ts';
import { claimsOf, type Transaction, transaction } from './transaction.ts';
import { type Expectation, judge, type RunCheck, type Verdict } from './verdict.ts';

/** The checks, in the order in which they run. */
export type AuditCheck = 'audit' | 'network' | 'block' | 'records' | 'subject' | 'transactions' | 'whole';

/** What a sound audit file says. */
export interface AuditSummary extends AuditFindings {
  readonly network: string;
  readonly about: AuditSubject['type'];
  /** Of the block whose state it proves, and that block's time. */
  readonly height: number;
  readonly timeMs: number;
}

/** The verdict on an audit file. */
export type AuditVerdict = Verdict<AuditCheck, AuditSummary>;

/** Verifies the audit in `file`. Never throws for what a file holds. */
export function verifyAudit(suite: Suite, file: Uint8Array, expected: Expectation = {}): AuditVerdict {
  return judge<AuditCheck, AuditSummary>('audit', (run) => runChecks({ suite, run, expected }, file));
}

interface Work {
  readonly suite: Suite;
  readonly run: RunCheck<AuditCheck>;
  readonly expected: Expectation;
}

interface Trusted {
  readonly suite: Suite;
  readonly network: string;
  readonly genesis: Genesis;
  readonly through: NamedBlock | undefined;
}

function runChecks(work: Work, file: Uint8Array): AuditSummary {
  const { run, suite } = work;
  const read = run('audit', () => [readAudit(file), `${file.length} bytes`]);
  const trusted = run('network', () => networkStep(work, read));
  const { network } = trusted;
  const header = run('block', () => {
    const opened = openHeader(trusted, read.header, 'the block');
    return [opened.header, `block ${opened.header.height}, ${certifiedBy(opened)}`];
  });
  const { height, timeMs } = header;
  const reader = run('records', () => recordsStep(suite, header, read));
  const context: AuditContext = { suite, network, height, reader };
  const found = run('subject', () => {
    const told = tellSubject(context, read.subject);
    must(
      reader.missing().length === 0,
      `${counted(reader.missing().length, 'record')} that it needs are not in it`,
    );
    return [told, counted(told.proven.length, 'statement')];
  });
  const more = run('transactions', () => transactionsStep({ context, trusted }, read));
  run('whole', () => {
    must(reader.missing().length === 0, 'records of who signed a transaction are not in it');
    must(reader.spare() === 0, 'it holds records that nothing asks for');
    return [undefined, 'nothing is missing, nothing is left over'];
  });
  return {
    network,
    about: read.subject.type,
    height,
    timeMs,
    proven: [...found.proven, ...more.proven],
    unproven: [...found.unproven, ...more.unproven, `Anything that happened after block ${height}.`],
  };
}

function networkStep({ suite, expected }: Work, read: Audit): readonly [Trusted, string] {
  const network = networkOf(suite, read.genesis);
  const { network: wanted = network } = expected;
  must(network === wanted, `it is of ${network}, not of ${wanted}`);
  return [{ suite, network, genesis: genesis.decode(read.genesis), through: expected.through }, network];
}

function openHeader(
  { suite, network, genesis: { sequencer }, through }: Trusted,
  message: CertifiedHeader,
  what: string,
): OpenedHeader {
  return openCertified(suite, { network, sequencer, through }, message, what);
}

function recordsStep(suite: Suite, header: BlockHeader, read: Audit): readonly [AuditReader, string] {
  const known = new Map<string, Uint8Array | undefined>();
  let before = '';
  for (const { key, value, proof } of read.records) {
    const name = toHex(key);
    must(known.size === 0 || before < name, 'its records are not in order');
    before = name;
    must(
      verifyStateProof(suite, header.stateRoot, { key, value }, proof),
      `the record ${name.slice(0, 12)} is not in the block’s state`,
    );
    known.set(name, value);
  }
  return [new AuditReader(known), `${counted(known.size, 'record')}, proved against the block’s state`];
}

/** Whether a transaction has to do with what is audited. */
function concerns(subject: AuditSubject, sent: Transaction, { reader }: AuditContext): boolean {
  const { action, sender } = sent;
  if (subject.type === 'asset') {
    const isIt = (id: Uint8Array | undefined): boolean => id !== undefined && equalBytes(id, subject.asset);
    if (action.type === 'collect-path') return action.assets.some(isIt);
    const paid = claimsOf(action).some(({ attribution }) => attribution.some(({ asset }) => isIt(asset)));
    return paid || ('asset' in action && isIt(action.asset));
  }
  if (subject.type === 'receipt') return false;
  const channels = claimsOf(action).map(({ channel }) => channel);
  const own = (id: Uint8Array): boolean => {
    const listed = subject.channels.some((one) => equalBytes(one, id));
    const found = listed ? reader.read(CHANNEL, id) : undefined;
    return found !== undefined && [found.payer, found.payee].some((party) => equalBytes(party, subject.did));
  };
  return equalBytes(sender, subject.did) || channels.some(own);
}

function transactionsStep(
  { context, trusted }: { readonly context: AuditContext; readonly trusted: Trusted },
  read: Audit,
): readonly [AuditFindings, string] {
  const proven: string[] = [];
  const unproven: string[] = [];
  const places = new Set<string>();
  for (const one of read.transactions) {
    const { header, sent } = openTransaction(trusted, one);
    must(header.height <= context.height, 'a transaction is of a later block');
    const place = `${header.height}/${one.transactionPath.index}`;
    must(!places.has(place), 'a transaction is there twice');
    places.add(place);
    must(concerns(read.subject, sent, context), 'a transaction has nothing to do with what is audited');
    const keys = keysOf(context.reader, sent.sender);
    const words = `Block ${header.height}: ${actionWords(sent)} by ${didOf(sent.sender)} moved ${one.result.moved} grains.`;
    proven.push(words);
    if (!keys.some((key) => isSigned(trusted, key, one.transaction))) {
      unproven.push(
        `Whose key signed the transaction in block ${header.height}: it is not on record any more.`,
      );
    }
  }
  const detail =
    read.transactions.length === 0
      ? 'none'
      : `${counted(places.size, 'transaction')}, each in a signed block`;
  return [{ proven, unproven }, detail];
}

function isSigned({ suite, network }: Trusted, key: PublicKey, message: Signed): boolean {
  return checkSigned(suite, network, 'transaction', key, message) === undefined;
}

function actionWords({ action }: Transaction): string {
  const counts = claimsOf(action).map((claim) => {
    const { sequence, lane, total } = charge.decode(claim.charge.payload);
    return `lane ${lane}, ${counted(sequence, 'receipt')}, ${total} grains in all`;
  });
  return counts.length === 0 ? action.type : `${action.type} (${counts.join('; ')})`;
}

function openTransaction(
  trusted: Trusted,
  one: AuditedTransaction,
): { readonly header: BlockHeader; readonly sent: Transaction } {
  const { suite, network } = trusted;
  const { header } = openHeader(trusted, one.header, 'a transaction’s block');
  const leads = (leaf: Uint8Array, path: MerklePath, root: Uint8Array): boolean => {
    const found = merkleRootFrom(suite, leaf, path);
    return found !== undefined && equalBytes(found, root);
  };
  const { transactionPath, resultPath } = one;
  must(
    leads(signed.encode(one.transaction), transactionPath, header.transactionsRoot),
    'a transaction is not in its block',
  );
  must(
    leads(transactionResult.encode(one.result), resultPath, header.resultsRoot),
    'a result is not in its block',
  );
  const samePlace = transactionPath.index === resultPath.index && transactionPath.count === resultPath.count;
  must(samePlace, 'a result is of another transaction');
  must(one.result.code === 0, `the ledger refused a transaction (${one.result.code})`);
  const sent = transaction.decode(one.transaction.payload);
  must(sent.network === network, 'a transaction is of another network');
  return { header, sent };
}
