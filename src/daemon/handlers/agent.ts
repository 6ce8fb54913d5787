/** `agent.*` and `agents`: what is hosted here, and who can be asked. */
import type { AgentListing } from '../../mesh/directory-state.ts';
import { didOf } from '../../protocol/ids.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { AgentRow } from '../admin/types.ts';
import type { AgentVersionRow } from '../admin/types-agent.ts';
import { giveAgent, takeAgent } from '../agent-moving.ts';
import { questionsOf } from '../agent-questions.ts';
import { testAgent } from '../agent-testing.ts';
import type { AgentKeeper } from '../agents.ts';
import type { Ask } from '../asking.ts';
import type { Running } from '../compose.ts';
import { bondBehind } from '../stake.ts';
import { keyOf } from './ledger.ts';

const LOOK_EVERY_MS = 100;

const GROUNDED_MIN_PPM = 800_000;

type AgentMethods =
  | 'agents'
  | 'agent.add'
  | 'agent.list'
  | 'agent.remove'
  | 'agent.export'
  | 'agent.import'
  | 'agent.questions'
  | 'agent.versions'
  | 'agent.rollback'
  | 'agent.test';

/** What is hosted here, and who can be asked. */
export function agentHandlers(running: Running, ask: Ask): Pick<AdminHandlers, AgentMethods> {
  const { vaults } = running.knowledge;
  const { agents, directory, clock, ledger, mesh, homeLedger } = running;
  return {
    async agents({ waitMs = 0 }, signal) {
      const untilMs = clock.monotonicMs() + waitMs;
      while (directory.agents().length === 0 && clock.monotonicMs() < untilMs && !signal.aborted) {
        await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve));
      }
      return directory.agents().map((listing) => {
        const bond = bondBehind(ledger, listing.operator);
        return { ...rowOf(listing, mesh.peerId), ...(bond !== undefined && { bond: String(bond) }) };
      });
    },
    async 'agent.add'({ manifest, replace = false }, signal) {
      const ledgerKept = await homeLedger.keepWhole({ signal });
      const row = await agents.add(manifest, { replace, signal });
      return { ...row, ...(ledgerKept !== undefined && { ledgerKept }) };
    },
    'agent.list': () => agents.list(),
    async 'agent.remove'({ name }) {
      await agents.remove(name);
      return {};
    },
    async 'agent.export'({ name, to }) {
      const reader = to === undefined ? running.key.publicKey : keyOf(to);
      const file = await giveAgent(running, { name, reader });
      return { agent: Buffer.from(file).toString('base64'), reader: didOf(reader) };
    },
    async 'agent.import'({ agent, trusted = false }, signal) {
      const ledgerKept = await homeLedger.keepWhole({ signal });
      const { row, from } = await takeAgent(running, Buffer.from(agent, 'base64'), { trusted, signal });
      return { ...row, from, ...(ledgerKept !== undefined && { ledgerKept }) };
    },
    'agent.questions': ({ name }, signal) => questionsOf({ ...agents.hosted(name), ask, vaults }, signal),
    'agent.versions': ({ name }) => versionsOf(agents, name),
    async 'agent.rollback'({ name, version }, signal) {
      const current = (await versionsOf(agents, name)).find((row) => row.current)?.version ?? 1;
      const { manifest } = await agents.versions.read(name, version ?? current - 1);
      return agents.add(manifest, { replace: true, signal });
    },
    'agent.test': ({ name, groundedMin = GROUNDED_MIN_PPM }, signal) =>
      testAgent({ ...agents.hosted(name), ask, groundedMin }, signal),
  };
}

/** Newest first. Throws `agent-unknown`. */
async function versionsOf(agents: AgentKeeper, name: string): Promise<readonly AgentVersionRow[]> {
  const versions = await agents.versions.list(name);
  if (versions.length === 0) agents.hosted(name);
  return versions.map(({ number: version, ...rest }, i) => ({ version, ...rest, current: i === 0 }));
}

function rowOf(listing: AgentListing, here: string): AgentRow {
  const [best] = listing.hosts;
  const { measured } = best ?? {};
  const { queue = 0, latencyMs } = best?.advert ?? {};
  return {
    did: listing.did,
    name: listing.name,
    skills: listing.skills,
    perCall: String(listing.perCall),
    claimed: { queue, ...(latencyMs !== undefined && { latencyMs }) },
    ...(measured && { measured: { ...measured, paid: String(measured.paid) } }),
    operator: didOf(listing.operator),
    peerId: best?.peerId ?? '',
    local: best?.peerId === here,
  };
}
