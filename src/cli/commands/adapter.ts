/** `adapter`: LoRA adapters of PEFT and GGUF, merged and brought into other shapes. */
import type {
  BakeOptions,
  ConvertOptions,
  ExtractOptions,
  FederateOptions,
  MergeAdapterOptions,
  RecompressOptions,
} from '../adapter-actions.ts';
import type { CommandGroup, Runner } from '../app.ts';

type Group = Parameters<CommandGroup>[0];

const OUT = 'what to make: NAME.gguf for GGUF, otherwise a folder as PEFT has it';
const MODEL = 'the model that the adapter is for; needed only between PEFT and GGUF';

/** Adapters. */
export const adapterCommands: CommandGroup = (program, run) => {
  const adapter = program.command('adapter').description('merge, convert, bake and extract LoRA adapters');
  adapter
    .command('info')
    .description('what an adapter changes: its modules, their ranks and lengths')
    .argument('<adapter>', 'a folder of PEFT, or a GGUF file')
    .addHelpText('after', '\nExample:\n  $ sahara adapter info law-lora')
    .action(run(async (app, path: string) => (await import('../adapter-actions.ts')).info(app, path)));
  addMerge(adapter, run);
  addShapes(adapter, run);
  addModels(adapter, run);
};

function addMerge(adapter: Group, run: Runner): void {
  adapter
    .command('merge')
    .description('merge adapters: exactly by linear, or by ties, dare_linear, dare_ties, della, della_linear')
    .argument('<adapter=weight...>', 'a weight of 1 may be left out')
    .requiredOption('--out <path>', OUT)
    .option('--method <name>', 'how', 'linear')
    .option('--rank <number>', 'greatest rank; linear is exact without one')
    .option('--set <name=value...>', 'settings of the method: density=0.5 lambda=1.2 normalize=false')
    .option('--seed <text>', 'seed of random choices and ties')
    .option('--model <path>', MODEL)
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara adapter merge law=0.6 medicine=0.4 --out both --rank 16\n  $ sahara adapter merge law medicine --method ties --set density=0.5 --rank 16 --out both.gguf --model base',
    )
    .action(
      run(async (app, adapters: readonly string[], options: MergeAdapterOptions) =>
        (await import('../adapter-actions.ts')).merge(app, adapters, options),
      ),
    );
  adapter
    .command('federate')
    .description('one round of learning together: clients weighted, held to a length, screened by direction')
    .argument('<adapter=amount...>', 'each with how much it learned from; 1 may be left out')
    .requiredOption('--out <path>', OUT)
    .option('--rank <number>', 'greatest rank; exact without one')
    .option('--norm-max <length>', 'length that updates are cut down to; the median when left out')
    .option('--cosine-min <number>', 'least cosine to the sum of the others, -1 to 1; 0 when left out')
    .option('--model <path>', MODEL)
    .addHelpText(
      'after',
      '\nExample:\n  $ sahara adapter federate anna=1200 ben=800 carla=950 --out round-1 --rank 16',
    )
    .action(
      run(async (app, clients: readonly string[], options: FederateOptions) =>
        (await import('../adapter-actions.ts')).federate(app, clients, options),
      ),
    );
}

function addShapes(adapter: Group, run: Runner): void {
  adapter
    .command('recompress')
    .description('bring an adapter to a lower rank, and say what that loses')
    .argument('<adapter>')
    .requiredOption('--rank <number>', 'greatest rank')
    .requiredOption('--out <path>', OUT)
    .option('--model <path>', MODEL)
    .addHelpText('after', '\nExample:\n  $ sahara adapter recompress both --rank 8 --out both-8')
    .action(
      run(async (app, path: string, options: RecompressOptions) =>
        (await import('../adapter-actions.ts')).recompress(app, path, options),
      ),
    );
  adapter
    .command('convert')
    .description('from PEFT to GGUF, or back')
    .argument('<adapter>')
    .requiredOption('--out <path>', OUT)
    .requiredOption(
      '--model <path>',
      'the model that the adapter is for; its heads order rows of query and key',
    )
    .addHelpText('after', '\nExample:\n  $ sahara adapter convert law-lora --model base --out law.gguf')
    .action(
      run(async (app, path: string, options: ConvertOptions) =>
        (await import('../adapter-actions.ts')).convert(app, path, options),
      ),
    );
}

function addModels(adapter: Group, run: Runner): void {
  adapter
    .command('bake')
    .description('put an adapter into a model, of safetensors or GGUF')
    .argument('<adapter>')
    .requiredOption('--model <path>', 'the model: a folder, or a GGUF file')
    .requiredOption('--out <folder>', 'folder to make')
    .option('--weight <number>', 'what the adapter is multiplied by', '1')
    .addHelpText('after', '\nExample:\n  $ sahara adapter bake both --model base --out tuned')
    .action(
      run(async (app, path: string, options: BakeOptions) =>
        (await import('../adapter-actions.ts')).bake(app, path, options),
      ),
    );
  adapter
    .command('extract')
    .description('take what a fine-tune changed out of it, as an adapter')
    .argument('<tuned>', 'the fine-tune: a folder, or a GGUF file')
    .requiredOption('--base <path>', 'the model that was tuned')
    .requiredOption('--rank <number>', 'greatest rank')
    .requiredOption('--out <path>', OUT)
    .option(
      '--module <text...>',
      'only modules with such a text in their name; all in the layers when left out',
    )
    .addHelpText('after', '\nExample:\n  $ sahara adapter extract tuned --base base --rank 16 --out law-lora')
    .action(
      run(async (app, tuned: string, options: ExtractOptions) =>
        (await import('../adapter-actions.ts')).extract(app, tuned, options),
      ),
    );
}
