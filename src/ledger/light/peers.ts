/**
 * Whom a light client asks: whose last answer held or who was never asked, each in turn, so that what one of them says is
 * held against the others; then who failed.
 */
import { asSaharaError } from '../../base/errors.ts';
import { PEERS_ASKED_MAX } from '../limits.ts';
import type { LedgerMesh } from '../sync.ts';

/** What became of the last question to each connected peer. */
export interface LightPeersReport {
  readonly connected: number;
  /** Peers whose last answer held. */
  readonly answering: number;
  /** Peers that serve no proofs: they follow the ledger lightly themselves. */
  readonly light: number;
  /** Why the last answer that did not hold did not; absent while all hold. */
  readonly fault?: string;
  /** Whose it was. */
  readonly faultOf?: string;
}

/** The connected peers by how they answered. */
export class LightPeers {
  readonly #peers: () => readonly { readonly peerId: string }[];
  /** The fault of a peer's last answer; `undefined` when it held. */
  readonly #last = new Map<string, string | undefined>();
  /** Those among them that do not know the question. */
  readonly #light = new Set<string>();
  #turn = 0;

  constructor(mesh: Pick<LedgerMesh, 'peers'>) {
    this.#peers = () => mesh.peers();
  }

  /** Up to 8 peers to ask, best first; of equally good ones another one first each time. */
  order(): readonly string[] {
    const connected = this.#peers().map(({ peerId }) => peerId);
    for (const known of this.#last.keys())
      if (!connected.includes(known)) {
        this.#last.delete(known);
        this.#light.delete(known);
      }
    const first = connected.length === 0 ? 0 : this.#turn++ % connected.length;
    const turned = [...connected.slice(first), ...connected.slice(0, first)];
    return turned.sort((a, b) => this.#rank(a) - this.#rank(b)).slice(0, PEERS_ASKED_MAX);
  }

  held(peerId: string): void {
    this.#last.set(peerId, undefined);
    this.#light.delete(peerId);
  }

  failed(peerId: string, error: unknown): void {
    const { code, facts, message } = asSaharaError(error);
    if (code === 'version-unsupported' && facts.protocol !== undefined) this.#light.add(peerId);
    else this.#light.delete(peerId);
    this.#last.set(peerId, typeof facts.reason === 'string' ? facts.reason : message);
  }

  report(): LightPeersReport {
    const connected = this.#peers().map(({ peerId }) => peerId);
    const answering = connected.filter((peerId) => this.#last.has(peerId) && this.#rank(peerId) === 0).length;
    const faultOf = connected.find((peerId) => this.#last.get(peerId) !== undefined);
    const fault = faultOf === undefined ? undefined : this.#last.get(faultOf);
    const light = connected.filter((peerId) => this.#light.has(peerId)).length;
    return {
      connected: connected.length,
      answering,
      light,
      ...(fault !== undefined && faultOf !== undefined && { fault, faultOf }),
    };
  }

  #rank(peerId: string): 0 | 1 {
    return this.#last.get(peerId) === undefined ? 0 : 1;
  }
}
