/** How the output writes a conversation: the template that a recipe names, brings along, or leaves to the models. */
import type { Checkpoint } from './checkpoint.ts';
import { CHAT_TEMPLATE_BYTES_MAX, JSON_BYTES_MAX } from './limits.ts';
import type { OpenModel } from './plan-tensors.ts';
import { isRecord, meant } from './recipe-values.ts';
import { readSide, readSideJson } from './side-folder.ts';

/** File of a template beside a model's weights. */
export const TEMPLATE_NAME: string = 'chat_template.jinja';
/** File of a tokenizer's settings, which may hold the template instead. */
export const TOKENIZER_CONFIG_NAME: string = 'tokenizer_config.json';
/** GGUF's key. */
export const TEMPLATE_KEY: string = 'tokenizer.chat_template';

const CHATML =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
const LLAMA3 =
  "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}{{ '<|start_header_id|>' + message['role'] + " +
  "'<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}" +
  "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";
const ALPACA =
  "{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}" +
  "{% elif message['role'] == 'user' %}{{ '### Instruction:\\n' + message['content'] + '\\n\\n' }}" +
  "{% else %}{{ '### Response:\\n' + message['content'] + eos_token + '\\n\\n' }}{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}";
const MISTRAL =
  "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}" +
  "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}";
const EXAONE =
  "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}{{ '[|system|][|endofturn|]\\n' }}{% endif %}" +
  "{{ '[|' + message['role'] + '|]' + message['content'] }}{% if message['role'] == 'user' %}{{ '\\n' }}" +
  "{% else %}{{ '[|endofturn|]\\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '[|assistant|]' }}{% endif %}";

const NAMED: Readonly<Record<string, string>> = {
  alpaca: ALPACA,
  chatml: CHATML,
  exaone: EXAONE,
  llama3: LLAMA3,
  mistral: MISTRAL,
};

/** Reports a `chat_template` that is neither a known name nor a template. */
export function checkChatTemplate(wanted: string | undefined, problems: Set<string>): void {
  if (wanted === undefined || wanted === AUTO || Object.hasOwn(NAMED, wanted) || JINJA.test(wanted)) return;
  const known = [AUTO, ...Object.keys(NAMED)];
  problems.add(
    `chat_template: ${wanted} is neither a template nor one of ${known.join(', ')}${meant(wanted, known)}`,
  );
}

const AUTO = 'auto';
const JINJA = /\{[{%]/;

/**
 * The template that `wanted`, which has been checked, stands for: one of the known names, `auto` for the one that most
 * models have, or a template itself. `undefined` when the lead model's stays.
 */
export async function planChatTemplate(
  wanted: string | undefined,
  models: readonly OpenModel[],
): Promise<string | undefined> {
  if (wanted === undefined || Object.hasOwn(NAMED, wanted)) return wanted && NAMED[wanted];
  if (wanted !== AUTO) return wanted;
  return mostCommon(await Promise.all(models.map(({ checkpoint }) => templateOf(checkpoint))));
}

async function templateOf(checkpoint: Checkpoint): Promise<string | undefined> {
  const { metadata } = checkpoint;
  if (metadata) {
    const value = metadata.get(TEMPLATE_KEY)?.value;
    return typeof value === 'string' ? value : undefined;
  }
  const own = await readSide(checkpoint, TEMPLATE_NAME, CHAT_TEMPLATE_BYTES_MAX);
  if (own !== undefined) return own.trim();
  const { chat_template: inner } =
    (await readSideJson(checkpoint, TOKENIZER_CONFIG_NAME, JSON_BYTES_MAX)) ?? {};
  return nameless(inner)?.trim();
}

// One template, or several with names, of which the one for plain conversations counts.
function nameless(template: unknown): string | undefined {
  if (typeof template === 'string') return template;
  const named = Array.isArray(template)
    ? template.find((each) => isRecord(each) && each.name === 'default')
    : undefined;
  const inner: unknown = isRecord(named) ? named.template : undefined;
  return typeof inner === 'string' ? inner : undefined;
}

// The first of those that are equally common.
function mostCommon(templates: readonly (string | undefined)[]): string | undefined {
  const counts = new Map<string, number>();
  for (const each of templates) if (each !== undefined) counts.set(each, (counts.get(each) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0];
}
