/**
 * Reads the configuration: defaults, then the file, then `SAHARA_*` variables, then flags. Whatever is wrong is
 * answered with where it stands, what was found and what is allowed there.
 */
import { readFileSync } from 'node:fs';
import { isMap, isScalar, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';
import { SaharaError } from '../base/errors.ts';
import { nearestNames } from '../base/nearest.ts';
import { CONFIG_OPTIONS, type Config, type ConfigOption, configSchema } from './config-schema.ts';

/** Where the values of a configuration come from. */
export interface ConfigSources {
  /** A YAML file; `required` when the user named it. */
  readonly file?: { readonly path: string; readonly required: boolean };
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Values of flags by option path (`mesh.port`): texts, or booleans of valueless flags. */
  readonly flags?: ReadonlyMap<string, string | boolean | readonly string[]>;
}

interface Origin {
  readonly file: string;
  readonly line?: number;
}

interface Gathered {
  readonly values: Map<string, unknown>;
  readonly origins: Map<string, Origin>;
}

const BY_PATH: ReadonlyMap<string, ConfigOption> = new Map(
  CONFIG_OPTIONS.map((option) => [option.path, option]),
);
const SECTIONS: ReadonlySet<string> = new Set(CONFIG_OPTIONS.map(({ path }) => path.split('.')[0] ?? ''));
const FILE_BYTES_MAX = 262_144;
/** Variables with another meaning than an option. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set([
  'SAHARA_HOME',
  'SAHARA_CONFIG',
  'SAHARA_LAUNCHED',
  'SAHARA_PASSPHRASE',
  'SAHARA_PASSPHRASE_FILE',
  'SAHARA_FAULTS',
  'SAHARA_TELEGRAM_TOKEN',
  'SAHARA_DISCORD_TOKEN',
  'SAHARA_BRIDGE_DAEMON',
  'SAHARA_BRIDGE_TOKEN',
]);

/** The configuration that `sources` give. Throws `config-invalid` with `file`, `line`, `field`, `found`, `allowed`. */
export function loadConfig(sources: ConfigSources): Config {
  const gathered: Gathered = { values: new Map(), origins: new Map() };
  if (sources.file) readFile(sources.file.path, sources.file.required, gathered);
  readEnvironment(sources.environment ?? {}, gathered);
  for (const [path, value] of sources.flags ?? []) {
    const option = BY_PATH.get(path);
    if (option)
      keep(gathered, option, typeof value === 'string' ? textValue(option, value) : value, {
        file: option.flag,
      });
  }
  return parsed(gathered);
}

function keep(gathered: Gathered, option: ConfigOption, value: unknown, origin: Origin): void {
  gathered.values.set(option.path, value);
  gathered.origins.set(option.path, origin);
}

function parsed({ values, origins }: Gathered): Config {
  const tree: Record<string, Record<string, unknown>> = {};
  for (const [path, value] of values) {
    const [section = '', name = ''] = path.split('.');
    tree[section] ??= {};
    tree[section][name] = value;
  }
  const result = configSchema.safeParse(tree);
  if (result.success) return result.data;
  const [section, name] = result.error.issues[0]?.path ?? [];
  const path = `${String(section)}.${String(name)}`;
  throw invalid(path, values.get(path), BY_PATH.get(path)?.allowed ?? 'nothing', origins.get(path));
}

function invalid(field: string, found: unknown, allowed: string, origin: Origin | undefined): SaharaError {
  const shown = typeof found === 'string' ? found : JSON.stringify(found);
  return new SaharaError('config-invalid', {
    file: origin?.file ?? 'configuration',
    ...(origin?.line !== undefined && { line: origin.line }),
    field,
    found: shown ?? 'nothing',
    allowed,
  });
}

function textValue(option: ConfigOption, text: string): unknown {
  if (option.type === 'list')
    return text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  if (option.type === 'number') return /^-?\d+$/.test(text) ? Number(text) : text;
  if (option.type === 'boolean' && /^(true|1|yes|on)$/i.test(text)) return true;
  if (option.type === 'boolean' && /^(false|0|no|off)$/i.test(text)) return false;
  return text;
}

function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  gathered: Gathered,
): void {
  const byVariable = new Map(CONFIG_OPTIONS.map((option) => [option.variable, option]));
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith('SAHARA_') || OTHER_VARIABLES.has(name) || text === undefined) continue;
    const option = byVariable.get(name);
    if (option) {
      keep(gathered, option, textValue(option, text), { file: name });
      continue;
    }
    const nearest = nearestNames(name, byVariable.keys(), 1);
    // A variable that resembles none may belong to another program or a later version.
    if (nearest.length > 0) throw unknownField(name, { file: 'environment' }, [...byVariable.keys()]);
  }
}

function readFile(path: string, required: boolean, gathered: Gathered): void {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    // A home that is no folder is the home's fault, and told as such.
    if ((code === 'ENOENT' || code === 'ENOTDIR') && !required) return;
    throw new SaharaError(code === 'ENOENT' ? 'file-missing' : 'config-invalid', {
      path,
      file: path,
      field: '(file)',
      found: code,
      allowed: 'a readable YAML file',
    });
  }
  const lines = new LineCounter();
  const oversized = text.length > FILE_BYTES_MAX;
  if (oversized)
    throw invalid('(file)', `${text.length} characters`, `at most ${FILE_BYTES_MAX}`, { file: path });
  const document = parsedYaml(text, path, lines);
  const fault = document.errors[0];
  if (fault) {
    const line = lines.linePos(fault.pos[0]).line;
    throw invalid('(syntax)', fault.message.split('\n')[0], 'well-formed YAML', { file: path, line });
  }
  const root = document.contents;
  if (root === null) return;
  if (!isMap(root)) throw invalid('(file)', 'no sections', [...SECTIONS].join(', '), { file: path, line: 1 });
  readSections(root, { path, lines }, gathered);
}

function parsedYaml(text: string, path: string, lineCounter: LineCounter): ReturnType<typeof parseDocument> {
  try {
    return parseDocument(text, { lineCounter });
  } catch (error) {
    // The parser out of stack on absurd nesting: the file's fault.
    if (!(error instanceof RangeError)) throw error;
    throw invalid('(syntax)', 'too deep nesting', 'well-formed YAML', { file: path });
  }
}

interface FileContext {
  readonly path: string;
  readonly lines: LineCounter;
}

function readSections(root: YAMLMap, file: FileContext, gathered: Gathered): void {
  for (const { key, value } of root.items) {
    const section = nameOf(key);
    const origin = originOf(key, file);
    if (!SECTIONS.has(section)) throw unknownField(section, origin, [...SECTIONS]);
    if (value === null || (isScalar(value) && value.value === null)) continue;
    if (!isMap(value)) throw invalid(section, String(value), 'fields, each on a line of its own', origin);
    for (const field of value.items) {
      const path = `${section}.${nameOf(field.key)}`;
      const option = BY_PATH.get(path);
      const at = originOf(field.key, file);
      if (!option)
        throw unknownField(
          path,
          at,
          [...BY_PATH.keys()].filter((name) => name.startsWith(`${section}.`)),
        );
      const found = (field.value as Node | null)?.toJSON() as unknown;
      // An amount written as a bare number is a number to YAML and the same text to a person.
      const value = option.type === 'text' && typeof found === 'number' ? String(field.value) : found;
      if (found !== null && found !== undefined) keep(gathered, option, value, at);
    }
  }
}

function nameOf(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key);
}

function originOf(key: unknown, file: FileContext): Origin {
  const range = isScalar(key) ? key.range : undefined;
  return range ? { file: file.path, line: file.lines.linePos(range[0]).line } : { file: file.path };
}

function unknownField(field: string, origin: Origin, known: readonly string[]): SaharaError {
  const nearest = nearestNames(field, known, 1)[0];
  return new SaharaError('config-invalid', {
    file: origin.file,
    ...(origin.line !== undefined && { line: origin.line }),
    field,
    found: 'an unknown field',
    allowed: nearest ?? known.join(', '),
    ...(nearest !== undefined && { nearest }),
  });
}

/** A configuration file in which every option stands as a comment with its default. */
export function configTemplate(): string {
  const lines = ['# Sahara. Every option with its default; take the "# " away to change one.', ''];
  let current = '';
  for (const option of CONFIG_OPTIONS) {
    const [section = '', name = ''] = option.path.split('.');
    if (section !== current) lines.push(...(current === '' ? [] : ['']), `${section}:`);
    current = section;
    lines.push(`  # ${option.about} (${option.allowed})`, `  # ${name}: ${JSON.stringify(option.fallback)}`);
  }
  return `${lines.join('\n')}\n`;
}

/** The options as a Markdown table: what `docs/configuration.md` shows. */
export function configTable(): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const rows = CONFIG_OPTIONS.map(({ path, variable, fallback, allowed, about }) => {
    const standard = `\`${JSON.stringify(fallback)}\``;
    return `| \`${path}\` | \`${variable}\` | ${standard} | ${cell(allowed)} | ${cell(about)} |`;
  });
  return ['| field | variable | default | allowed | meaning |', '|---|---|---|---|---|', ...rows, ''].join(
    '\n',
  );
}
