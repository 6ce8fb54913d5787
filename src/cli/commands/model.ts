/** `model`: model files on this machine. */
import { resolve } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { asSaharaError } from '../../base/errors.ts';
import type { ModelComing, ModelNeedRow, ModelReport, ModelRow } from '../../daemon/admin/methods-model.ts';
import { type App, type CommandGroup, countOption } from '../app.ts';
import { showTable } from '../show.ts';
import { bytesText } from '../show-merge.ts';
import { ago, clip, shortId } from '../terminal.ts';
import { TransferRate, transferLine } from '../transfer.ts';

interface NameOption {
  readonly name?: string;
}

/** Model files on this machine. */
export const modelCommands: CommandGroup = (program, run) => {
  const model = program.command('model').description('model files (GGUF) that agents here answer with');
  model
    .command('add')
    .description('take a copy of a GGUF file, model or adapter')
    .argument('<file>')
    .option('--name <name>', 'what agents call it; default by its file name')
    .addHelpText('after', '\nExample:\n  $ sahara model add ~/Downloads/qwen3-8b-q4_k_m.gguf --name qwen')
    .action(run(add));
  model
    .command('pull')
    .description('download one; run it again to go on after a stop')
    .argument('<from>', 'an https address, or hub:OWNER/REPOSITORY/FILE.gguf, with @REVISION if you like')
    .option('--name <name>', 'what agents call it; default by its file name')
    .option('--sha256 <hex>', 'what the file must hash to; a hub says so itself')
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara model pull hub:Qwen/Qwen3-8B-GGUF/Qwen3-8B-Q4_K_M.gguf --name qwen',
    )
    .action(run(pull));
  model
    .command('list')
    .description('what is there')
    .addHelpText('after', '\nExample:\n  $ sahara model list')
    .action(run(list));
  model
    .command('info')
    .description('what a model is and what it needs')
    .argument('<name>', 'name, or the first characters of its digest')
    .option('--context <tokens>', 'what it needs for a context of so many tokens')
    .option('--sequences <count>', 'and for so many answers at a time')
    .addHelpText('after', '\nExample:\n  $ sahara model info qwen --context 8192')
    .action(run(info));
  model
    .command('remove')
    .description('forget a model, or a download that has not ended')
    .argument('<name>')
    .addHelpText('after', '\nExample:\n  $ sahara model remove qwen')
    .action(run(remove));
};

async function add(app: App, file: string, { name }: NameOption): Promise<void> {
  const path = resolve(file);
  await come(app, app.client.stream('model.add', { path, name }, { signal: app.signal }), undefined);
}

async function pull(
  app: App,
  from: string,
  { name, sha256 }: NameOption & { readonly sha256?: string },
): Promise<void> {
  const again = ['sahara model pull', from, ...(name === undefined ? [] : ['--name', name])].join(' ');
  await come(app, app.client.stream('model.pull', { from, name, sha256 }, { signal: app.signal }), again);
}

const STAGES: Readonly<Record<Extract<ModelComing, { type: 'progress' }>['stage'], string>> = {
  copy: 'copying',
  download: 'downloading',
  check: 'looking through it',
};

/** Shows how it comes. `again` is the command that goes on with what is kept, if anything is. */
async function come(
  { terminal }: App,
  events: AsyncIterable<ModelComing>,
  again: string | undefined,
): Promise<void> {
  const rate = new TransferRate();
  let kept = 0;
  try {
    for await (const event of events) {
      if (terminal.json) terminal.line(JSON.stringify(event));
      else if (event.type === 'progress') {
        const { stage, bytes, totalBytes } = event;
        if (stage === 'download') kept = bytes;
        const line =
          stage === 'check'
            ? STAGES.check
            : `${STAGES[stage]} ${transferLine(bytes, totalBytes, rate.at(systemClock.monotonicMs(), bytes))}`;
        terminal.live(line);
      } else if (event.type === 'done') {
        terminal.live();
        terminal.line(`${terminal.paint('green', event.model.name)} is here: ${inShort(event.model)}.`);
        terminal.line(nextLine(event.model));
      } else {
        terminal.live();
        const wait = event.type === 'again' ? `; trying again in ${Math.ceil(event.waitMs / 1000)} s` : '';
        terminal.note(`${event.reason}${wait}`);
      }
    }
  } catch (error) {
    terminal.live();
    const stopped = ['cancelled', 'download-failed', 'daemon-not-running'].includes(
      asSaharaError(error).code,
    );
    if (again !== undefined && kept > 0 && stopped) {
      terminal.note(`${bytesText(kept)} are kept. Go on with:  ${again}`);
    }
    throw error;
  }
}

function inShort({ kind, architecture, quantisation, sizeBytes, digest }: ModelRow): string {
  return `${kind}, ${architecture} ${quantisation}, ${bytesText(sizeBytes)}, ${shortId(digest)}`;
}

function nextLine({ name, kind }: ModelRow): string {
  return kind === 'adapter'
    ? `In a manifest:  backend: {kind: llama, model: ..., adapters: [{model: ${name}, scale: 1}]}`
    : `In a manifest:  backend: {kind: llama, model: ${name}}`;
}

async function list(app: App): Promise<void> {
  const found = await app.client.call('model.list', {}, { signal: app.signal });
  app.terminal.result(found, () => {
    const { models, unfinished } = found;
    if (models.length + unfinished.length === 0) {
      app.terminal.line('No models. Get one:  sahara model add FILE.gguf');
      return;
    }
    const cells = models.map((model) => [
      model.name,
      model.kind,
      `${model.architecture} ${model.quantisation}`,
      bytesText(model.sizeBytes),
      shortId(model.digest),
      model.usedBy.join(', ') || '-',
    ]);
    if (models.length > 0) showTable(app, ['MODEL', 'KIND', 'TYPE', 'SIZE', 'SHA-256', 'USED BY'], cells);
    for (const { name, source, bytes, totalBytes } of unfinished) {
      const of = totalBytes === undefined ? '' : ` of ${bytesText(totalBytes)}`;
      app.terminal.line(`${name} is not whole: ${bytesText(bytes)}${of} of ${clip(source, 100)}`);
    }
  });
}

async function info(
  app: App,
  name: string,
  options: { readonly context?: string; readonly sequences?: string },
): Promise<void> {
  const input = {
    name,
    contextTokens: options.context === undefined ? undefined : countOption('--context', options.context),
    sequences: options.sequences === undefined ? undefined : countOption('--sequences', options.sequences),
  };
  const report = await app.client.call('model.info', input, { signal: app.signal });
  app.terminal.result(report, () => showModel(app, report));
}

function showModel({ terminal }: App, report: ModelReport): void {
  const { need } = report;
  const rows: (readonly [string, string])[] = [
    ['model', `${report.name}${report.title === '' ? '' : ` (${clip(report.title, 60)})`}`],
    ['kind', `${report.kind}, ${report.architecture}, ${report.quantisation}`],
    ['sha-256', report.digest],
    ['size', `${bytesText(report.sizeBytes)}, ${numbersText(report.parameters)}`],
    ['from', `${clip(report.source, 100)}, ${ago(report.addedAtMs, systemClock.nowMs())}`],
    ['used by', report.usedBy.join(', ') || 'no agent'],
  ];
  if (report.kind === 'model') {
    const written = report.hasTemplate ? '' : '; it does not say how a conversation is written';
    rows.push(['context', `at most ${report.contextMax} tokens, ${report.vocabulary} kinds${written}`]);
  }
  if (need !== undefined) rows.push(...needRows(need));
  for (const [label, text] of rows) terminal.line(`${terminal.paint('dim', label.padEnd(8))} ${text}`);
}

function numbersText(count: number): string {
  if (count < 1e9) return `${(count / 1e6).toFixed(1)} million numbers`;
  return `${(count / 1e9).toFixed(2)} thousand million numbers`;
}

const PLACES: Readonly<Record<ModelNeedRow['where'], string>> = {
  gpu: 'graphics memory',
  ram: 'main memory',
  both: 'graphics and main memory together',
};

function needRows(need: ModelNeedRow): readonly (readonly [string, string])[] {
  const { totalBytes, weightsBytes, cacheBytes, workBytes, contextTokens, sequences } = need;
  const parts = `weights ${bytesText(weightsBytes)}, context ${bytesText(cacheBytes)}, work ${bytesText(workBytes)}`;
  const fits = need.fits ? 'it fits' : 'it does not fit';
  const longest =
    need.fittingTokens === 0 ? 'no context does' : `contexts up to ${need.fittingTokens} tokens do`;
  return [
    ['needs', `about ${bytesText(totalBytes)} for ${sequences} x ${contextTokens} tokens: ${parts}`],
    [
      'memory',
      `${fits} into ${PLACES[need.where]}, of which ${bytesText(need.freeBytes)} can be had; ${longest}`,
    ],
  ];
}

async function remove(app: App, name: string): Promise<void> {
  const done = await app.client.call('model.remove', { name }, { signal: app.signal });
  app.terminal.result(done, () => app.terminal.line(`Removed the model ${done.removed}.`));
}
