/** `licence`: whether something may be made, and what has to be bought or allowed first. */
import type { LicenceReport } from '../../daemon/admin/asset-types.ts';
import type { Action, App, CommandGroup } from '../app.ts';
import { PRESET_NAMES, parentOptions, termsOption } from '../asset-options.ts';
import { amount } from '../show.ts';
import { showPlan } from '../show-assets.ts';
import { plainName, shortDid } from '../terminal.ts';

interface CheckOptions {
  readonly use?: string;
  readonly parents: readonly string[];
  readonly terms?: string;
}

const ASSET = 'its id; for your own also the name or first characters';

/** Licences. */
export const licenceCommands: CommandGroup = (program, run) => {
  const licence = program.command('licence').description('what may be made of what, and on which terms');
  licence
    .command('check')
    .description('whether something may be made of its parents, before any compute is spent')
    .option('--use <name>', 'what is to be made, for the report')
    .requiredOption('--parents <asset:how:percent...>', 'what it is made from, how, and what part goes on')
    .option('--terms <preset|file>', `the licence it would have: ${PRESET_NAMES}, or a JSON file`)
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara licence check --use merge --parents 3f2a:merged-from:5 77b0:merged-from:5',
    )
    .action(run(check));
  licence
    .command('show')
    .description('the licence of an asset, and what you (or another) have of it')
    .argument('<asset>', ASSET)
    .option('--of <did>', 'whose licence; yours when left out')
    .addHelpText('after', '\nExample:\n  $ sahara licence show 3f2a')
    .action(run(show));
  licence
    .command('buy')
    .description('buy a licence, or more time under the one that you have')
    .argument('<asset>', ASSET)
    .addHelpText('after', '\nExample:\n  $ sahara licence buy 3f2a')
    .action(run(buy));
  licence
    .command('approve')
    .description('allow somebody to derive from an asset that you registered')
    .argument('<asset>', ASSET)
    .argument('<did>')
    .addHelpText('after', '\nExample:\n  $ sahara licence approve corpus did:key:z6Mk...')
    .action(run(permit('licence.approve')));
  licence
    .command('withdraw')
    .description('take that back; what was made under it stays')
    .argument('<asset>', ASSET)
    .argument('<did>')
    .addHelpText('after', '\nExample:\n  $ sahara licence withdraw corpus did:key:z6Mk...')
    .action(run(permit('licence.withdraw')));
};

async function check(app: App, options: CheckOptions): Promise<void> {
  const { terms } = await termsOption(options.terms);
  const input = {
    parents: parentOptions(options.parents),
    ...(options.use !== undefined && { name: options.use }),
    ...(terms !== undefined && { terms }),
  };
  const plan = await app.client.call('licence.check', input, { signal: app.signal });
  app.terminal.result(plan, () => showPlan(app, plan));
  if (!plan.allowed) process.exitCode = 1;
}

async function show(app: App, asset: string, options: { readonly of?: string }): Promise<void> {
  const of = options.of === undefined ? {} : { of: options.of };
  tell(app, await app.client.call('licence.show', { asset, ...of }, { signal: app.signal }));
}

async function buy(app: App, asset: string): Promise<void> {
  const stop = app.terminal.progress('Waiting for the ledger');
  tell(app, await app.client.call('licence.buy', { asset }, { signal: app.signal }).finally(stop));
}

function permit(method: 'licence.approve' | 'licence.withdraw'): Action<[asset: string, did: string]> {
  return async (app, asset, licensee) => {
    const stop = app.terminal.progress('Waiting for the ledger');
    tell(app, await app.client.call(method, { asset, licensee }, { signal: app.signal }).finally(stop));
  };
}

function tell(app: App, report: LicenceReport): void {
  app.terminal.result(report, () => {
    const { terminal } = app;
    terminal.line(`${plainName(report.name, 60)}: ${plainName(report.licence, 60) || 'no licence stated'}`);
    for (const words of report.terms) terminal.line(`  ${words}`);
    if (report.terms.length === 0) terminal.line('  it binds nobody');
    terminal.line(`${shortDid(report.licensee)} ${standing(report)}.`);
  });
}

function standing({ own, price, grant, approved, height }: LicenceReport): string {
  if (own) return 'registered it and needs no licence';
  const said: string[] = [];
  if (price !== undefined) {
    const time = price.blocks === 0 ? 'for ever' : `for ${price.blocks} blocks`;
    if (grant === undefined) said.push(`has no licence: one costs ${amount(price.amount)} ${time}`);
    else if (grant.endsAt === 0) said.push('has a licence for ever');
    else if (height < grant.endsAt) said.push(`has a licence until block ${grant.endsAt}`);
    else said.push(`had a licence until block ${grant.endsAt}`);
  }
  said.push(approved ? 'has approval to derive from it' : 'has no approval of its own');
  return said.join(', ');
}
