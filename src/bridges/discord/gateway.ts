/**
 * The gateway connection with a durable inbox. The session and the number of the last dispatch that the journal
 * holds are on disk together with it, so a process that was killed resumes where the journal ends and Discord sends
 * what came since again.
 */
import { CloseCodes, type SessionInfo, WebSocketManager, WebSocketShardEvents } from '@discordjs/ws';
import {
  GatewayDispatchEvents,
  type GatewayDispatchPayload,
  type GatewayEntitlementCreateDispatch,
  type GatewayEntitlementDeleteDispatch,
  GatewayIntentBits,
  type REST,
  Routes,
} from 'discord.js';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { AgentIndex } from '../core/agent-index.ts';
import type { Bridge } from '../core/bridge.ts';
import type { ChatEvent } from '../core/platform.ts';
import { catchUp } from './catching-up.ts';
import { discordEvent } from './events.ts';
import { discordFailure } from './failures.ts';
import { instantResponse } from './instant.ts';
import { entitlementEvent, type ProductOffer } from './products.ts';

/** What the connection works with. */
export interface GatewayParts {
  readonly rest: REST;
  readonly token: string;
  readonly selfId: string;
  readonly bridge: Bridge;
  readonly index: AgentIndex;
  /** What is sold; empty: nothing. */
  readonly products: readonly ProductOffer[];
  readonly clock: Clock;
  readonly log: Log;
}

/** Reads no message but those that mention the bot or are written to it: the message-content intent stays off. */
const INTENTS = GatewayIntentBits.GuildMessages | GatewayIntentBits.DirectMessages;

/** Connects; events are journalled in the order of their numbers. Throws what the library says about the token. */
export async function connectGateway(parts: GatewayParts): Promise<{ close(): Promise<void> }> {
  const { rest, token, bridge, log } = parts;
  const sessions = new Map<number, SessionInfo>();
  const inbox = createInbox(parts, sessions);
  let isClosing = false;

  const manager = new WebSocketManager({
    rest,
    token,
    intents: INTENTS,
    // As many connections as Discord recommends.
    shardCount: null,
    retrieveSessionInfo: (shardId) =>
      sessions.get(shardId) ?? sessionOf(bridge.mark(markOf(shardId)), shardId) ?? null,
    async updateSessionInfo(shardId, session) {
      if (session) sessions.set(shardId, session);
      else {
        if (isClosing) return;
        sessions.delete(shardId);
        await bridge.receive([], new Map([[markOf(shardId), '']]));
      }
    },
  });

  manager.on(WebSocketShardEvents.Dispatch, ({ data, shardId }) => inbox.take(data, shardId));
  manager.on(WebSocketShardEvents.Error, ({ error }) => log.warn('gateway error', { reason: error.message }));
  manager.on(WebSocketShardEvents.Closed, ({ code }) => log.warn('gateway closed', { code }));
  await manager.connect();
  // From here on a process that is killed resumes, so nothing is lost that is written to the bot.
  await inbox.taken();
  // What a process before was still reading.
  for (const shardId of await manager.getShardIds()) inbox.goBack(shardId);
  return {
    async close() {
      // An ordinary close would end the session, and with it what Discord keeps for the next process.
      isClosing = true;
      await manager.destroy({ code: CloseCodes.Resuming });
      await inbox.taken();
      await inbox.caughtUp();
    },
  };
}

interface Inbox {
  take(payload: GatewayDispatchPayload, shardId: number): void;
  /** Reads what was missed, beside what is told now: acknowledgements do not wait for it. */
  goBack(shardId: number): void;
  /** Resolves when all that was taken is journalled. */
  taken(): Promise<void>;
  /** Resolves when nothing missed is being read. */
  caughtUp(): Promise<void>;
}

function createInbox(parts: GatewayParts, sessions: ReadonlyMap<number, SessionInfo>): Inbox {
  const { bridge, log } = parts;
  let tail: Promise<void> = Promise.resolve();
  let catchingUp: Promise<void> = Promise.resolve();

  async function receive(payload: GatewayDispatchPayload, shardId: number): Promise<void> {
    if (answerAtOnce(parts, payload)) return;
    const event = eventOf(parts, payload);
    const session = sessions.get(shardId);
    const isNew = payload.t === GatewayDispatchEvents.Ready;
    if (event === undefined && !isNew) return;
    const mark = session === undefined ? '' : JSON.stringify({ ...session, sequence: payload.s });
    const heard = /^discord:(\d{1,20})$/.exec(event?.id ?? '')?.[1];
    const before = bridge.mark(heardMarkOf(shardId)) ?? '';
    const isLater = heard !== undefined && (before === '' || BigInt(heard) > BigInt(before));
    const marks = new Map([[markOf(shardId), mark]]);
    if (isLater) marks.set(heardMarkOf(shardId), heard);
    // A session that begins anew was told of nothing that came before it. Until that is read, a mark says from where on.
    if (isNew && before !== '' && !bridge.mark(missedMarkOf(shardId)))
      marks.set(missedMarkOf(shardId), before);
    await bridge.receive(event ? [event] : [], marks);
    if (isNew) goBack(shardId);
  }

  async function readMissed(shardId: number): Promise<void> {
    const from = bridge.mark(missedMarkOf(shardId)) ?? '';
    if (from === '' || !(await catchUp(parts, from))) return;
    await bridge
      .receive([], new Map([[missedMarkOf(shardId), '']]))
      .catch((error) => log.warn('not noted as read', { code: asSaharaError(error).code }));
  }

  function goBack(shardId: number): void {
    catchingUp = catchingUp.then(() => readMissed(shardId));
  }

  return {
    take(payload, shardId) {
      tail = tail
        .then(() => receive(payload, shardId))
        .catch((error) => log.error('dispatch not journalled', { code: asSaharaError(error).code }));
    },
    goBack,
    taken: () => tail,
    caughtUp: () => catchingUp,
  };
}

function eventOf(
  { clock, products, selfId }: GatewayParts,
  payload: GatewayDispatchPayload,
): ChatEvent | undefined {
  const atMs = clock.nowMs();
  return isEntitlement(payload)
    ? entitlementEvent(payload.d, products, { selfId, atMs })
    : discordEvent(payload, selfId, atMs);
}

/** A purchase was made or taken back. */
function isEntitlement(
  payload: GatewayDispatchPayload,
): payload is GatewayEntitlementCreateDispatch | GatewayEntitlementDeleteDispatch {
  return (
    payload.t === GatewayDispatchEvents.EntitlementCreate ||
    payload.t === GatewayDispatchEvents.EntitlementDelete
  );
}

function markOf(shardId: number): string {
  return `discord/session/${shardId}`;
}

/** The greatest id of a message or interaction that is journalled. */
function heardMarkOf(shardId: number): string {
  return `discord/heard/${shardId}`;
}

/** From where on messages are still to be read; empty when none are. */
function missedMarkOf(shardId: number): string {
  return `discord/missed/${shardId}`;
}

function sessionOf(mark: string | undefined, shardId: number): SessionInfo | undefined {
  if (mark === undefined || mark === '') return undefined;
  const { sequence, sessionId, shardCount, resumeURL } = { ...JSON.parse(mark) };
  if (!Number.isInteger(sequence) || typeof sessionId !== 'string' || typeof resumeURL !== 'string')
    return undefined;
  return { sequence, sessionId, shardId, shardCount: Number(shardCount), resumeURL };
}

/** Answers what must be answered at once and is not journalled. It holds nothing else up, and is not repeated. */
function answerAtOnce(
  { rest, index, bridge, selfId, clock, log }: GatewayParts,
  payload: GatewayDispatchPayload,
): boolean {
  if (payload.t !== GatewayDispatchEvents.InteractionCreate) return false;
  const { id, token } = payload.d;
  const body = instantResponse(payload.d, index, () => {
    const event = discordEvent(payload, selfId, clock.nowMs());
    return event && bridge.budget(event);
  });
  if (body === undefined) return false;
  rest
    .post(Routes.interactionCallback(id, token), { auth: false, body })
    .catch((error) => log.warn('no suggestion or form', { code: discordFailure(error).code }));
  return true;
}
