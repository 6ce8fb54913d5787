/** `status` and `doctor`: what runs here, what is wrong, and how to mend it. */
import { statfs } from 'node:fs/promises';
import { formatAmount } from '../../base/amount.ts';
import { toHex } from '../../base/bytes.ts';
import { didOf } from '../../protocol/ids.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { Finding, StatusReport } from '../admin/types.ts';
import { claimPollMs, closeDelayMs } from '../claiming.ts';
import type { Running } from '../compose.ts';
import { disputeRows } from '../disputes.ts';
import { findModels } from '../models-doctor.ts';
import { VERSION } from '../version.ts';
import { ledgerReport } from './ledger.ts';

const DISK_BYTES_LOW = 500_000_000;
/** Peers and callers that are looked through, the most limited first. */
const LISTED_MAX = 1_000;

/** What runs here. */
export async function statusReport(running: Running): Promise<StatusReport> {
  const { home, mesh, wallet, clock, startedAtMs, agents, knowledge } = running;
  const models = await running.models.report();
  const disputes = disputeRows(running.disputes.watch);
  const bridges = running.bridges.rows();
  return {
    version: VERSION,
    pid: process.pid,
    home: home.root,
    upMs: Math.round(clock.monotonicMs() - startedAtMs),
    memoryBytes: process.memoryUsage().rss,
    did: didOf(wallet.publicKey),
    peerId: mesh.peerId,
    addresses: mesh.addresses(),
    peers: mesh.peers().map(({ peerId, addresses, direction, latencyMs }) => ({
      peerId,
      address: addresses[0] ?? '',
      direction,
      ...(latencyMs !== undefined && { latencyMs }),
    })),
    ledger: ledgerReport(running),
    balance: String(wallet.balance()),
    agents: (await agents.list()).filter(({ note }) => note === undefined).map(({ name }) => name),
    vaults: await knowledge.vaults.names(),
    ...(models.loaded.length > 0 && { models }),
    ...(bridges.length > 0 && { bridges }),
    ...(disputes.length > 0 && { disputes }),
  };
}

/** `status` and `doctor`. */
export function statusHandlers(running: Running): Pick<AdminHandlers, 'status' | 'doctor' | 'stop'> {
  return {
    status: () => statusReport(running),
    doctor: () => examine(running),
    async stop() {
      running.askToStop();
      return {};
    },
  };
}

type Check = (running: Running) => Finding | Promise<Finding>;

const CHECKS: readonly Check[] = [
  node,
  disk,
  ledger,
  network,
  money,
  hosted,
  vaults,
  ({ models, config }) => findModels(models, config.models),
  unknownCalls,
  claims,
  standing,
  chats,
];

async function examine(running: Running): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const check of CHECKS) findings.push(await check(running));
  return findings;
}

function node(): Finding {
  return {
    name: 'node',
    state: 'ok',
    found: `${process.versions.node} on ${process.platform} ${process.arch}`,
  };
}

async function disk({ home }: Running): Promise<Finding> {
  const { bavail, bsize } = await statfs(home.root);
  const free = bavail * bsize;
  const found = `${(free / 1e9).toFixed(1)} GB free under ${home.root}`;
  if (free >= DISK_BYTES_LOW) return { name: 'disk', state: 'ok', found };
  return {
    name: 'disk',
    state: 'fault',
    found,
    next: 'Free some space: vouchers and receipts must be written.',
  };
}

function ledger({ ledger: chain, mesh, homeLedger }: Running): Finding {
  const head = chain.head();
  const found = `${chain.network}, height ${head.height}, state ${toHex(head.stateRoot).slice(0, 12)}`;
  if (head.halted !== undefined) {
    const next =
      'See `sahara logs`; `sahara ledger verify` names the block. Nothing is paid until it is mended.';
    return { name: 'ledger', state: 'fault', found: `halted: ${head.halted}`, next };
  }
  const light = homeLedger.report();
  if (light?.warning !== undefined) {
    const next = 'Connect to a peer that keeps the whole ledger; `sahara status` shows how many answer.';
    return { name: 'ledger', state: 'fault', found: `${found}, light. ${light.warning}`, next };
  }
  if (light?.conflict !== undefined) {
    const next =
      'Compare the last line of `sahara network status` with a node that you trust; `sahara ledger evidence FILE` writes both. Where it has another chain, begin anew in another home.';
    return { name: 'ledger', state: 'note', found: `${found}, light. ${light.conflict}`, next };
  }
  if (chain.mode === 'follower' && mesh.peers().length === 0) {
    const next = 'Its sequencer cannot be reached: start it, or name a peer with --bootstrap.';
    return { name: 'ledger', state: 'fault', found: `${found}; following nobody`, next };
  }
  return { name: 'ledger', state: 'ok', found: `${found}, ${chain.mode}` };
}

function network({ mesh, config }: Running): Finding {
  const peers = mesh.peers().length;
  const addresses = mesh.addresses().length;
  const found = `${peers} connected, reachable at ${addresses} ${addresses === 1 ? 'address' : 'addresses'}`;
  if (peers > 0) return { name: 'mesh', state: 'ok', found };
  const nearby = config.mesh.mdns ? 'Peers on this network appear by themselves. ' : '';
  return {
    name: 'mesh',
    state: 'note',
    found,
    next: `${nearby}Join one elsewhere with --bootstrap ADDRESS.`,
  };
}

function money({ wallet, ledger: chain }: Running): Finding {
  const balance = wallet.balance();
  const found = formatAmount(balance);
  if (balance > 0n) return { name: 'balance', state: 'ok', found };
  const next = chain.genesis.faucet
    ? 'The faucet of this network gives some as soon as its ledger answers.'
    : 'Ask somebody for a transfer to your DID.';
  return { name: 'balance', state: 'note', found, next };
}

async function hosted({ agents }: Running): Promise<Finding> {
  const rows = await agents.list();
  const broken = rows.find(({ note }) => note !== undefined);
  if (broken === undefined) return { name: 'agents', state: 'ok', found: `${rows.length} hosted` };
  return {
    name: 'agents',
    state: 'fault',
    found: `${broken.name}: ${broken.note ?? ''}`,
    next: 'Mend its manifest or vault, then `sahara agent add --replace`.',
  };
}

async function vaults({ knowledge }: Running): Promise<Finding> {
  const names = await knowledge.vaults.names();
  for (const name of names) {
    try {
      await knowledge.vaults.open(name);
    } catch (error) {
      return {
        name: 'vaults',
        state: 'fault',
        found: `${name}: ${String(error)}`,
        next: `Remove it with \`sahara vault remove ${name}\` and import again.`,
      };
    }
  }
  return { name: 'vaults', state: 'ok', found: `${names.length} open` };
}

async function unknownCalls({ payer, disputes }: Running): Promise<Finding> {
  const reserved = payer.balances().reduce((sum, row) => sum + row.reserved, 0n);
  const disputed = payer.balances().find((row) => row.disputed);
  if (disputed) {
    const found = `channel ${toHex(disputed.channel).slice(0, 12)}: the payee contradicts itself`;
    return {
      name: 'payments',
      state: 'fault',
      found,
      next: 'Nothing more is paid on it; close it with `sahara channel close`.',
    };
  }
  const claimed = disputes.watch.disputes().find(({ case: open }) => open?.state !== 'won');
  if (claimed) {
    const name = toHex(claimed.channel).slice(0, 12);
    return {
      name: 'payments',
      state: claimed.case === undefined ? 'note' : 'fault',
      found: `channel ${name}: the payee claimed something else than it charged`,
      next: `See what is held against it with \`sahara channel challenge ${name} --dry-run\`.`,
    };
  }
  return { name: 'payments', state: 'ok', found: `${formatAmount(reserved)} held for calls under way` };
}

function chats({ bridges }: Running): Finding {
  const rows = bridges.rows();
  const names = rows.map(({ platform }) => platform).join(', ');
  const broken = rows.find(({ state, reason }) => state !== 'off' && reason !== undefined);
  if (broken === undefined) return { name: 'bridges', state: 'ok', found: names || 'none' };
  return {
    name: 'bridges',
    state: 'fault',
    found: `${broken.platform}: ${broken.reason ?? ''}`,
    next: `\`sahara bridge check ${broken.platform}\` says more.`,
  };
}

function standing({ standing: book }: Running): Finding {
  const limited = book.list(LISTED_MAX).filter(({ step }) => step > 0).length;
  if (limited === 0) return { name: 'standing', state: 'ok', found: 'nobody is limited for what it did' };
  return {
    name: 'standing',
    state: 'note',
    found: `limits are lowered for ${limited} of the peers and callers`,
    next: 'See `sahara standing` for whom and why; it passes with time.',
  };
}

function claims({ ledger: chain, config }: Running): Finding {
  const { parameters } = chain.genesis;
  const delay = Math.floor(closeDelayMs(parameters) / 1000);
  const longest = config.wallet.claimEverySeconds + Math.ceil(claimPollMs(parameters) / 1000);
  const found = `channels end ${delay} s after their payer asks, money is claimed within ${longest} s`;
  if (delay >= 2 * longest) return { name: 'claims', state: 'ok', found };
  return {
    name: 'claims',
    state: 'note',
    found,
    next: 'A peer that is down for so long loses what it has not claimed: set wallet.claimEverySeconds lower, or keep it running.',
  };
}
