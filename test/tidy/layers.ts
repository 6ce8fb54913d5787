/** The house rules as tables. A rule that has to change is changed here, in one place, with its reason. */

/** Which folders of `src/` a folder may import from, besides itself. */
export const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  protocol: ['base'],
  ledger: ['base', 'protocol'],
  merge: ['base', 'protocol'],
  vault: ['base', 'protocol'],
  mesh: ['base', 'protocol'],
  payment: ['base', 'protocol', 'ledger'],
  agent: ['base', 'protocol', 'vault', 'merge'],
  bridges: ['base', 'protocol', 'agent'],
  gateway: ['base', 'protocol', 'agent'],
  daemon: ['base', 'protocol', 'ledger', 'merge', 'vault', 'mesh', 'payment', 'agent', 'bridges', 'gateway'],
  cli: ['base', 'protocol', 'daemon'],
};

/** Where a foreign library may be imported: folders or files of `src/`. */
export const OWNERS: readonly (readonly [library: RegExp, owners: readonly string[]])[] = [
  [/^(libp2p|@libp2p\/.*|@multiformats\/.*|@chainsafe\/.*|uint8arraylist|datastore-.*)$/, ['mesh/']],
  [/^it-pipe$/, ['vault/']],
  [/^@orama\/stemmers\//, ['vault/text/']],
  // The names of keys and the ids of content share its base58btc.
  [/^multiformats(\/.*)?$/, ['protocol/ids.ts', 'mesh/']],
  [/^(level|abstract-level)$/, ['base/level-store.ts']],
  [/^cosmjs-types(\/.*)?$/, ['ledger/engines/comet/']],
  [/^pino$/, ['base/log.ts']],
  [/^@noble\//, ['protocol/']],
  [/^hpke$/, ['protocol/seal.ts', 'protocol/sealed-box.ts']],
  [/^canonicalize$/, ['protocol/data-integrity.ts', 'agent/manifest.ts']],
  [/^@modelcontextprotocol\//, ['agent/tools/mcp-tools.ts']],
  // It turns the JSON schemas of tools into checks.
  [/^zod(\/.*)?$/, ['daemon/', 'agent/tools/toolbox.ts']],
  [/^openai(\/.*)?$/, ['agent/backends/', 'agent/embedding/']],
  // Only ever in the process of a model, never in the daemon's own.
  [/^node-llama-cpp(\/.*)?$/, ['agent/llama/host/']],
  [/^(discord\.js|@discordjs\/.*|discord-api-types(\/.*)?|grammy(\/.*)?|@grammyjs\/.*)$/, ['bridges/']],
  [/^fastify(\/.*)?$/, ['daemon/']],
  [/^(commander|@clack\/prompts)$/, ['cli/']],
  [/^(parse5|unpdf)$/, ['vault/']],
  // The vault reads documents with it, and the chat core reads answers to render them.
  [/^(mdast-util-.*|micromark.*|mdast)$/, ['vault/', 'bridges/core/markdown.ts']],
  // One parser behind three strict readers of their own: manifests, recipes, configuration.
  [/^yaml$/, ['agent/', 'merge/', 'daemon/']],
];

/** Where modules of Node may be imported in the folders that also run in a browser. */
export const NODE_IN_PURE: readonly string[] = [
  'src/protocol/sodium.ts',
  'src/protocol/suite-native.ts',
  'src/base/tail.ts',
];

/** Calls that have a better way, where they are allowed all the same, and what to use instead. */
export const BANNED: readonly {
  readonly pattern: RegExp;
  readonly instead: string;
  readonly allowed: readonly string[];
}[] = [
  { pattern: /\bDate\.now\(|\bnew Date\(\)/g, instead: 'clock.nowMs()', allowed: ['src/base/clock.ts'] },
  {
    pattern: /\bperformance\.now\(|\bprocess\.hrtime\b/g,
    instead: 'clock.monotonicMs()',
    allowed: ['src/base/clock.ts'],
  },
  { pattern: /\bsetTimeout\(|\bsetInterval\(/g, instead: 'clock.after()', allowed: ['src/base/clock.ts'] },
  {
    pattern: /\bMath\.random\(|\bgetRandomValues\(|\brandomBytes\(|\brandomUUID\(|\brandomInt\(/g,
    instead: 'dice.bytes()',
    allowed: ['src/base/random.ts'],
  },
  { pattern: /\bconsole\.\w+\(/g, instead: 'a Log, or the terminal of the CLI', allowed: [] },
  {
    pattern: /\bnew (?:Type|Range|Syntax)?Error\(/g,
    instead: 'SaharaError(code, facts), or invariant for a defect',
    allowed: [],
  },
  { pattern: /\bprocess\.exit\(/g, instead: 'process.exitCode, or the life cycle', allowed: ['src/cli/'] },
  { pattern: /\btoLocale\w+\(/g, instead: 'a form that is the same on every machine', allowed: [] },
];

/** Marks of unfinished or silenced code. */
export const MARKS: readonly RegExp[] = [
  /\b(?:TODO|FIXME|XXX|HACK)\b/g,
  /@ts-(?:ignore|expect-error|nocheck)/g,
  /biome-ignore|eslint-disable/g,
  /(?::|\bas|<|,)\s*any\b(?=\s*[\])>;,=|&[{]|\s*$)/gm,
  /\b(?:it|test|describe)\.(?:skip|only|todo)\b/g,
];

/** Most lines of a file in `src/`. */
export const LINES_MAX = 400;

/** Prefixes of requirements in `spec/`, and no others. */
export const PREFIXES: readonly string[] = [
  'ENC',
  'SIGN',
  'ID',
  'ENV',
  'RCPT',
  'ERR',
  'LIM',
  'MESH',
  'CALL',
  'PAY',
  'LEDGER',
  'KNOW',
  'MRG',
  'AGENT',
  'BRG',
  'MODEL',
  'ENG',
];
