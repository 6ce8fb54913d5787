/**
 * The states of a call and the edges between them, one table for each side (`spec/calls.md`). Host and caller move
 * through these tables and nowhere else; a step that is not in its table is a defect. `unknown` is a state of its own:
 * the caller does not know what the call cost until it has asked, and never pays again meanwhile.
 */
import { invariant } from '../base/errors.ts';

/** What happens to a call at its caller. */
export type CallerEvent =
  | 'send'
  | 'deliver'
  | 'pause'
  | 'stop'
  | 'end'
  | 'refuse'
  | 'break'
  | 'resume'
  | 'lose'
  | 'settle'
  | 'reject';

/** Where a call stands at its caller. */
export type CallerState =
  /** Nothing was sent. */
  | 'reserving'
  /** The opening is out; nothing was delivered. */
  | 'waiting'
  /** Something was delivered. */
  | 'delivering'
  /** The agent waits for more cover. */
  | 'paused'
  /** The caller has asked for the ending. */
  | 'stopping'
  /** The stream broke; the call can be gone on with. */
  | 'cut'
  /** A new stream has asked for what is missing. */
  | 'resuming'
  /** The ending came and is being checked. */
  | 'checking'
  /** Checked and kept. Final. */
  | 'settled'
  /** Nothing was delivered, or nothing is charged for what was; nothing is owed. Final. */
  | 'refused'
  /** Something is not what it must be. Final. */
  | 'rejected'
  /** The stream broke for good: what the call cost, or its answer, has to be asked for later. Final for this attempt only. */
  | 'unknown';

type Edges<State extends string, Event extends string> = Readonly<
  Record<State, Readonly<Partial<Record<Event, State>>>>
>;

/** Every edge at the caller. */
export const CALLER_EDGES: Edges<CallerState, CallerEvent> = {
  reserving: { send: 'waiting', refuse: 'refused' },
  waiting: {
    deliver: 'delivering',
    pause: 'paused',
    stop: 'stopping',
    end: 'checking',
    refuse: 'refused',
    break: 'cut',
    reject: 'rejected',
  },
  delivering: {
    deliver: 'delivering',
    pause: 'paused',
    stop: 'stopping',
    end: 'checking',
    break: 'cut',
    reject: 'rejected',
  },
  paused: {
    deliver: 'delivering',
    pause: 'paused',
    stop: 'stopping',
    end: 'checking',
    refuse: 'refused',
    break: 'cut',
    reject: 'rejected',
  },
  stopping: {
    deliver: 'stopping',
    pause: 'stopping',
    end: 'checking',
    refuse: 'refused',
    break: 'cut',
    reject: 'rejected',
  },
  cut: { resume: 'resuming', end: 'checking', refuse: 'refused', lose: 'unknown', reject: 'rejected' },
  resuming: {
    deliver: 'delivering',
    pause: 'paused',
    stop: 'stopping',
    end: 'checking',
    break: 'cut',
    reject: 'rejected',
  },
  checking: { settle: 'settled', reject: 'rejected' },
  settled: {},
  refused: {},
  rejected: {},
  unknown: {},
};

/** What happens to a call at its host. */
export type HostEvent =
  | 'open'
  | 'resume'
  | 'admit'
  | 'start'
  | 'repeat'
  | 'pause'
  | 'cover'
  | 'detach'
  | 'attach'
  | 'proceed'
  | 'stop'
  | 'end'
  | 'charge'
  | 'refuse'
  | 'leave';

/** Where a call, or a stream that asks for one, stands at its host. */
export type HostState =
  /** The stream is open; no opening came. */
  | 'opening'
  /** The opening is being checked, in the documented order. */
  | 'checking'
  /** A call that goes on is being looked for. */
  | 'finding'
  /** The stream carries a call that was there before, whose own state goes on. Final. */
  | 'joined'
  /** A call that has ended is being told again. */
  | 'repeating'
  /** Everything was checked; the call waits for a place. */
  | 'queued'
  /** The answer is being made and delivered. */
  | 'answering'
  /** What is covered is used up; the call waits for a voucher. */
  | 'paused'
  /** The stream is gone; the call waits for its caller. */
  | 'detached'
  /** A new stream gets what its caller has not. */
  | 'replaying'
  /** The answer is over or was stopped; receipt and charge are being made. */
  | 'charging'
  /** The ending is out. Final. */
  | 'ended'
  /** Refused or failed with nothing delivered; nothing is charged. Final. */
  | 'refused';

/** Every edge at the host. */
export const HOST_EDGES: Edges<HostState, HostEvent> = {
  opening: { open: 'checking', resume: 'finding', refuse: 'refused', leave: 'refused' },
  checking: { admit: 'queued', repeat: 'repeating', refuse: 'refused', leave: 'refused' },
  finding: { attach: 'joined', repeat: 'repeating', refuse: 'refused', leave: 'refused' },
  repeating: { end: 'ended', refuse: 'refused', leave: 'refused' },
  queued: { start: 'answering', attach: 'queued', refuse: 'refused', leave: 'refused' },
  answering: {
    pause: 'paused',
    detach: 'detached',
    attach: 'replaying',
    stop: 'charging',
    end: 'charging',
    refuse: 'refused',
  },
  paused: {
    cover: 'answering',
    detach: 'detached',
    attach: 'replaying',
    stop: 'charging',
    refuse: 'refused',
  },
  detached: { attach: 'replaying', stop: 'charging', end: 'charging', refuse: 'refused' },
  replaying: {
    proceed: 'answering',
    detach: 'detached',
    attach: 'replaying',
    stop: 'charging',
    end: 'charging',
    refuse: 'refused',
  },
  charging: { detach: 'charging', attach: 'charging', charge: 'ended', refuse: 'refused' },
  joined: {},
  ended: {},
  refused: {},
};

/** The state after `event`, or `undefined` where there is no such edge. */
export function nextState<State extends string, Event extends string>(
  edges: Edges<State, Event>,
  state: State,
  event: Event,
): State | undefined {
  return edges[state][event];
}

/** A place in one of the tables. */
export class Session<State extends string, Event extends string> {
  readonly #edges: Edges<State, Event>;
  #state: State;

  constructor(edges: Edges<State, Event>, state: State) {
    this.#edges = edges;
    this.#state = state;
  }

  get state(): State {
    return this.#state;
  }

  /** Whether nothing can happen any more. */
  get over(): boolean {
    return Object.keys(this.#edges[this.#state]).length === 0;
  }

  /** Whether `event` can happen now. */
  can(event: Event): boolean {
    return nextState(this.#edges, this.#state, event) !== undefined;
  }

  /** Moves along an edge that must exist. */
  move(event: Event): void {
    const next = nextState(this.#edges, this.#state, event);
    invariant(next !== undefined, `a call that is ${this.#state} cannot ${event}`);
    this.#state = next;
  }
}
