/** How plans, licences and lineages are shown. */
import type { LineageRow, MakingPlan } from '../daemon/admin/asset-types.ts';
import type { App } from './app.ts';
import { showTable } from './show.ts';
import { plainName, shortId } from './terminal.ts';

/** Whether something may be made, with every reason against it and who would keep what it earns. */
export function showPlan(app: App, plan: MakingPlan): void {
  const { terminal } = app;
  terminal.line(
    plan.allowed
      ? `${terminal.paint('green', 'Yes')}: it may be made in block ${plan.height}.`
      : `${terminal.paint('red', 'No')}: it may not be made.`,
  );
  for (const { name, sentence, reason } of plan.reasons) {
    terminal.line(`  ${name === '' ? '' : `${plainName(name, 40)}: `}${sentence} (${reason})`);
  }
  showKin(app, 'who would keep what it receives', plan.royalties);
}

/** Assets with their parts, under a title; nothing when there are none. */
export function showKin(app: App, title: string, rows: readonly LineageRow[]): void {
  if (rows.length === 0) return;
  app.terminal.line();
  app.terminal.line(`${title}:`);
  const cells = rows.map((row) => [
    /^0*$/.test(row.asset) ? 'new' : shortId(row.asset),
    row.kind,
    plainName(row.name, 40),
    row.relation,
    `${row.ppm / 10_000} %`,
  ]);
  showTable(app, ['ASSET', 'KIND', 'NAME', 'HOW', 'PART'], cells);
}
