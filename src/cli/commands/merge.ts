/** `merge`: new models out of old ones, checked, explained, shared out and registered. */
import type { CommandGroup, Runner } from '../app.ts';
import { PRESET_NAMES } from '../asset-options.ts';
import type { MergeOptions, RegisterFolderOptions } from '../merge-actions.ts';
import type { ExplainOptions, VerifyOptions } from '../merge-checks.ts';

/** Merging. */
export const mergeCommands: CommandGroup = (program, run) => {
  const merge = program
    .command('merge')
    .enablePositionalOptions()
    .description('merge models by a recipe of mergekit, and pay their makers')
    .argument('[recipe]', 'YAML file')
    .option('--out <folder>', 'folder to make')
    .option('--models <folder>', 'where relative names in the recipe start from', '.')
    .option('--memory <size>', 'memory of all workers together, such as 256MB')
    .option('--workers <number>', 'threads')
    .option('--seed <text>', 'seed of random choices and ties')
    .option('--rounding <how>', 'nearest or stochastic')
    .option('--file-size <size>', 'most bytes of tensors in one file, such as 5GB')
    .option('--stages-size <size>', 'most bytes that stages of a recipe take until all is done, such as 50GB')
    .option('--noisy-deltas', 'take deltas of quantised models even where noise drowns them')
    .option('--dry-run', 'only say what would come out, what it takes, and whether it may be made')
    .option('--resume', 'go on with an unfinished merge')
    .option('--register', 'ask the licences first, and register the merge with its shares');
  registerOptions(merge)
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara merge recipe.yaml --out merged --dry-run\n  $ sahara merge recipe.yaml --out merged --register --parent-asset law=3f2a --terms open-attribution',
    )
    .action(
      run(async (app, recipe: string | undefined, options: MergeOptions) =>
        (await import('../merge-actions.ts')).mergeModels(app, recipe, options),
      ),
    );
  registerOptions(
    merge
      .command('register')
      .description('register a finished merge with the shares of its parents; nothing is registered twice')
      .argument('<folder>')
      .option('--parents <name=path...>', 'where models lie, to find their assets by content'),
  )
    .addHelpText('after', '\nExample:\n  $ sahara merge register merged --parent-asset law=3f2a')
    .action(
      run(async (app, folder: string, options: RegisterFolderOptions) =>
        (await import('../merge-actions.ts')).register(app, folder, options),
      ),
    );
  addMergeChecks(merge, run);
};

type Group = Parameters<CommandGroup>[0];

function registerOptions(command: Group): Group {
  return command
    .option('--parent-asset <name=asset...>', 'the asset of a model; none to leave it out')
    .option('--name <name>', 'the name to register; that of the folder when left out')
    .option('--terms <preset|file>', `its licence: ${PRESET_NAMES}, or a JSON file`)
    .option('--licence <name>', 'what the licence is called; the preset when left out')
    .option('--keep <percent>', 'part that stays with you instead of going on to the parents');
}

function addMergeChecks(merge: Parameters<CommandGroup>[0], run: Runner): void {
  merge
    .command('verify')
    .description('check a merge against its manifest, and with the models at hand by doing it again')
    .argument('<folder>')
    .option('--parents <name=path...>', 'where models lie; a path alone for the model that is called so')
    .option('--models <folder>', 'where relative names in the recipe start from')
    .option('--sample <number>', 'only so many tensors, drawn at random')
    .option('--tensor <name...>', 'only these tensors')
    .option('--memory <size>', 'memory of all workers together')
    .option('--workers <number>', 'threads')
    .addHelpText('after', '\nExample:\n  $ sahara merge verify merged --parents law medicine --sample 20')
    .action(
      run(async (app, folder: string, options: VerifyOptions) =>
        (await import('../merge-checks.ts')).verify(app, folder, options),
      ),
    );
  merge
    .command('explain')
    .description('how much of each claimed parent is in a model that somebody else merged')
    .argument('<model>')
    .requiredOption('--parents <path...>', 'the claimed parents')
    .option('--base <path>', 'the model they all come from; the first parent when left out')
    .option('--memory <size>', 'memory of all workers together')
    .option('--workers <number>', 'threads')
    .addHelpText('after', '\nExample:\n  $ sahara merge explain theirs --parents law medicine --base base')
    .action(
      run(async (app, model: string, options: ExplainOptions) =>
        (await import('../merge-checks.ts')).explain(app, model, options),
      ),
    );
  merge
    .command('shares')
    .description('who made how much of a merge')
    .argument('<folder>')
    .addHelpText('after', '\nExample:\n  $ sahara merge shares merged')
    .action(run(async (app, folder: string) => (await import('../merge-checks.ts')).shares(app, folder)));
}
