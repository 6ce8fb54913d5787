/** `asset`: what is registered on the ledger, what it consists of, and proofs of parts of that. */
import { readFile, writeFile } from 'node:fs/promises';
import { concat } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import {
  checkProof,
  commitmentOf,
  commitmentText,
  commitPath,
  type Part,
  provePath,
  readProof,
} from '../../daemon/content.ts';
import { ASSET_KINDS, type Commitment } from '../../protocol/transaction.ts';
import { type App, type CommandGroup, usage } from '../app.ts';
import { ownerOptions, PRESET_NAMES, parentOptions, ppmOption, termsOption } from '../asset-options.ts';
import { amount } from '../show.ts';
import { showPlan } from '../show-assets.ts';
import { plainName, shortDid, shortId } from '../terminal.ts';

interface RegisterOptions {
  readonly kind: string;
  readonly name?: string;
  readonly owner?: readonly string[];
  readonly parent?: readonly string[];
  readonly terms?: string;
  readonly licence?: string;
  readonly replaces?: string;
  readonly bounty?: string;
  readonly commitment?: string;
  readonly dryRun?: boolean;
}

interface ProveOptions {
  readonly chunk?: string;
  readonly bytes?: string;
  readonly file?: string;
  readonly vault?: boolean;
  readonly out: string;
}

interface CheckOptions {
  readonly asset?: string;
  readonly commitment?: string;
  readonly out?: string;
}

/** What is registered, and proofs of it. */
export const assetCommands: CommandGroup = (program, run) => {
  const asset = program
    .command('asset')
    .description('datasets, models and whatever else earns on the ledger');
  asset
    .command('register')
    .description('register a file or folder, once the licences of its parents allow it')
    .argument('[path]', 'what it consists of; otherwise --commitment')
    .requiredOption('--kind <kind>', ASSET_KINDS.join(', '))
    .option('--name <name>', 'its name; that of the file when left out')
    .option('--owner <did=percent...>', 'who owns it; you alone when left out')
    .option('--parent <asset:how:percent...>', 'what it was made from, how, and what part goes on to it')
    .option('--terms <preset|file>', `its licence: ${PRESET_NAMES}, or a JSON file`)
    .option('--licence <name>', 'what the licence is called; the preset when left out')
    .option('--replaces <asset>', 'the asset of yours that it is a newer version of')
    .option('--bounty <percent>', 'part of what owners are due for whoever collects, up to 1', '0')
    .option('--commitment <text>', 'scheme:root:size, as asset commit shows it')
    .option('--dry-run', 'only say whether it would be allowed, and who would keep what it earns')
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara asset register corpus --kind dataset --terms commercial-remix\n  $ sahara asset register out.gguf --kind merge --parent BASE:merged-from:5 --dry-run',
    )
    .action(run(register));
  asset
    .command('show')
    .description('what an asset is, its owners, content and versions')
    .argument('<asset>', 'its id; for your own also the name or first characters')
    .addHelpText('after', '\nExample:\n  $ sahara asset show corpus')
    .action(run(show));
  asset
    .command('commit')
    .description('the commitment to a file or folder (or with --vault: a vault)')
    .argument('<path>')
    .option('--vault', 'it is the name of a vault')
    .addHelpText('after', '\nExample:\n  $ sahara asset commit corpus.jsonl')
    .action(run(commit));
  asset
    .command('prove')
    .description('prove a part of a file or folder (or with --vault: a chunk of a vault)')
    .argument('<path>')
    .option('--chunk <number>', 'chunk of 1 MiB, counted from 0; of a vault: the id of a chunk')
    .option('--bytes <from-to>', 'the chunks that hold these bytes, the last not included')
    .option('--file <path>', 'in a folder: which file')
    .option('--vault', 'it is the name of a vault')
    .requiredOption('--out <proof>', 'where to')
    .addHelpText('after', '\nExample:\n  $ sahara asset prove corpus.jsonl --chunk 3 --out part.proof')
    .action(run(prove));
  asset
    .command('check')
    .description('check a proof: against an asset of the ledger, or offline against a commitment')
    .argument('<proof>')
    .option('--asset <asset>', 'id of the asset')
    .option('--commitment <text>', 'scheme:root:size, from somebody you trust')
    .option('--out <file>', 'write the proved content there')
    .addHelpText('after', '\nExample:\n  $ sahara asset check part.proof --asset 3f2a')
    .action(run(check));
};

async function register(app: App, path: string | undefined, options: RegisterOptions): Promise<void> {
  const kind = ASSET_KINDS.find((one) => one === options.kind);
  if (kind === undefined) throw usage(`--kind takes one of ${ASSET_KINDS.join(', ')}, not "${options.kind}"`);
  const named = await termsOption(options.terms);
  const dryRun = options.dryRun === true;
  const input = {
    kind,
    name: options.name ?? baseName(path),
    owners: ownerOptions(options.owner),
    parents: parentOptions(options.parent),
    commitment: options.commitment ?? (await committed(app, path, dryRun)),
    licence: options.licence ?? named.licence,
    ...(named.terms !== undefined && { terms: named.terms }),
    ...(options.replaces !== undefined && { replaces: options.replaces }),
    bounty: ppmOption('--bounty', options.bounty ?? '0'),
    dryRun,
  };
  const stop = app.terminal.progress('Asking the ledger');
  const report = await app.client.call('asset.register', input, { signal: app.signal }).finally(stop);
  app.terminal.result(report, () => {
    if (report.asset === undefined) showPlan(app, report.plan);
    else app.terminal.line(`${app.terminal.paint('green', input.name)} is registered: ${report.asset}`);
  });
  if (!report.plan.allowed) process.exitCode = 1;
}

function baseName(path: string | undefined): string {
  const name = path?.split(/[\\/]/).findLast((part) => part !== '');
  if (name === undefined) throw usage('It takes a path, or --name and --commitment');
  return name;
}

/** The commitment to what is at `path`; for a dry run without one, of nothing. */
async function committed(app: App, path: string | undefined, dryRun: boolean): Promise<string> {
  if (path === undefined && dryRun) return `none:${'0'.repeat(64)}:0`;
  if (path === undefined) throw usage('It takes a path or --commitment');
  const stop = app.terminal.progress('Hashing');
  return commitmentText(await commitPath(path, { signal: app.signal }).finally(stop));
}

async function show(app: App, asset: string): Promise<void> {
  const report = await app.client.call('lineage', { asset }, { signal: app.signal });
  app.terminal.result(report, () => {
    const { terminal } = app;
    terminal.line(`${plainName(report.name, 60)}  (${report.kind})`);
    terminal.line(`id          ${report.asset}`);
    terminal.line(`registrant  ${shortDid(report.registrant)}`);
    for (const { owner, ppm } of report.owners) {
      terminal.line(`owner       ${shortDid(owner)}  ${ppm / 10_000} %`);
    }
    terminal.line(`content     ${report.commitment}`);
    terminal.line(`licence     ${plainName(report.licence, 60) || 'none stated'}`);
    for (const words of report.terms ?? []) terminal.line(`            ${words}`);
    terminal.line(`received    ${amount(report.received)}`);
    if (report.bounty > 0) {
      terminal.line(`bounty      ${report.bounty / 10_000} % of what owners are due, for whoever collects`);
    }
    for (const [i, version] of report.versions.entries()) {
      if (report.versions.length === 1) break;
      const here = version.asset === report.asset ? '  (this one)' : '';
      terminal.line(
        `version ${String(i + 1).padEnd(3)} ${shortId(version.asset)}  ${plainName(version.name, 40)}${here}`,
      );
    }
    terminal.line(
      `made of ${report.madeOf.length}, made into ${report.madeInto.length}:  sahara lineage ${shortId(report.asset)}`,
    );
  });
}

async function commit(app: App, path: string, options: { readonly vault?: boolean }): Promise<void> {
  const stop = app.terminal.progress('Hashing');
  const text = await (options.vault === true
    ? app.client
        .call('vault.commit', { name: path }, { signal: app.signal })
        .then((reply) => reply.commitment)
    : commitPath(path, { signal: app.signal }).then(commitmentText)
  ).finally(stop);
  app.terminal.result({ commitment: text }, () => app.terminal.line(text));
}

async function prove(app: App, path: string, options: ProveOptions): Promise<void> {
  const { signal } = app;
  const stop = app.terminal.progress('Hashing');
  const proof = await (options.vault === true
    ? vaultProof(app, path, options)
    : provePath(path, { part: partOf(options), inside: options.file }, { signal })
  ).finally(stop);
  await writeFile(options.out, proof);
  const { commitment } = readProof(proof);
  const report = { proof: options.out, sizeBytes: proof.length, commitment: commitmentText(commitment) };
  app.terminal.result(report, () => {
    app.terminal.line(`Wrote ${options.out}, ${proof.length} bytes, for`);
    app.terminal.line(report.commitment);
  });
}

async function vaultProof(app: App, name: string, { chunk = '' }: ProveOptions): Promise<Uint8Array> {
  if (!/^[0-9a-f]{64}$/.test(chunk)) throw usage('--chunk takes the id of a chunk, 64 digits, for a vault');
  const { proof } = await app.client.call('vault.prove', { name, chunk }, { signal: app.signal });
  return new Uint8Array(Buffer.from(proof, 'base64'));
}

function partOf({ chunk, bytes }: ProveOptions): Part {
  if ((chunk === undefined) === (bytes === undefined)) throw usage('It takes either --chunk or --bytes');
  if (chunk !== undefined) {
    if (!/^\d{1,10}$/.test(chunk)) throw usage(`--chunk takes a number from 0, not "${chunk}"`);
    return { type: 'chunk', index: Number(chunk) };
  }
  const [, from, to] = /^(\d{1,15})-(\d{1,15})$/.exec(bytes ?? '') ?? [];
  if (from === undefined || to === undefined) throw usage(`--bytes takes FROM-TO, not "${bytes}"`);
  return { type: 'bytes', from: Number(from), to: Number(to) };
}

async function check(app: App, path: string, options: CheckOptions): Promise<void> {
  const file = await readFile(path).catch((error: unknown) => {
    throw new SaharaError('file-missing', { path }, { cause: error });
  });
  const proof = readProof(new Uint8Array(file));
  const trusted = await trustedOf(app, options);
  const proven = checkProof(trusted, proof);
  const content = concat(...proven.chunks);
  if (options.out !== undefined) await writeFile(options.out, content);
  const report = {
    proved: true,
    commitment: commitmentText(trusted),
    ...(proven.path !== undefined && { path: proven.path }),
    fromByte: proven.offset,
    toByte: proven.offset + content.length,
    sizeBytes: proven.sizeBytes,
  };
  app.terminal.result(report, () => {
    const what = proven.path === undefined ? '' : ` of ${plainName(proven.path, 60)}`;
    const range = `bytes ${report.fromByte} to ${report.toByte} of ${report.sizeBytes}${what}`;
    app.terminal.line(`${app.terminal.paint('green', 'Proved')}: ${range}.`);
    if (options.out !== undefined) app.terminal.line(`Wrote them to ${options.out}.`);
  });
}

async function trustedOf(app: App, { asset, commitment }: CheckOptions): Promise<Commitment> {
  if ((asset === undefined) === (commitment === undefined)) {
    throw usage('It takes either --asset or --commitment');
  }
  const text =
    commitment ??
    (await app.client.call('lineage', { asset: asset ?? '' }, { signal: app.signal })).commitment;
  const found = commitmentOf(text);
  if (found === undefined) throw usage(`"${text}" is no commitment: scheme:root:size`);
  return found;
}
