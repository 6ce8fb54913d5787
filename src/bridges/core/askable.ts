/** Whether an agent may be asked now: not after it took money for nothing, nor while it is open what it took. */
import type { Language } from './language.ts';
import { pausedUntil } from './pausing.ts';
import type { State } from './state.ts';
import { isInDoubt } from './unsettled.ts';

/** What keeps an agent from being asked, in words; `undefined`: nothing does. */
export async function whyNotAsked(
  state: State,
  agent: { readonly did: string; readonly name: string; readonly nowMs: number },
  language: Language,
): Promise<string | undefined> {
  const { did, name, nowMs } = agent;
  const until = pausedUntil(state, did, nowMs);
  if (until !== undefined) {
    const time = new Date(until).toISOString().slice(0, 16).replace('T', ' ');
    return language.agentPaused({ agent: name, until: time });
  }
  return (await isInDoubt(state, did)) ? language.agentInDoubt(name) : undefined;
}
