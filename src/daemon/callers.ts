/**
 * The two callers of a daemon: one that pays and goes over the mesh, and one for agents of this very peer. Both have
 * the evidence of a call saved before what it takes to go on with it is forgotten.
 */
import type { CallRecords } from '../agent/call-records.ts';
import { type Caller, type CallResult, type CallTarget, createCaller } from '../agent/caller.ts';
import type { OpenCalls } from '../agent/open-calls.ts';
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Directory } from '../mesh/directory.ts';
import { BUNDLE_FORMAT, bundle } from '../protocol/bundle.ts';
import { card as cardSchema } from '../protocol/card.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { AgentKeeper } from './agents.ts';
import type { ChannelParts } from './channels.ts';
import { targetAt } from './finding.ts';
import { createCallsOut } from './gateway.ts';
import { channelOf, partiesOf, proveKeys } from './key-proofs.ts';
import { createCallPayer } from './paying-calls.ts';
import { saveReceipt } from './receipts.ts';

/** What callers are made of. */
export interface CallerKeeperParts extends ChannelParts {
  readonly records: CallRecords;
  readonly openCalls: OpenCalls;
  readonly agents: AgentKeeper;
  readonly directory: Pick<Directory, 'agents' | 'card'>;
}

/** A daemon's callers. */
export interface Callers {
  /** Pays, and asks over the mesh. */
  readonly remote: Caller;
  /** Asks agents of this peer. */
  readonly local: Caller;
  /** Saves the evidence of a call, once; resolves with the file's path. */
  save(result: CallResult): Promise<string>;
}

/** The callers over `parts`. */
export function createCallers(parts: CallerKeeperParts): Callers {
  const { verifier, clock, dice, network, operator, records, openCalls, payer, agents, config } = parts;
  const saving = new WeakMap<CallResult, Promise<string>>();
  const save = (result: CallResult): Promise<string> => {
    const path = saving.get(result) ?? saveEvidence(parts, result);
    saving.set(result, path);
    return path;
  };
  const ended = async (result: CallResult): Promise<void> => {
    await save(result);
  };
  const common = { suite: nativeSuite, verifier, clock, dice, network, operator, records, ended };
  const once = createCallPayer({ ...parts, suite: nativeSuite, store: parts.storeOf('paying') });
  const { workBitsDone: workBitsMax } = config.calls;
  return {
    remote: createCaller(
      { ...common, transport: createCallsOut(parts), payer, once, openCalls, renewed: renewedBy(parts) },
      { workBitsMax },
    ),
    // A call to an agent of this peer ends with its process on both sides, and there is nothing to go on with.
    local: createCaller({ ...common, transport: agents.transport }),
    save,
  };
}

/** Hosts of agents with the cards that they show now. */
function renewedBy({
  directory,
}: CallerKeeperParts): (target: CallTarget) => Promise<CallTarget | undefined> {
  return async ({ peerId, card }) => {
    const { agent } = cardSchema.decode(card.payload);
    const listing = directory.agents().find((one) => equalBytes(one.agent, agent));
    const host = listing?.hosts.find((one) => one.peerId === peerId);
    return listing && host && targetAt(directory, listing, host);
  };
}

async function saveEvidence(parts: CallerKeeperParts, result: CallResult): Promise<string> {
  const { home, choice } = parts;
  const { payment, ...evidence } = result.evidence;
  const settlement = payment && { ...payment, receiptPath: undefined };
  const { genesis } = choice;
  const file = bundle.encode({
    format: BUNDLE_FORMAT,
    genesis,
    ...evidence,
    settlement,
    keys: await proveKeys(parts, partiesOf({ ...evidence, settlement }), channelOf(evidence)),
  });
  return saveReceipt(home.receipts, toHex(result.callId), file);
}
