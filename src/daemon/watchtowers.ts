/** Watchtowers in the daemon: the one that this peer is for others, and the one that it has others be for it. */
import { fromUtf8, utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { prefixed, type Store } from '../base/store.ts';
import { HandOver, type HandOverState } from '../payment/hand-over.ts';
import type { WatchedLane } from '../payment/watch-records.ts';
import { type TowerClaims, Watchtower } from '../payment/watchtower.ts';
import type { ClaimBody } from '../protocol/actions-channel.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import {
  WATCH_ANSWER_BYTES_MAX,
  WATCH_REQUEST_BYTES_MAX,
  WATCHTOWER_PROTOCOL,
  type WatchVerdict,
  watchAnswer,
  watchRequest,
} from '../protocol/watchtower.ts';
import type { Core } from './core.ts';

const CONCURRENCY = 8;
const TIMEOUT_MS = 10_000;

const SERVE_KEY = utf8('serve');
const USE_KEY = utf8('use');

/** What the daemon does about watchtowers. */
export interface Watchtowers {
  /** Begins or ends to be a watchtower; what was watched stays on disk. Throws `ledger-light`. */
  serve(on: boolean): Promise<void>;
  /**
   * Leaves claims with the peer at this address or with this id from now on, or with none. Throws `peer-unreachable`,
   * `watchtower-off` when it is no watchtower, `network-mismatch`.
   */
  use(peer: string | undefined, options: { readonly signal?: AbortSignal }): Promise<void>;
  state(): WatchtowersState;
  stop(): Promise<void>;
}

/** How both stand. */
export interface WatchtowersState {
  /** Absent: this peer is no watchtower. */
  readonly serving: { readonly lanes: readonly WatchedLane[]; readonly claimed: TowerClaims } | undefined;
  /** Absent: claims are left with nobody. */
  readonly using: ({ readonly peer: string } & HandOverState) | undefined;
}

type Parts = Pick<
  Core,
  'mesh' | 'ledger' | 'wallet' | 'payee' | 'verifier' | 'clock' | 'log' | 'network' | 'storeOf' | 'config'
>;

/** Begins what was chosen before, by command or else by `watchtower.serve`. */
export async function startWatchtowers(core: Parts): Promise<Watchtowers> {
  const towers = new BothTowers(core);
  await towers.start();
  return towers;
}

class BothTowers implements Watchtowers {
  readonly #core: Parts;
  readonly #store: Store;
  #tower: Watchtower | undefined;
  #using: { readonly peer: string; readonly handOver: HandOver; readonly unwatch: () => void } | undefined;
  #unserve = (): void => {};
  #changing: Promise<unknown> = Promise.resolve();

  constructor(core: Parts) {
    this.#core = core;
    this.#store = core.storeOf('watchtower');
  }

  async start(): Promise<void> {
    const { config, log, ledger } = this.#core;
    const chosen = await this.#store.get(SERVE_KEY);
    const kept = await this.#store.get(USE_KEY);
    const serve = chosen === undefined ? config.watchtower.serve : chosen[0] === 1;
    if (serve && ledger.mode === 'light') log.warn('a light ledger cannot watch for others');
    else if (serve) await this.#open();
    this.#unserve = this.#core.mesh.serve(WATCHTOWER_PROTOCOL, {
      requestBytesMax: WATCH_REQUEST_BYTES_MAX,
      answerBytesMax: WATCH_ANSWER_BYTES_MAX,
      concurrencyMax: CONCURRENCY,
      handle: (body) => this.#answer(body),
    });
    const peer = kept && fromUtf8(kept);
    if (peer !== undefined) this.#begin(peer);
  }

  serve(on: boolean): Promise<void> {
    return this.#alone(async () => {
      if (on && this.#core.ledger.mode === 'light') throw new SaharaError('ledger-light');
      await this.#store.batch([{ type: 'put', key: SERVE_KEY, value: Uint8Array.of(on ? 1 : 0) }], {
        sync: true,
      });
      if (on && this.#tower === undefined) await this.#open();
      if (on) return;
      const tower = this.#tower;
      this.#tower = undefined;
      await tower?.stop();
    });
  }

  use(peer: string | undefined, options: { readonly signal?: AbortSignal }): Promise<void> {
    return this.#alone(async () => {
      if (peer !== undefined) await this.#send(peer, [], options);
      await this.#end();
      await this.#store.batch(
        [
          peer === undefined
            ? { type: 'del', key: USE_KEY }
            : { type: 'put', key: USE_KEY, value: utf8(peer) },
        ],
        { sync: true },
      );
      if (peer !== undefined) this.#begin(peer);
    });
  }

  state(): WatchtowersState {
    const [tower, using] = [this.#tower, this.#using];
    return {
      serving: tower && { lanes: tower.lanes(), claimed: tower.claimed },
      using: using && { peer: using.peer, ...using.handOver.state },
    };
  }

  async stop(): Promise<void> {
    this.#unserve();
    await this.#alone(async () => {
      await this.#end();
      await this.#tower?.stop();
      this.#tower = undefined;
    });
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const working = this.#changing.catch(() => {}).then(work);
    this.#changing = working;
    return working;
  }

  async #open(): Promise<void> {
    const { wallet, verifier, clock, log, ledger } = this.#core;
    this.#tower = await Watchtower.open({
      suite: nativeSuite,
      verifier,
      clock,
      log,
      store: prefixed(this.#store, utf8('lanes/')),
      ledger,
      claim: async (claim, options) => (await wallet.send({ type: 'claim', ...claim }, options)).result.moved,
    });
  }

  async #answer(body: Uint8Array): Promise<Uint8Array> {
    const request = watchRequest.decode(body);
    const { network } = this.#core;
    if (request.network !== network) throw new SaharaError('network-mismatch', { found: request.network });
    if (this.#tower === undefined) throw new SaharaError('watchtower-off');
    return watchAnswer.encode({ network, verdicts: await this.#tower.take(request.claims) });
  }

  #begin(peer: string): void {
    const { payee: book, wallet, clock, log, mesh } = this.#core;
    const handOver = new HandOver({
      ...{ book, clock, log, channels: wallet.channels },
      send: (claims, options) => this.#send(peer, claims, options),
    });
    const unwatch = mesh.onPeers(({ peerId, connected }) => {
      if (connected && peerId === idIn(peer)) handOver.again();
    });
    this.#using = { peer, handOver, unwatch };
  }

  async #end(): Promise<void> {
    const using = this.#using;
    this.#using = undefined;
    using?.unwatch();
    await using?.handOver.stop();
  }

  async #send(
    peer: string,
    claims: readonly ClaimBody[],
    { signal }: { readonly signal?: AbortSignal },
  ): Promise<readonly WatchVerdict[]> {
    const { mesh, network } = this.#core;
    const options = signal === undefined ? {} : { signal };
    const peerId = idIn(peer);
    if (!mesh.peers().some((known) => known.peerId === peerId)) await mesh.connect(peer, options);
    const answer = watchAnswer.decode(
      await mesh.request(peerId, WATCHTOWER_PROTOCOL, watchRequest.encode({ network, claims }), {
        ...options,
        timeoutMs: TIMEOUT_MS,
        answerBytesMax: WATCH_ANSWER_BYTES_MAX,
      }),
    );
    if (answer.network !== network || answer.verdicts.length !== claims.length) {
      throw new SaharaError('answer-invalid', { reason: 'verdicts for other claims' });
    }
    return answer.verdicts;
  }
}

/** The peer id at the end of an address. */
function idIn(peer: string): string {
  return peer.slice(peer.lastIndexOf('/') + 1);
}
