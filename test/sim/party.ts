/** One party: an operator with keys and a disk, which runs, goes down and runs again. */
import type { PayeePort } from '../../src/agent/ports.ts';
import { toHex } from '../../src/base/bytes.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { BlockEvent } from '../../src/ledger/ledger.ts';
import type { CallStream } from '../../src/mesh/interface.ts';
import type { PayeeBook } from '../../src/payment/payee-book.ts';
import type { Card } from '../../src/protocol/card.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import type { Signed, TickSigner } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Random } from '../fuzz/random.ts';
import type { Knowledge } from './answerer.ts';
import { type CrashKind, Disk } from './disk.ts';
import type { SimMesh } from './mesh.ts';
import { openRunning, type Running } from './running.ts';
import type { ClockFault, Life } from './time.ts';
import type { World } from './world.ts';

/** An agent of a party. */
export interface SimAgent {
  readonly signer: Signer;
  readonly card: Card;
  readonly signedCard: Signed;
  readonly cardHash: Hash;
  readonly knowledge: Knowledge;
}

/** What a party is made of. */
export interface PartyParts {
  readonly world: World;
  readonly name: string;
  readonly signer: Signer;
  readonly peerId: string;
  readonly random: Random;
  readonly clockFault: ClockFault;
  /** Parties to keep a connection to. */
  readonly keep: readonly string[];
  /** Who keeps the ledger for it; absent: it follows every block itself. */
  readonly lender?: (() => Party) | undefined;
}

/** How a party differs from an honest and sound one. */
export interface Temper {
  /** Puts something between the host and the payee's book. */
  payee?: (book: PayeeBook) => PayeePort;
  /** The lane that its payee's book serves, whatever it drew. */
  lane?: number;
  /** Changes the host's side of each call. */
  hostStream?: (stream: CallStream) => CallStream;
  /** Signs for the operator where it pays. */
  payingSigner?: (signer: TickSigner) => TickSigner;
  /** Replaces the clock of the directory. */
  directoryClock?: (clock: Clock) => Clock;
  /** Replaces the clock of the caller. */
  callerClock?: (clock: Clock) => Clock;
}

/** One party of a story. */
export class Party {
  readonly parts: PartyParts;
  readonly name: string;
  readonly signer: Signer;
  readonly peerId: string;
  readonly clockFault: ClockFault;
  readonly disk: Disk;
  readonly agents: SimAgent[] = [];
  readonly temper: Temper = {};
  /** Keys that it made for vouchers, over all its runs. */
  voucherKeysMade = 0;
  /** Told of each block that this party has executed. */
  readonly borrowers: Set<(event: BlockEvent) => void> = new Set();
  /** Crashes by kind. */
  readonly crashes: Record<CrashKind, number> = { kill: 0, power: 0, lost: 0 };
  /** Told when it is up again. */
  onUp: (running: Running) => void = () => {};
  /** What runs now; absent while the party is down or starting. */
  running: Running | undefined;
  /** Virtual time at which it went down for the last time. */
  downSinceMs = 0;
  #life: Life | undefined;
  #mesh: SimMesh | undefined;
  #runs = 0;

  constructor(parts: PartyParts) {
    this.parts = parts;
    this.name = parts.name;
    this.signer = parts.signer;
    this.peerId = parts.peerId;
    this.clockFault = parts.clockFault;
    const { scheduler, options } = parts.world;
    this.disk = new Disk(scheduler, parts.random, { forgetful: options.mutation === 'forgetful-disk' });
  }

  /** Names the time since its system last lost what was not on disk. */
  get boot(): string {
    return String(this.crashes.power + this.crashes.lost);
  }

  /** Whether it runs or is starting. */
  get up(): boolean {
    return this.#life?.alive === true;
  }

  /** Runs on what its disk holds. */
  async start(): Promise<void> {
    const { trace } = this.parts.world;
    const life: Life = { name: `${this.name}#${++this.#runs}`, alive: true };
    this.#life = life;
    trace.say(`start ${life.name}`);
    const running = await openRunning(this, life, (mesh) => {
      this.#mesh = mesh;
    });
    if (!life.alive) return;
    this.running = running;
    trace.say(`up ${life.name}`);
    this.onUp(running);
  }

  /** Goes down at once, wherever it is. */
  crash(kind: CrashKind): void {
    if (!this.#life?.alive) return;
    const { scheduler, trace, truth } = this.parts.world;
    trace.say(`crash ${this.#life.name} ${kind}`);
    this.#life.alive = false;
    this.#mesh?.leave(kind === 'kill');
    this.running = undefined;
    this.#mesh = undefined;
    this.crashes[kind]++;
    this.downSinceMs = scheduler.nowMs;
    this.disk.crash(kind);
    truth.crashed(this, kind);
  }

  /** How lines name it. */
  toString(): string {
    return this.name;
  }
}

/** The first characters of an id, for lines. */
export function short(bytes: Uint8Array): string {
  return toHex(bytes.subarray(0, 3));
}
