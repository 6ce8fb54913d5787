/**
 * The network: who is connected to whom, what passes between them, and how each side learns that the other is gone.
 * A connection that breaks is noticed by each side on its own, at once or after a long silence; while a partition
 * lasts bytes wait, as they do in TCP, until somebody gives up.
 */
import type { Random } from '../fuzz/random.ts';
import { Flow, type LinkPace, type PipeEnd } from './pipe.ts';
import type { Life, Scheduler } from './time.ts';
import type { Trace } from './trace.ts';

/** A party that is up. */
export interface Node {
  readonly peerId: string;
  readonly life: Life;
  /** Connections that this side believes in. */
  readonly connections: Map<string, Connection>;
  /** Topics that it joined. */
  readonly topics: Map<string, (message: Uint8Array, from: string, author: string) => void>;
  peerChanged(peerId: string, connected: boolean): void;
  /** Takes a stream that the other side began. */
  accept(peerId: string, stream: Stream): PipeEnd & { onClosed(): void };
  /** Takes a question; what it answers goes back. */
  answer(from: string, question: Question): Promise<Uint8Array>;
}

/** A question under way. */
export interface Question {
  readonly protocol: string;
  readonly body: Uint8Array;
  readonly gone: AbortSignal;
}

/** One side's end of a stream. */
export interface Stream {
  readonly out: Flow;
  close(): void;
}

interface Side {
  readonly node: Node;
  /** Whether this side still believes in the connection. */
  open: boolean;
  /** What ends with it, as this side sees it. */
  readonly ends: Set<() => void>;
}

/** Two parties that can talk. */
export class Connection {
  readonly sides: readonly [Side, Side];
  readonly flows: Set<Flow> = new Set<Flow>();
  readonly pace: LinkPace;

  constructor(from: Node, to: Node, pace: LinkPace) {
    const side = (node: Node): Side => ({ node, open: true, ends: new Set() });
    this.sides = [side(from), side(to)];
    this.pace = pace;
  }

  /** The side of `peerId`. */
  sideOf(peerId: string): Side {
    return this.sides[0].node.peerId === peerId ? this.sides[0] : this.sides[1];
  }

  /** The side across from `peerId`. */
  across(peerId: string): Side {
    return this.sides[0].node.peerId === peerId ? this.sides[1] : this.sides[0];
  }
}

/** How the network misbehaves; the story changes it. */
export interface NetFaults {
  /** Of a thousand gossip messages to one party, so many are lost. */
  gossipLoss: number;
  /** Of a thousand, so many come twice. */
  gossipDuplicates: number;
}

const DIAL_TIMEOUT_MS = 10_000;
const GOSSIP_LATE_MS = 3_000;
/** Longest time after which a copy of a gossip message may still come, virtual milliseconds. */
export const GOSSIP_COPY_MS_MAX = 150_000;

/** Everybody's network. */
export class Net {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly trace: Trace;
  readonly faults: NetFaults = { gossipLoss: 0, gossipDuplicates: 0 };
  readonly #nodes = new Map<string, Node>();
  readonly #groups = new Map<string, number>();
  readonly #paces = new Map<string, LinkPace>();
  /** Bytes handed to any pipe. */
  bytes = 0;

  constructor(parts: { scheduler: Scheduler; random: Random; trace: Trace }) {
    this.scheduler = parts.scheduler;
    this.random = parts.random;
    this.trace = parts.trace;
  }

  /** The run of a party that is up now. */
  node(peerId: string): Node | undefined {
    return this.#nodes.get(peerId);
  }

  join(node: Node): void {
    this.#nodes.set(node.peerId, node);
  }

  /** The party is gone; with `loud` its neighbours' systems are told at once, else they hear nothing. */
  leave(node: Node, loud: boolean): void {
    if (this.#nodes.get(node.peerId) === node) this.#nodes.delete(node.peerId);
    for (const connection of node.connections.values()) {
      connection.sideOf(node.peerId).open = false;
      const other = connection.across(node.peerId);
      const noticeMs = loud ? 1 + this.random.below(200) : 5_000 + this.random.below(40_000);
      this.scheduler.after(noticeMs, () => this.#notice(connection, other), other.node.life);
    }
    node.connections.clear();
  }

  /** Parts the parties into groups that cannot reach each other; those not named are in group 0. */
  part(groups: ReadonlyMap<string, number>): void {
    this.#groups.clear();
    for (const [peerId, group] of groups) this.#groups.set(peerId, group);
    for (const connection of this.#connections()) {
      if (!this.#apart(connection)) {
        for (const flow of connection.flows) flow.resume();
        continue;
      }
      for (const side of connection.sides) {
        const giveUpMs = 4_000 + this.random.below(60_000);
        const look = (): void => {
          if (this.#apart(connection) || connection.sides.some(({ open }) => !open))
            this.#notice(connection, side);
        };
        this.scheduler.after(giveUpMs, look, side.node.life);
      }
    }
  }

  /** Breaks the connection between two parties; both notice soon. */
  cut(a: string, b: string): void {
    const connection = this.#nodes.get(a)?.connections.get(b);
    if (!connection) return;
    this.trace.say(`cut ${a.slice(-4)} ${b.slice(-4)}`);
    for (const side of connection.sides) {
      this.scheduler.after(this.random.below(50), () => this.#notice(connection, side), side.node.life);
    }
    for (const flow of connection.flows) flow.cut();
  }

  /** How bytes pass between two parties. */
  paceOf(a: string, b: string): LinkPace {
    const name = a < b ? `${a} ${b}` : `${b} ${a}`;
    const known = this.#paces.get(name);
    if (known) return known;
    const { random } = this;
    const far = random.below(4) === 0;
    const pace = {
      delayMs: far ? 20 + random.below(120) : 0.2 + random.below(20),
      jitterMs: random.below(30),
      bytesPerMs: 12_500,
    };
    this.#paces.set(name, pace);
    return pace;
  }

  /** The connection from `node` to `peerId`, made if there is none. `undefined`: nobody answers. */
  async connect(node: Node, peerId: string): Promise<Connection | undefined> {
    const known = node.connections.get(peerId);
    if (known) return known;
    const pace = this.paceOf(node.peerId, peerId);
    await this.scheduler.pause(3 * pace.delayMs + this.random.below(20), node.life);
    const meanwhile = node.connections.get(peerId);
    if (meanwhile) return meanwhile;
    const other = this.#nodes.get(peerId);
    if (!other || this.#groupOf(peerId) !== this.#groupOf(node.peerId)) {
      await this.scheduler.pause(other ? DIAL_TIMEOUT_MS : this.random.below(3_000), node.life);
      return undefined;
    }
    const connection = new Connection(node, other, pace);
    node.connections.set(peerId, connection);
    // A connection that the other side still believes in is dead: this one takes its place.
    const stale = other.connections.get(node.peerId);
    if (stale) this.#notice(stale, stale.sideOf(peerId));
    other.connections.set(node.peerId, connection);
    node.peerChanged(peerId, true);
    other.peerChanged(node.peerId, true);
    return connection;
  }

  /** A stream over `connection`, begun by `node`. */
  stream(connection: Connection, node: Node, end: PipeEnd & { onClosed(): void }): Stream {
    const near = connection.sideOf(node.peerId);
    const far = connection.across(node.peerId);
    const [out, back] = [this.#flow(connection), this.#flow(connection)];
    const closeFlows = (): void => {
      for (const flow of [out, back]) {
        flow.cut();
        connection.flows.delete(flow);
      }
    };
    const over = (side: Side, told: { onClosed(): void }): (() => void) => {
      const ended = (): void => {
        side.ends.delete(ended);
        if (side.node.life.alive) told.onClosed();
      };
      side.ends.add(ended);
      return ended;
    };
    // What was sent before the close still arrives; then the other side hears of the end.
    const closing = (flow: Flow, ended: () => void, life: Life): void => {
      const wait = (): void => {
        if (flow.inFlight > 0 && connection.flows.has(flow)) this.scheduler.after(5, wait, life);
        else {
          closeFlows();
          ended();
        }
      };
      this.scheduler.after(connection.pace.delayMs + connection.pace.jitterMs + 0.1, wait, life);
    };
    let accepted: (PipeEnd & { onClosed(): void }) | undefined;
    let farEnded: () => void = () => {};
    const nearEnded = over(near, end);
    const nearStream = { out, close: () => closing(out, () => farEnded(), far.node.life) };
    const farStream = { out: back, close: () => closing(back, nearEnded, near.node.life) };
    const take = (): PipeEnd => {
      if (!accepted) {
        accepted = far.node.accept(node.peerId, farStream);
        farEnded = over(far, accepted);
        back.writer = { end: accepted, life: far.node.life };
      }
      return accepted;
    };
    out.reader = {
      life: far.node.life,
      end: { receive: (chunk) => take().receive(chunk), onDrain: () => {} },
    };
    out.writer = { end, life: node.life };
    back.reader = { end, life: node.life };
    return nearStream;
  }

  /** Carries `message` to everybody who joined `topic` and can be reached. Answers how many neighbours there were. */
  gossip(node: Node, topic: string, message: Uint8Array): number {
    const { random, scheduler } = this;
    const reached = new Set([node.peerId]);
    let border: Node[] = [node];
    for (let hops = 1; border.length > 0; hops++) {
      const next: Node[] = [];
      for (const from of border) {
        for (const [peerId, connection] of from.connections) {
          const to = connection.across(from.peerId).node;
          if (reached.has(peerId) || !to.life.alive || this.#apart(connection)) continue;
          const take = to.topics.get(topic);
          if (!take) continue;
          reached.add(peerId);
          next.push(to);
          if (random.below(1_000) < this.faults.gossipLoss) continue;
          const carry = (delayMs: number): void => {
            scheduler.after(delayMs, () => take(message, from.peerId, node.peerId), to.life);
          };
          carry(
            hops * (connection.pace.delayMs + random.below(100)) +
              (random.below(20) === 0 ? random.below(GOSSIP_LATE_MS) : 0),
          );
          if (random.below(1_000) < this.faults.gossipDuplicates) {
            carry(random.below(random.below(8) === 0 ? GOSSIP_COPY_MS_MAX : GOSSIP_LATE_MS));
          }
        }
      }
      border = next;
    }
    return node.connections.size;
  }

  /** One question over `connection`. Rejects nothing: `undefined` means that the connection was lost. */
  async ask(connection: Connection, node: Node, question: Question): Promise<Uint8Array | undefined> {
    const near = connection.sideOf(node.peerId);
    const far = connection.across(node.peerId);
    const { delayMs, jitterMs, bytesPerMs } = connection.pace;
    const wayMs = (length: number): number =>
      delayMs + (jitterMs * this.random.below(1_000)) / 1_000 + length / bytesPerMs;
    return await new Promise<Uint8Array | undefined>((resolve, reject) => {
      const lost = (): void => {
        near.ends.delete(lost);
        resolve(undefined);
      };
      near.ends.add(lost);
      const passes = (): boolean => near.open && far.open && !this.#apart(connection);
      const back = (length: number, told: () => void): void => {
        const arrive = (): void => {
          if (!near.ends.delete(lost) || !passes()) return;
          told();
        };
        this.scheduler.after(wayMs(length), arrive, node.life);
      };
      const arrive = (): void => {
        if (!passes()) return;
        far.node.answer(node.peerId, question).then(
          (answer) => back(answer.length, () => resolve(answer)),
          (error: unknown) => back(100, () => reject(error)),
        );
      };
      this.scheduler.after(wayMs(question.body.length), arrive, far.node.life);
    });
  }

  #flow(connection: Connection): Flow {
    const { scheduler, random } = this;
    const stalled = (): boolean => this.#apart(connection) || connection.sides.some((side) => !side.open);
    const flow = new Flow({ scheduler, random, pace: connection.pace, stalled });
    connection.flows.add(flow);
    return flow;
  }

  /** One side gives the connection up. */
  #notice(connection: Connection, side: Side): void {
    if (!side.open) return;
    side.open = false;
    for (const flow of connection.flows) flow.cut();
    connection.flows.clear();
    const other = connection.across(side.node.peerId);
    if (side.node.connections.get(other.node.peerId) === connection) {
      side.node.connections.delete(other.node.peerId);
    }
    for (const ended of [...side.ends]) ended();
    if (!side.node.connections.has(other.node.peerId)) side.node.peerChanged(other.node.peerId, false);
    if (!other.open || this.#apart(connection)) return;
    this.scheduler.after(connection.pace.delayMs, () => this.#notice(connection, other), other.node.life);
  }

  #groupOf(peerId: string): number {
    return this.#groups.get(peerId) ?? 0;
  }

  #apart({ sides: [a, b] }: Connection): boolean {
    return this.#groupOf(a.node.peerId) !== this.#groupOf(b.node.peerId);
  }

  *#connections(): Iterable<Connection> {
    for (const node of this.#nodes.values()) {
      for (const connection of node.connections.values()) {
        if (connection.sides[0].node === node) yield connection;
      }
    }
  }
}
