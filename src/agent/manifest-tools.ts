/** The part of a manifest that says what a model may use while it answers (AGENT-20). */
import { PPM } from '../protocol/limits.ts';
import { isTooWide } from './llama/schema-width.ts';
import {
  fields,
  given,
  invalid,
  type Place,
  readList,
  readObject,
  readShare,
  readText,
  readUrl,
  required,
} from './manifest-reader.ts';
import { TOOL_ABOUT_BYTES_MAX, TOOL_SCHEMA_BYTES_MAX } from './tools/limits.ts';
import { type ParameterSchema, TOOL_NAME } from './tools/tool.ts';
import { parameterCheck } from './tools/toolbox.ts';

/** A tool, or a server of tools, of an agent. */
export type ManifestTool =
  | {
      readonly kind: 'agent';
      /** What the model calls it. */
      readonly name: string;
      readonly about: string;
      /** Name, DID, or the first characters of a DID's last part. */
      readonly agent: string;
      readonly skill: string | undefined;
      /** Most of the budget that is left that one question to it may cost, millionths. Default half. */
      readonly share: number;
      /** Of that, what it may spend on calls of its own, millionths. Default 0. */
      readonly budget: number;
    }
  | {
      readonly kind: 'function';
      readonly name: string;
      readonly about: string;
      readonly parameters: ParameterSchema;
      /** Program and arguments. */
      readonly run: readonly string[];
    }
  | {
      readonly kind: 'mcp';
      /** For messages. */
      readonly name: string;
      readonly place: { readonly command: readonly string[] } | { readonly url: string };
      /** Tools of it that may be used. Default all. */
      readonly allow: readonly string[] | undefined;
    };

/** Most entries under `tools`. */
export const TOOL_ENTRIES_MAX = 16;

/** Most bytes of an entry as JSON. */
export const TOOL_BYTES_MAX = 65_536;

const SHARE_DEFAULT = PPM / 2;
const NO_PARAMETERS: ParameterSchema = { type: 'object', properties: {}, additionalProperties: false };
const WORDS_MAX = 32;
const WORD_BYTES = 1_024;
const KINDS = 'one of agent, function and mcp';

/** Reads what a model may use. Throws `manifest-invalid`. */
export function readTools(place: Place): readonly ManifestTool[] {
  const tools = readList(place, TOOL_ENTRIES_MAX, readTool);
  const names = tools.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw invalid(place, 'tools of different names', `${twice} twice`);
  return tools;
}

function readTool(place: Place): ManifestTool {
  const of = fields(place, [
    ...(['agent', 'skill', 'share', 'budget', 'name', 'about'] as const),
    ...(['function', 'parameters', 'run', 'mcp', 'command', 'url', 'allow'] as const),
  ]);
  const kinds = (['agent', 'function', 'mcp'] as const).filter((kind) => of(kind) !== undefined);
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) throw invalid(place, KINDS, kinds.join(' and ') || 'none');
  if (kind === 'agent') return readAgent(place);
  return kind === 'function' ? readFunction(place) : readServer(place);
}

function readAgent(place: Place): ManifestTool {
  const of = fields(place, ['agent', 'skill', 'share', 'budget', 'name', 'about']);
  const agent = readText(required(place, 'agent', of('agent'), 'the name or DID of an agent'), { max: 256 });
  const fallback = agent.replace(/[^a-zA-Z0-9_-]+/g, '_').slice(0, 60);
  return {
    kind: 'agent',
    name: given(of('name'), readName) ?? fallback,
    about: readText(required(place, 'about', of('about'), 'what it is good for'), {
      max: TOOL_ABOUT_BYTES_MAX,
    }),
    agent,
    skill: given(of('skill'), (at) => readText(at, { max: 64 })),
    share: given(of('share'), readShare) ?? SHARE_DEFAULT,
    budget: given(of('budget'), readShare) ?? 0,
  };
}

function readFunction(place: Place): ManifestTool {
  const of = fields(place, ['function', 'about', 'parameters', 'run']);
  return {
    kind: 'function',
    name: readName(required(place, 'function', of('function'), 'a name')),
    about: readText(required(place, 'about', of('about'), 'what it is good for'), {
      max: TOOL_ABOUT_BYTES_MAX,
    }),
    parameters: given(of('parameters'), readParameters) ?? NO_PARAMETERS,
    run: readCommand(required(place, 'run', of('run'), 'a program and its arguments')),
  };
}

function readServer(place: Place): ManifestTool {
  const of = fields(place, ['mcp', 'command', 'url', 'allow']);
  const [command, url] = [of('command'), of('url')];
  if ((command === undefined) === (url === undefined)) {
    throw invalid(place, 'either command or url', command === undefined ? 'neither' : 'both');
  }
  return {
    kind: 'mcp',
    name: readName(required(place, 'mcp', of('mcp'), 'a name')),
    place: url === undefined ? { command: readCommand(command ?? place) } : { url: readUrl(url) },
    allow: given(of('allow'), (at) => readList(at, WORDS_MAX, readName)),
  };
}

function readName(place: Place): string {
  const name = readText(place, { max: 64 });
  if (!TOOL_NAME.test(name)) throw invalid(place, 'letters, digits, _ and -, at most 64');
  return name;
}

function readCommand(place: Place): readonly string[] {
  const words = readList(place, WORDS_MAX, (item) => readText(item, { max: WORD_BYTES }));
  if (words.length === 0) throw invalid(place, 'a program and its arguments', 'nothing');
  return words;
}

function readParameters(place: Place): ParameterSchema {
  const schema = readObject(place, TOOL_SCHEMA_BYTES_MAX);
  if (schema.type !== 'object') throw invalid(place, 'a JSON schema of type object', 'another type');
  try {
    parameterCheck(schema);
  } catch {
    throw invalid(place, 'a JSON schema of an object', 'one that cannot be used');
  }
  if (isTooWide(schema)) {
    throw invalid(place, 'a JSON schema that can be followed', 'hundreds of alternatives that begin alike');
  }
  return schema;
}
