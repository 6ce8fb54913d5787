/** What goes wrong in a story, and how it is put right again at the end. */
import type { Random } from '../fuzz/random.ts';
import type { CrashKind } from './disk.ts';
import type { Party } from './party.ts';
import type { CallStep } from './truth.ts';
import type { World } from './world.ts';

const STEPS: readonly CallStep[] = [
  'sent-opening',
  'got-opening',
  'sent-voucher',
  'delivered',
  'got-delivery',
  'signed',
  'shown',
];

/** Most tasks between the step that a crash waits for and the crash. */
const TRIP_TASKS_MAX = 60;
/** From here on an outage outlasts every advert. */
const LONG_MS = 80_000;
const JUMP_MS_MAX = 7_200_000;

/** The faults of a story. */
export class Faults {
  readonly #world: World;
  readonly #random: Random;
  #over = false;
  /** Whether any wall clock ever jumped. */
  jumped = false;

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random(5);
  }

  /** Spreads all faults over the story. */
  schedule(): void {
    const { plan, net, trace, parties } = this.#world;
    const { faults } = plan;
    const random = this.#random;
    net.faults.gossipLoss = faults.gossipLoss;
    net.faults.gossipDuplicates = faults.gossipDuplicates;
    this.#often(faults.crashes, () => {
      const victim = random.pick(parties);
      const outageMs = this.#outage();
      const kind = this.#kind(victim);
      return () => this.#crash(victim, kind, outageMs);
    });
    this.#often(faults.partitions, () => {
      const groups = new Map(parties.map((party) => [party.peerId, random.below(2)]));
      const outageMs = this.#outage();
      return () => {
        trace.say(`part ${[...groups.values()].join('')}`);
        net.part(groups);
        this.#later(outageMs, () => {
          trace.say('join');
          net.part(new Map());
        });
      };
    });
    this.#often(faults.cuts, () => {
      const [a, b] = [random.pick(parties), random.pick(parties)];
      return () => net.cut(a.peerId, b.peerId);
    });
    this.#often(faults.slowLinks, () => {
      const pace = net.paceOf(random.pick(parties).peerId, random.pick(parties).peerId);
      const bytesPerMs = 0.5 + random.below(20);
      return () => {
        pace.bytesPerMs = bytesPerMs;
      };
    });
    this.#often(faults.slowDisks, () => {
      const { pace } = random.pick(parties).disk;
      const slow = { quickMs: 1 + random.below(200), syncMs: 10 + random.below(3_000) };
      return () => Object.assign(pace, slow);
    });
    this.#often(faults.fullDisks, () => {
      const victim = random.pick(parties);
      const outageMs = this.#outage();
      return () => {
        trace.say(`disk of ${victim.name} is full`);
        victim.disk.full = true;
        this.#later(outageMs, () => this.#makeRoom(victim));
      };
    });
    this.#often(faults.clockJumps, () => {
      const { clockFault, name } = random.pick(parties);
      const jumpMs = random.below(2 * JUMP_MS_MAX) - JUMP_MS_MAX;
      return () => {
        trace.say(`clock of ${name} jumps ${jumpMs} ms`);
        this.jumped = true;
        clockFault.offsetMs += jumpMs;
      };
    });
    this.#tripwires();
  }

  /** Nothing goes wrong any more: everybody is up, connected and in step. */
  heal(): void {
    const { net, parties, trace, plan } = this.#world;
    this.#over = true;
    trace.say('heal');
    net.part(new Map());
    Object.assign(net.faults, { gossipLoss: 0, gossipDuplicates: 0 });
    for (const party of parties) {
      Object.assign(party.disk.pace, { quickMs: 0.3, syncMs: 6 });
      if (party.disk.full) this.#makeRoom(party);
      if (Math.abs(party.clockFault.offsetMs) > plan.faults.skewMs) party.clockFault.offsetMs = 0;
      if (!party.up) void this.#world.start(party);
    }
    for (const a of parties)
      for (const b of parties)
        if (a !== b && parties.length < 11) net.paceOf(a.peerId, b.peerId).bytesPerMs = 12_500;
  }

  /** One crash that waits for the nth time that its victim does something. */
  #tripwires(): void {
    const { plan, truth, scheduler, parties } = this.#world;
    const random = this.#random;
    const wires = Array.from({ length: plan.faults.tripwires }, () => ({
      step: random.pick(STEPS),
      nth: 1 + random.below(12),
      tasks: random.below(TRIP_TASKS_MAX),
      other: random.once(3) ? random.pick(parties) : undefined,
      outageMs: this.#outage(),
      dice: random.below(1_000),
    }));
    truth.onStep = (step, party) => {
      for (const wire of wires) {
        if (wire.step !== step || --wire.nth !== 0) continue;
        const victim = wire.other ?? party;
        scheduler.afterTasks(wire.tasks, () =>
          this.#crash(victim, this.#kind(victim, wire.dice), wire.outageMs),
        );
      }
    };
  }

  /** Books that could not write serve nothing more until they are opened again. */
  #makeRoom(victim: Party): void {
    if (!victim.disk.full) return;
    victim.disk.full = false;
    victim.crash('kill');
    void this.#world.start(victim);
  }

  #crash(victim: Party, kind: CrashKind, outageMs: number): void {
    if (this.#over || !victim.up) return;
    victim.crash(kind);
    this.#later(outageMs, () => {
      if (!victim.up) void this.#world.start(victim);
    });
  }

  #kind(victim: Party, dice: number = this.#random.below(1_000)): CrashKind {
    const { faults } = this.#world.plan;
    // Without its blocks the network itself would be gone.
    if (faults.lostDisks && dice < 300 && victim !== this.#world.sequencer) return 'lost';
    return faults.powerLoss && dice < 650 ? 'power' : 'kill';
  }

  #outage(): number {
    const { outageMs } = this.#world.plan.faults;
    const least = outageMs > LONG_MS ? LONG_MS : 50;
    return least + this.#random.below(outageMs - least);
  }

  #often(times: number, draw: () => () => void): void {
    for (let i = 0; i < times; i++) {
      const atMs = 1_000 + this.#random.below(this.#world.plan.durationMs);
      this.#later(atMs, draw());
    }
  }

  #later(delayMs: number, run: () => void): void {
    this.#world.scheduler.after(delayMs, () => {
      if (!this.#over) run();
    });
  }
}
