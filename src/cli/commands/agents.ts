/** `agents`: who can be asked. */
import { formatAmount } from '../../base/amount.ts';
import type { AgentRow } from '../../daemon/admin/types.ts';
import type { App, CommandGroup } from '../app.ts';
import { showTable } from '../show.ts';
import { MEASURED_HEADS, measuredCells } from '../show-market.ts';
import { clip, shortDid } from '../terminal.ts';

/** Who can be asked. */
export const agentsCommands: CommandGroup = (program, run) => {
  program
    .command('agents')
    .description('live agents on the mesh: price, and load and latency as their callers measured them')
    .option('--wait <ms>', 'wait up to this long for a first one', '0')
    .addHelpText('after', '\nExample:\n  $ sahara agents')
    .action(run(agents));
};

async function agents(app: App, options: { readonly wait: string }): Promise<void> {
  const waitMs = Math.min(60_000, Math.max(0, Math.trunc(Number(options.wait)) || 0));
  const rows = await app.client.call('agents', { waitMs }, { signal: app.signal });
  app.terminal.result(rows, () => {
    if (rows.length === 0) {
      app.terminal.line('No live agents. Those of other peers appear within a few seconds of their start.');
      app.terminal.line(
        'Host one:  sahara vault create notes && sahara vault add notes FOLDER && sahara agent add --name notes --vault notes',
      );
      return;
    }
    // Where nobody has a bond there is nothing to compare.
    const bonds = rows.some(({ bond }) => bond !== undefined);
    const heads = ['AGENT', 'PRICE', ...(bonds ? ['BOND'] : []), ...MEASURED_HEADS, 'WHERE', 'DID', 'SKILLS'];
    showTable(
      app,
      heads,
      rows.map((row) => cells(row, bonds)),
    );
  });
}

function cells(row: AgentRow, bonds: boolean): readonly string[] {
  return [
    clip(row.name, 32),
    price(row),
    ...(bonds ? [row.bond === undefined ? '-' : formatAmount(BigInt(row.bond))] : []),
    ...measuredCells(row.measured),
    row.local ? 'here' : row.peerId.slice(-8),
    shortDid(row.did),
    clip(row.skills.join(', '), 48),
  ];
}

/** What calls cost where that was measured, else what the agent asks, which the card bounds. */
function price({ perCall, measured }: AgentRow): string {
  if (measured !== undefined && measured.from !== 'free') return formatAmount(BigInt(measured.paid));
  return perCall === '0' ? 'free' : `asks ${formatAmount(BigInt(perCall))}`;
}
