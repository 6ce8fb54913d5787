/**
 * Bridges of this peer: a bot for each platform that there is a token for, started with the daemon and kept up while
 * platforms come and go. Tokens are kept sealed in the home's store, never in the configuration; another token takes the
 * place of the one before without a restart.
 */
import { fromUtf8, utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Store } from '../base/store.ts';
import type { BotCheck } from '../bridges/core/check.ts';
import { sleep } from '../bridges/core/pacer.ts';
import { pausedAgents } from '../bridges/core/pausing.ts';
import type { PlatformName } from '../bridges/core/platform.ts';
import type { AgentsPort, LearnPort, MoneyPort } from '../bridges/core/ports.ts';
import { createState, type State } from '../bridges/core/state.ts';
import type { BridgeRow } from './admin/methods-bridge.ts';
import { BRIDGE_NAMES, BRIDGED, type RunningBot } from './bridges-platforms.ts';
import type { BridgesConfig } from './config-bridges.ts';

/** What bridges work with. */
export interface BridgesParts {
  readonly agents: AgentsPort;
  readonly money: MoneyPort;
  /** Absent: no documents are taken. */
  readonly learn?: LearnPort | undefined;
  /** The bridges have these stores for themselves. */
  readonly store: Store;
  readonly tokens: Store;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Log;
}

/** The bridges of this peer. */
export interface Bridges {
  /** How each bridge does that has a token. */
  rows(): readonly BridgeRow[];
  /** Checks a token with its platform, keeps it, and has the bridge go on with it. Throws `token-refused`, `platform-failed`. */
  set(platform: PlatformName, token: string): Promise<BotCheck>;
  /** Stops a bridge and forgets its token. Throws `token-missing`. */
  remove(platform: PlatformName): Promise<void>;
  /** Asks the platform about the token that is used. Throws `token-missing`, `token-refused`, `platform-failed`. */
  check(platform: PlatformName): Promise<BotCheck>;
  stop(): Promise<void>;
}

const RETRY_FIRST_MS = 2_000;
const RETRY_LAST_MS = 60_000;

/** Starts the bridges that have a token. Resolves at once; platforms that are out of reach are tried again. */
export async function startBridges(parts: BridgesParts, config: BridgesConfig): Promise<Bridges> {
  const bridges = new BridgeKeeper(parts, config);
  for (const platform of BRIDGE_NAMES) await bridges.begin(platform);
  return bridges;
}

/** One bridge while it has a token. */
interface Entry {
  readonly from: BridgeRow['tokenFrom'];
  readonly stopping: AbortController;
  state: BridgeRow['state'];
  failure: SaharaError | undefined;
  bot: RunningBot | undefined;
  run: Promise<void>;
}

class BridgeKeeper implements Bridges {
  readonly #parts: BridgesParts;
  readonly #config: BridgesConfig;
  readonly #state: State;
  readonly #entries = new Map<PlatformName, Entry>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: BridgesParts, config: BridgesConfig) {
    this.#parts = parts;
    this.#config = config;
    this.#state = createState(parts.store);
  }

  rows(): readonly BridgeRow[] {
    return [...this.#entries].map(([platform, { state, failure, from, bot }]) => {
      const reason = bot?.trouble() ?? (failure && REASONS[failure.code]) ?? failure?.code;
      const { running = 0, refusals = 0 } = bot?.bridge.health() ?? {};
      return { platform, state, tokenFrom: from, running, refusals, ...(reason !== undefined && { reason }) };
    });
  }

  async begin(platform: PlatformName): Promise<void> {
    const kept = await this.#kept(platform);
    const token = kept ?? this.#given(platform);
    if (token === undefined) return;
    const entry: Entry = {
      from: kept === undefined ? 'environment' : 'kept',
      stopping: new AbortController(),
      state: this.#config.off.includes(platform) ? 'off' : 'starting',
      failure: undefined,
      bot: undefined,
      run: Promise.resolve(),
    };
    this.#entries.set(platform, entry);
    if (entry.state !== 'off') entry.run = this.#keepUp(platform, token, entry);
  }

  set(platform: PlatformName, token: string): Promise<BotCheck> {
    return this.#inTurn(async () => {
      const check = await BRIDGED[platform].check(token, this.#config);
      const value = utf8(token);
      await this.#parts.tokens.batch([{ type: 'put', key: utf8(platform), value }], { sync: true });
      await this.#end(platform);
      await this.begin(platform);
      return check;
    });
  }

  remove(platform: PlatformName): Promise<void> {
    return this.#inTurn(async () => {
      if ((await this.#kept(platform)) === undefined) throw this.#missing(platform);
      await this.#parts.tokens.batch([{ type: 'del', key: utf8(platform) }], { sync: true });
      await this.#end(platform);
      await this.begin(platform);
    });
  }

  async check(platform: PlatformName): Promise<BotCheck> {
    const token = (await this.#kept(platform)) ?? this.#given(platform);
    if (token === undefined) throw this.#missing(platform);
    const { findings: told, ...bot } = await BRIDGED[platform].check(token, this.#config);
    const findings = [...told, ...(await this.#pauses()), ...(await this.#learning())];
    const entry = this.#entries.get(platform);
    const trouble = entry?.bot?.trouble();
    if (entry?.state === 'off')
      return {
        ...bot,
        findings: [
          ...findings,
          { state: 'note', found: 'the bridge is off', next: 'Take it out of bridges.off.' },
        ],
      };
    if (trouble !== undefined) return { ...bot, findings: [...findings, { state: 'fault', found: trouble }] };
    const up = entry?.state === 'running';
    const runs = up ? 'the bridge runs here' : `the bridge is ${entry?.state ?? 'not started'}`;
    return { ...bot, findings: [...findings, { state: up ? 'ok' : 'note', found: runs }] };
  }

  /** Agents that took money for nothing. */
  async #pauses(): Promise<BotCheck['findings']> {
    const paused = await pausedAgents(this.#state, this.#parts.clock.nowMs());
    return paused.map(({ agent, untilMs }) => ({
      state: 'note',
      found: `${agent} took money for nothing and is not asked before ${new Date(untilMs).toISOString()}`,
      next: 'Nothing: it is asked again after that. The log says how much it took.',
    }));
  }

  /** Who learns, and how much that is. */
  async #learning(): Promise<BotCheck['findings']> {
    try {
      const open = await this.#parts.learn?.open();
      if (open === undefined) return [];
      const { name, documents, people } = open;
      return [{ state: 'ok', found: `${name} learns by /learn: documents ${documents}, people ${people}` }];
    } catch (error) {
      const { code } = asSaharaError(error);
      const found = `the agent of bridges.learn takes no documents now (${code})`;
      return [{ state: 'fault', found, next: 'Host it, or take it out of bridges.learn.' }];
    }
  }

  async stop(): Promise<void> {
    await this.#turn.catch(() => undefined);
    await Promise.all([...this.#entries.keys()].map((platform) => this.#end(platform)));
  }

  async #keepUp(platform: PlatformName, token: string, entry: Entry): Promise<void> {
    const { clock, log } = this.#parts;
    const { signal } = entry.stopping;
    for (let waitMs = RETRY_FIRST_MS; !signal.aborted; waitMs = Math.min(2 * waitMs, RETRY_LAST_MS)) {
      try {
        const bot = await BRIDGED[platform].start(this.#botParts, token, this.#config);
        entry.bot = bot;
        entry.state = 'running';
        entry.failure = undefined;
        log.info('bridge runs', { platform });
        if (signal.aborted) return await bot.stop();
        await bot.ended;
        return;
      } catch (error) {
        await entry.bot?.stop().catch(() => undefined);
        entry.bot = undefined;
        entry.failure = asSaharaError(error);
        const isFinal = entry.failure.code === 'token-refused';
        entry.state = isFinal ? 'refused' : 'waiting';
        log.warn('bridge does not run', { platform, code: entry.failure.code });
        if (isFinal) return;
        await sleep(clock, waitMs, signal).catch(() => undefined);
      }
    }
  }

  async #end(platform: PlatformName): Promise<void> {
    const entry = this.#entries.get(platform);
    if (entry === undefined) return;
    entry.stopping.abort();
    await entry.bot?.stop();
    await entry.run;
    this.#entries.delete(platform);
  }

  get #botParts(): Parameters<(typeof BRIDGED)[PlatformName]['start']>[0] {
    const { agents, money, learn, clock, log } = this.#parts;
    return { agents, money, learn, state: this.#state, clock, log };
  }

  async #kept(platform: PlatformName): Promise<string | undefined> {
    const value = await this.#parts.tokens.get(utf8(platform));
    return value && fromUtf8(value);
  }

  #given(platform: PlatformName): string | undefined {
    return this.#parts.environment[BRIDGED[platform].variable] || undefined;
  }

  #missing(platform: PlatformName): SaharaError {
    return new SaharaError('token-missing', { platform, variable: BRIDGED[platform].variable });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#turn.catch(() => undefined).then(work);
    this.#turn = run;
    return run;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  'token-refused': 'the platform does not know the token any more: `sahara bridge setup` takes another',
  'platform-failed': 'the platform cannot be reached',
  'rate-limited': 'the platform asks to wait',
};
