/** What a look at a bot's account found, before anything runs with its token. */

/** One thing that is well, worth knowing, or wrong. */
export interface BotFinding {
  readonly state: 'ok' | 'note' | 'fault';
  readonly found: string;
  /** What to do about it. */
  readonly next?: string;
}

/** A bot as its platform knows it. */
export interface BotCheck {
  readonly id: string;
  /** What people call it by. */
  readonly name: string;
  /** Where people add it, or write to it. */
  readonly invite: string;
  readonly findings: readonly BotFinding[];
}
