/** `identity`: the keys that sign for you on the ledger, who may recover them, and what you certified. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { SaharaError } from '../../base/errors.ts';
import type { IdentityReply, IdentityReport } from '../../daemon/admin/types-identity.ts';
import { type App, type CommandGroup, countOption, usage } from '../app.ts';
import { amount } from '../show.ts';
import { plural, printable, shortDid } from '../terminal.ts';

interface PolicyOptions {
  readonly guardian?: readonly string[];
  readonly threshold?: string;
  readonly delay?: string;
}

interface CertifyOptions {
  readonly capability?: readonly string[];
  readonly role?: readonly string[];
  readonly days: string;
}

const gather = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

/** Who signs for whom. */
export const identityCommands: CommandGroup = (program, run) => {
  const identity = program
    .command('identity')
    .description('the keys that sign for you: register, rotate, recover, certify, revoke');
  identity
    .command('show')
    .argument('[did]', 'whose; your own when left out')
    .description('the key that signs now, earlier ones that still count, guardians, recoveries')
    .addHelpText('after', '\nExample:\n  $ sahara identity show')
    .action(run(show));
  identity
    .command('init')
    .description('make the next key, keep it, and register its hash: from then on you can rotate')
    .option('--guardian <did>', 'who may recover you; give it once for each', gather)
    .option('--threshold <votes>', 'votes that a recovery takes; default: a majority')
    .option('--delay <blocks>', 'blocks that you have to object to a recovery')
    .addHelpText('after', '\nExample:\n  $ sahara identity init')
    .action(run(init));
  identity
    .command('rotate')
    .description('sign with the next key from now on, also when the present one has leaked')
    .option('--key-file <file>', 'the next key, when it is kept elsewhere: what `identity export-next` wrote')
    .addHelpText('after', '\nExample:\n  $ sahara identity rotate')
    .action(run(rotate));
  identity
    .command('export-next')
    .description('move the next key into a file, to keep it elsewhere; whoever has it can rotate your key')
    .argument('<file>', 'where to')
    .addHelpText('after', '\nExample:\n  $ sahara identity export-next /media/stick/next.key')
    .action(run(exportNext));
  identity
    .command('guardians')
    .description('say who may recover you together; this rotates your key')
    .command('set')
    .argument('<dids...>', 'DIDs of the guardians; `none` for nobody')
    .option('--threshold <votes>', 'votes that a recovery takes; default: a majority')
    .option('--delay <blocks>', 'blocks that you have to object to a recovery')
    .addHelpText('after', '\nExample:\n  $ sahara identity guardians set DID1 DID2 DID3 --threshold 2')
    .action(run(setGuardians));
  addRecovery(identity, run);
  identity
    .command('certify')
    .description('state what a key or a peer may do for you, until when')
    .argument('<subject>', 'a DID, or a peer id')
    .requiredOption('--capability <text>', 'such as read:dataset/*; give it once for each', gather)
    .option('--role <name>', 'what the subject is for you; give it once for each', gather)
    .option('--days <count>', 'for how long', '30')
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara identity certify DID --capability "read:dataset/*" --days 7',
    )
    .action(run(certify));
  identity
    .command('revoke')
    .description('take certificates back, for good')
    .argument('<what>', 'a serial, or a peer id, DID or agent of yours: then all that it has or may have')
    .addHelpText('after', '\nExample:\n  $ sahara identity revoke guide')
    .action(run(revoke));
};

const addRecovery: CommandGroup = (identity, run) => {
  identity
    .command('request-recovery')
    .description('ask your guardians for a new key that this home makes; hand them what it prints')
    .argument('[did]', 'whose keys are lost; your own when left out')
    .addHelpText('after', '\nExample:\n  $ sahara identity request-recovery')
    .action(run(request));
  identity
    .command('recover')
    .description(
      'vote, as a guardian, for the new key of somebody whose keys are lost: ask them in person first',
    )
    .argument('<did>', 'whose keys are lost')
    .requiredOption('--new-key <request>', 'what they got from `sahara identity request-recovery`')
    .addHelpText('after', '\nExample:\n  $ sahara identity recover DID --new-key sahara-recovery:...')
    .action(run(recover));
  identity
    .command('cancel-recovery')
    .description('reject every recovery of your identity: you have your key, and did not ask for it')
    .addHelpText('after', '\nExample:\n  $ sahara identity cancel-recovery')
    .action(run(cancel));
  identity
    .command('finish-recovery')
    .description('put a recovery into effect whose delay is over; anyone may')
    .argument('[did]', 'whose; your own when left out')
    .addHelpText('after', '\nExample:\n  $ sahara identity finish-recovery DID')
    .action(run(finish));
  identity
    .command('adopt')
    .description(
      'act for a DID from now on that a key of this home signs for, such as one that was recovered',
    )
    .argument('<did>', 'whose; the one that you leave keeps its key here, and adopting it brings you back')
    .addHelpText('after', '\nExample:\n  $ sahara identity adopt DID')
    .action(run(adopt));
};

async function show(app: App, did: string | undefined): Promise<void> {
  const report = await app.client.call('identity.show', did === undefined ? {} : { did }, {
    signal: app.signal,
  });
  app.terminal.result(report, () => showReport(app, report));
}

function showReport({ terminal }: App, report: IdentityReport): void {
  const { key, did, retired, recoveries, guardians, here } = report;
  terminal.line(did);
  if (!report.registered) {
    terminal.line('signs       with its first key; no other one is registered');
    if (report.mine) terminal.line('Register a next key before you need one:  sahara identity init');
    return;
  }
  terminal.line(`signs       ${key === did ? 'with its first key' : `with ${key}`}`);
  for (const one of retired) {
    terminal.line(
      `before      ${shortDid(one.key)}, until block ${one.retiredAt}; its vouchers and charges count until block ${one.until}`,
    );
  }
  if (here !== undefined) {
    terminal.line(`next key    ${here.next ? 'in this home' : 'not in this home'}`);
    if (!here.signing) {
      terminal.line('The key that signs is not in this home: nothing that this peer signs is accepted.');
    }
  }
  terminal.line(
    guardians.length === 0
      ? 'guardians   none: lost keys stay lost'
      : `guardians   ${report.threshold} of ${guardians.length}, after ${report.delayBlocks} blocks`,
  );
  for (const guardian of guardians) terminal.line(`            ${guardian}`);
  for (const { key: wanted, votes, effectiveAt } of recoveries) {
    const when =
      effectiveAt === undefined ? 'votes are lacking' : `can be finished from block ${effectiveAt} on`;
    terminal.line(
      `recovery    to ${wanted}: ${plural(votes.length, 'vote')}, ${when} (now: ${report.height})`,
    );
  }
}

async function init(app: App, options: PolicyOptions): Promise<void> {
  const { guardian: guardians, ...rest } = options;
  const input = { ...(guardians !== undefined && { guardians }), ...limits(rest) };
  await sendAndShow(app, () => app.client.call('identity.init', input, { signal: app.signal }));
}

async function rotate(app: App, { keyFile: path }: { readonly keyFile?: string }): Promise<void> {
  const nextKey =
    path === undefined
      ? undefined
      : await readFile(path, 'utf8').catch((error: unknown) => {
          throw new SaharaError('file-missing', { path }, { cause: error });
        });
  const input = nextKey === undefined ? {} : { nextKey };
  await sendAndShow(app, () => app.client.call('identity.rotate', input, { signal: app.signal }));
}

async function exportNext(app: App, file: string): Promise<void> {
  const reply = await app.client.call('identity.exportNext', { file: resolve(file) }, { signal: app.signal });
  app.terminal.result(reply, () => {
    app.terminal.line(`Moved the next key to ${reply.file}; it is not in this home any more.`);
    app.terminal.line('Whoever has this file can take your identity over: keep it safe, and elsewhere.');
    app.terminal.line(`Rotate with it:  sahara identity rotate --key-file ${file}`);
  });
}

async function adopt(app: App, did: string): Promise<void> {
  const stop = app.terminal.progress('Looking at the ledger');
  const reply = await app.client.call('identity.adopt', { did }, { signal: app.signal }).finally(stop);
  app.terminal.result(reply, () => {
    app.terminal.line(`This home acts for ${reply.did} from now on; its daemon starts anew.`);
    app.terminal.line(
      `${reply.left} keeps ${amount(reply.leftBalance)} and what it owns; its key stays in this home.`,
    );
    app.terminal.line(`Back to it:  sahara identity adopt ${reply.left}`);
  });
}

async function setGuardians(app: App, dids: readonly string[], options: PolicyOptions): Promise<void> {
  const guardians = dids.length === 1 && dids[0] === 'none' ? [] : dids;
  const input = { guardians, ...limits(options) };
  await sendAndShow(app, () => app.client.call('identity.rotate', input, { signal: app.signal }));
}

async function request(app: App, did: string | undefined): Promise<void> {
  const input = did === undefined ? {} : { did };
  const reply = await app.client.call('identity.request', input, { signal: app.signal });
  app.terminal.result(reply, () => {
    app.terminal.line(reply.request);
    app.terminal.line();
    app.terminal.line(`Hand this to your guardians, in person. The new key is ${reply.key}.`);
  });
}

async function recover(app: App, did: string, options: { readonly newKey: string }): Promise<void> {
  const input = { did, request: options.newKey };
  await sendAndShow(app, () => app.client.call('identity.recover', input, { signal: app.signal }));
}

async function cancel(app: App): Promise<void> {
  await sendAndShow(app, () => app.client.call('identity.cancel', {}, { signal: app.signal }));
}

async function finish(app: App, did: string | undefined): Promise<void> {
  const whose = did ?? (await app.client.call('status', {}, { signal: app.signal })).did;
  await sendAndShow(app, () => app.client.call('identity.finish', { did: whose }, { signal: app.signal }));
}

async function certify(app: App, subject: string, options: CertifyOptions): Promise<void> {
  const { capability: capabilities = [], role: roles } = options;
  const days = countOption('--days', options.days);
  if (days > 3650) throw usage('--days takes at most 3650');
  const input = { subject, capabilities, days, ...(roles !== undefined && { roles }) };
  const reply = await app.client.call('identity.certify', input, { signal: app.signal });
  app.terminal.result(reply, () => {
    app.terminal.line(reply.chain);
    app.terminal.line();
    app.terminal.line(`Serial ${reply.serial}. Take it back with:  sahara identity revoke ${reply.serial}`);
  });
}

async function revoke(app: App, what: string): Promise<void> {
  const stop = app.terminal.progress('Waiting for the ledger');
  const reply = await app.client.call('identity.revoke', { what }, { signal: app.signal }).finally(stop);
  app.terminal.result(reply, () => {
    for (const serial of reply.serials) app.terminal.line(`Revoked ${serial} in block ${reply.height}.`);
    app.terminal.line(`What ${printable(what)} shows of you by these is refused from now on.`);
  });
}

async function sendAndShow(app: App, send: () => Promise<IdentityReply>): Promise<void> {
  const stop = app.terminal.progress('Waiting for the ledger');
  const reply = await send().finally(stop);
  app.terminal.result(reply, () => {
    app.terminal.line(`Done in block ${reply.height}.`);
    showReport(app, reply.identity);
  });
}

function limits({ threshold, delay }: PolicyOptions): {
  readonly threshold?: number;
  readonly delayBlocks?: number;
} {
  return {
    ...(threshold !== undefined && { threshold: countOption('--threshold', threshold) }),
    ...(delay !== undefined && { delayBlocks: countOption('--delay', delay) }),
  };
}
