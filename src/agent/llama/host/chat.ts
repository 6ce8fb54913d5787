/**
 * Conversations as a model reads them: its own chat template where that can be used, with its own form of calls and
 * thoughts where the template or the vocabulary tells one, otherwise the general form of node-llama-cpp
 * (`||call: name(arguments)`). Texts of others never become marks of a conversation.
 */
import type {
  ChatHistoryItem,
  ChatModelFunctionCall,
  ChatModelFunctions,
  ChatModelResponse,
  ChatWrapper,
  ChatWrapperGeneratedContextState,
  GbnfJsonSchema,
  LlamaModel,
  LlamaText,
  LlamaTextInputValue,
  Token,
} from 'node-llama-cpp';
import { SaharaError } from '../../../base/errors.ts';
import type { Prompt, PromptMessage, ToldCall, ToolUse } from '../messages.ts';
import type { CallForm, CallHead } from './calling.ts';
import type { Mark } from './stream.ts';

type Library = typeof import('node-llama-cpp');
type ChatPrompt = Extract<Prompt, { kind: 'chat' }>;

/** A prompt as tokens, with what its answer is read by. */
export interface Read {
  readonly tokens: readonly Token[];
  readonly marks: readonly Mark[];
  /** Tokens that end the answer. */
  readonly ends: ReadonlySet<Token>;
  /** Whether the answer begins within thoughts. */
  readonly thinking: boolean;
  /** What ends thoughts. */
  readonly thoughtEnd: readonly Token[];
  /** How calls are written, where there may be any. */
  readonly form: CallForm | undefined;
}

const THINK = { open: '<think>', close: '</think>' };

/** How one model writes conversations. */
export class Chat {
  readonly #library: Library;
  readonly #model: LlamaModel;
  readonly #plain: ChatWrapper;
  #calling: ChatWrapper | undefined;
  #reserved: readonly string[] | undefined;

  constructor(library: Library, model: LlamaModel) {
    this.#library = library;
    this.#model = model;
    this.#plain = library.resolveChatWrapper(model) ?? new library.GeneralChatWrapper();
  }

  /** The name of the form. */
  get name(): string {
    return this.#plain.wrapperName;
  }

  /** Writes a conversation. Throws `malformed` for calls whose arguments are no JSON. */
  read({ messages, tools = [] }: ChatPrompt): Read {
    const called = tools.length > 0 || messages.some(({ calls }) => calls !== undefined);
    const wrapper = called ? this.#withCalls() : this.#plain;
    const thought = thoughtOf(wrapper);
    const behindCalls = messages.at(-1)?.role === 'assistant';
    const thinking = behindCalls ? thought.openedBehindCalls : thought.opened;
    const begun: ChatModelResponse['response'] = thinking
      ? [{ type: 'segment', segmentType: 'thought', text: '', ended: false }]
      : [''];
    const history = this.#historyOf(messages);
    const last = history.at(-1);
    if (behindCalls && last?.type === 'model') last.response.push(...begun);
    else history.push({ type: 'model', response: begun });
    const state = this.#written(wrapper, history, tools);
    const marks: Mark[] = [
      { text: thought.open, kind: 'think' },
      { text: thought.close, kind: 'answer' },
    ];
    const ends = new Set<Token>();
    for (const trigger of state.stopGenerationTriggers) {
      const parts = trigger.tokenize(this.#model.tokenizer);
      const [only] = parts;
      if (parts.length === 1 && only !== undefined) ends.add(only);
      else marks.push({ text: this.#model.detokenize(parts, true), kind: 'stop' });
    }
    const form = tools.length > 0 ? this.#formOf(wrapper, tools) : undefined;
    if (form !== undefined) marks.push({ text: form.first.text, kind: 'call' });
    if (form?.more !== undefined) marks.push({ text: form.more.text, kind: 'more' });
    return {
      tokens: state.contextText.tokenize(this.#model.tokenizer),
      marks,
      ends,
      thinking,
      thoughtEnd: this.#model.tokenize(thought.end, true),
      form,
    };
  }

  /** Texts of tokens that are shown for nothing, among those that marks are made of. */
  shownFor(marks: readonly Mark[]): ReadonlyMap<Token, string> {
    const model = this.#model;
    const hidden = marks
      .flatMap(({ text }) => model.tokenize(text, true))
      .filter((token) => model.detokenize([token], false) === '');
    return new Map(hidden.map((token) => [token, model.detokenize([token], true)]));
  }

  #historyOf(messages: readonly PromptMessage[]): ChatHistoryItem[] {
    const history: ChatHistoryItem[] = [];
    let goesOn = false;
    for (const { role, content, calls } of messages) {
      const last = history.at(-1);
      // What is said behind calls is of the same answer.
      const response = goesOn && role === 'assistant' && last?.type === 'model' ? last.response : [];
      if (role !== 'assistant') history.push({ type: role, text: content });
      else if (response.length === 0) history.push({ type: 'model', response });
      if (role === 'assistant' && (content !== '' || calls === undefined)) response.push(content);
      for (const [i, call] of (calls ?? []).entries()) {
        response.push({ ...this.#callOf(call), ...(i === 0 && { startsNewChunk: true }) });
      }
      goesOn = calls !== undefined;
    }
    return history;
  }

  #callOf({ name, arguments: json, result }: ToldCall): ChatModelFunctionCall {
    return { type: 'functionCall', name, params: objectOf(json), result: this.#harmless(result) };
  }

  #written(
    wrapper: ChatWrapper,
    chatHistory: ChatHistoryItem[],
    tools: readonly ToolUse[],
  ): ChatWrapperGeneratedContextState {
    if (tools.length === 0) return wrapper.generateContextState({ chatHistory });
    try {
      return wrapper.generateContextState({ chatHistory, availableFunctions: this.#described(tools) });
    } catch {
      // A schema that the form cannot show stands as text.
      const plain = tools.map((tool) => ({ ...tool, parameters: '{}', description: inWords(tool) }));
      return wrapper.generateContextState({ chatHistory, availableFunctions: this.#described(plain) });
    }
  }

  #described(tools: readonly ToolUse[]): ChatModelFunctions {
    return Object.fromEntries(
      tools.map((tool) => [
        tool.name,
        {
          // The general form writes types, and has none for these.
          description: this.#harmless(UNTYPED.test(tool.parameters) ? inWords(tool) : tool.description),
          // Any JSON schema: what the library does not know of one it leaves out where it describes it.
          params: objectOf(this.#harmless(tool.parameters)) as GbnfJsonSchema,
        },
      ]),
    );
  }

  /**
   * A text in which nothing is a mark of a conversation. Templates put descriptions and results among their own
   * marks; and some vocabularies know theirs in any text.
   */
  #harmless(text: string): string {
    this.#reserved ??= reservedOf(this.#model);
    let clean = text;
    for (const mark of this.#reserved) {
      if (clean.includes(mark)) clean = clean.replaceAll(mark, `${mark.slice(0, 1)} ${mark.slice(1)}`);
    }
    return clean;
  }

  /** The form with calls: the model's own if they stand in it as they are written here, else the general one. */
  #withCalls(): ChatWrapper {
    this.#calling ??= [
      () => this.#plain,
      () => this.#withoutOwnCalls(),
      () => new this.#library.GeneralChatWrapper(),
    ]
      .map((make) => make())
      .find((wrapper) => wrapper !== undefined && writesPlainJson(wrapper));
    return this.#calling ?? this.#plain;
  }

  #withoutOwnCalls(): ChatWrapper | undefined {
    const { JinjaTemplateChatWrapper } = this.#library;
    if (!(this.#plain instanceof JinjaTemplateChatWrapper)) return undefined;
    return new JinjaTemplateChatWrapper({
      template: this.#plain.template,
      functionCallMessageTemplate: 'noJinja',
      tokenizer: this.#model.tokenizer,
    });
  }

  #formOf(wrapper: ChatWrapper, tools: readonly ToolUse[]): CallForm {
    const { call, parallelism } = wrapper.settings.functions;
    const names = tools.map(({ name }) => name);
    const ambiguous = names.some((name) => names.some((other) => other !== name && other.startsWith(name)));
    const opening = textOf(this.#text(call.paramsPrefix));
    const nameEnd = ambiguous ? opening.slice(0, 1) : '';
    return {
      first: this.#headOf(this.#text(parallelism?.call.sectionPrefix ?? '', call.prefix)),
      more: parallelism && this.#headOf(this.#text(call.prefix)),
      between: textOf(this.#text(parallelism?.call.betweenCalls ?? '')),
      nameEnd,
      beforeArguments: (name) => this.#tokensBehind(named(this.#text(call.paramsPrefix), name), nameEnd),
      behindArguments: (name) => named(this.#text(call.suffix), name).tokenize(this.#model.tokenizer),
    };
  }

  /** What a call is known by: its first token where that is a mark by itself, otherwise all of what it begins with. */
  #headOf(prefix: LlamaText): CallHead {
    const tokens = prefix.tokenize(this.#model.tokenizer);
    const texts = tokens.map((token) => this.#model.detokenize([token], true));
    const at = texts.findIndex((text) => text.trim() !== '');
    const first = texts[at]?.trim() ?? '';
    if (MARK.test(first)) {
      const rest = tokens.slice(at + 1);
      return { text: first, rest, restText: texts.slice(at + 1).join('') };
    }
    const whole = textOf(prefix);
    const end = whole.trimEnd();
    return { text: end.trim(), rest: this.#tokensBehind(prefix, end), restText: whole.slice(end.length) };
  }

  /** The tokens of a text without its beginning. */
  #tokensBehind(text: LlamaText, beginning: string): Token[] {
    let left = beginning.length;
    const rest = text.mapValues((value) => {
      const whole = typeof value === 'string' ? value : valueText(value);
      const cut = Math.min(left, whole.length);
      left -= cut;
      if (cut === 0) return value;
      const kept = whole.slice(cut);
      return typeof value === 'string' ? kept : new this.#library.SpecialTokensText(kept);
    });
    return rest.tokenize(this.#model.tokenizer);
  }

  #text(...values: readonly LlamaTextInputValue[]): LlamaText {
    return this.#library.LlamaText(...values);
  }
}

/** What vocabularies set off as marks: `<|im_end|>`, `[INST]`, `<tool_call>`. */
const MARK = /^(?:<[^\s<>]{1,62}>|\[[^\s[\]]{1,62}\]|\[\[[^\s[\]]{1,60}\]\])$/;
/** What a JSON schema may say that a type cannot. */
const UNTYPED = /"(?:anyOf|allOf|definitions)"/;

/** What a tool is, with its schema. */
function inWords({ description, parameters }: ToolUse): string {
  return `${description}\nParameters, as JSON schema: ${parameters}`;
}

/** Most marks of a vocabulary that are looked for in texts of others. */
const RESERVED_MAX = 4_096;

/** Texts of a vocabulary that are marks of a conversation. */
function reservedOf(model: LlamaModel): readonly string[] {
  const found: string[] = [];
  for (const token of model.iterateAllTokens()) {
    const { control, userDefined } = model.getTokenAttributes(token);
    if (!control && !userDefined) continue;
    const text = model.detokenize([token], true).trim();
    if (text.length > 1 && (control || MARK.test(text))) found.push(text);
    if (found.length === RESERVED_MAX) break;
  }
  return found;
}

/** How thoughts are written, by the form or, where it says nothing, as most models do. */
function thoughtOf(wrapper: ChatWrapper): {
  readonly open: string;
  readonly close: string;
  /** What is written to end them. */
  readonly end: string;
  readonly opened: boolean;
  readonly openedBehindCalls: boolean;
} {
  const thought = wrapper.settings.segments?.thought;
  if (thought === undefined) {
    return { ...THINK, end: `${THINK.close}\n\n`, opened: false, openedBehindCalls: false };
  }
  const { prefix, suffix } = thought;
  const opens = typeof prefix === 'object' && 'type' in prefix;
  const end = suffix === undefined ? THINK.close : textOf(suffix);
  return {
    open: opens ? THINK.open : textOf(prefix).trim(),
    close: end.trim(),
    end,
    opened: opens || thought.openOnResponseStart === true,
    openedBehindCalls: thought.reopenAfterFunctionCalls === true,
  };
}

/** Shortest text at which a call is known: Functionary's `>>>` also begins its answers. */
const HEAD_MIN = 5;

/** Whether calls are told from answers, and arguments stand as JSON with nothing around them but the form's settings. */
function writesPlainJson(wrapper: ChatWrapper): boolean {
  const { prefix, paramsPrefix, suffix } = wrapper.settings.functions.call;
  const section = wrapper.settings.functions.parallelism?.call.sectionPrefix ?? '';
  if ((textOf(section) + textOf(prefix)).trim().length < HEAD_MIN) return false;
  const name = 'example';
  const expected = [prefix, paramsPrefix, '{"a": "b"}', suffix]
    .map(textOf)
    .join('')
    .replaceAll('{{functionName}}', name);
  const at = textOf(prefix).length;
  const written = textOf(wrapper.generateFunctionCall(name, { a: 'b' }));
  return written === expected.slice(0, at) + name + expected.slice(at);
}

function named(text: LlamaText, name: string): LlamaText {
  return text.mapValues((value) =>
    typeof value === 'string' ? value.replaceAll('{{functionName}}', name) : value,
  );
}

function textOf(text: string | LlamaText): string {
  return typeof text === 'string' ? text : text.values.map(valueText).join('');
}

/** Tokens without a text of their own, as the one that begins a text, have none here. */
function valueText(value: LlamaText['values'][number]): string {
  if (typeof value === 'string') return value;
  return 'tokenizeSpecialTokensOnly' in value ? value.value : '';
}

function objectOf(json: string): object {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Told below, as for what is no object.
  }
  throw new SaharaError('malformed', { what: 'the arguments or parameters of a tool' });
}
