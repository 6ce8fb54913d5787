/**
 * Responses that must come at once and are worth nothing later, so the journal does not hold them: suggestions while a
 * name is typed, and forms. Nothing in a form has to be remembered: what it is about is filled into it, where the
 * person sees it, and comes back with it.
 */
import {
  type APIApplicationCommandAutocompleteInteraction,
  type APIInteractionResponse,
  type APIModalInteractionResponse,
  type APIModalSubmission,
  ApplicationCommandOptionType,
  ApplicationCommandType,
  ComponentType,
  type GatewayInteractionCreateDispatchData,
  InteractionResponseType,
  InteractionType,
  TextInputStyle,
} from 'discord.js';
import type { AgentIndex } from '../core/agent-index.ts';
import type { BudgetView } from '../core/budget.ts';
import type { Language } from '../core/language.ts';
import { languageFor } from '../core/languages.ts';
import { clipped } from '../core/markdown.ts';
import { QUOTE_CHARACTERS_MAX } from '../limits.ts';
import { ASK_ABOUT } from './commands.ts';

const CHOICES_MAX = 25;
/** Most characters of a field of a form, as Discord has it. */
const FIELD_CHARACTERS_MAX = 4000;
/** Name of the form for a question. */
export const ASK_FORM = 'ask';
/** Name of the form for a budget. */
export const BUDGET_FORM = 'budget';
const BUDGET_FIELD = 'amount';
const AMOUNT_CHARACTERS_MAX = 32;
const QUESTION_FIELD = 'question';
const ABOUT_FIELD = 'about';

/**
 * The response to an interaction that wants one at once; `undefined` for those that the journal takes. `budgetOf`: the budget of
 * whoever it came from.
 */
export function instantResponse(
  interaction: GatewayInteractionCreateDispatchData,
  index: AgentIndex,
  budgetOf: () => BudgetView | undefined,
): APIInteractionResponse | undefined {
  if (interaction.type === InteractionType.ApplicationCommandAutocomplete) {
    const choices = index
      .search(typedText(interaction))
      .slice(0, CHOICES_MAX)
      .map(({ name }) => ({ name: clipped(name, 100), value: clipped(name, 100) }));
    return { type: InteractionResponseType.ApplicationCommandAutocompleteResult, data: { choices } };
  }
  if (interaction.type !== InteractionType.ApplicationCommand) return undefined;
  const { data, locale } = interaction;
  const language = languageFor(locale);
  if (data.type === ApplicationCommandType.Message && data.name === ASK_ABOUT)
    return askForm(language, data.resolved.messages[data.target_id]?.content ?? '');
  if (data.type !== ApplicationCommandType.ChatInput) return undefined;
  const hasArgument = data.options?.some(
    (option) => option.type === ApplicationCommandOptionType.String && option.value.trim() !== '',
  );
  if (hasArgument) return undefined;
  if (data.name === 'ask') return askForm(language, undefined);
  const budget = data.name === 'budget' ? budgetOf() : undefined;
  return budget && budgetForm(language, budget);
}

/** The form for a budget: what holds now in words, and the present value in its field. */
function budgetForm(language: Language, { value, about }: BudgetView): APIModalInteractionResponse {
  return {
    type: InteractionResponseType.Modal,
    data: {
      custom_id: BUDGET_FORM,
      title: language.formBudget,
      components: [
        { type: ComponentType.TextDisplay, content: clipped(about, FIELD_CHARACTERS_MAX) },
        {
          type: ComponentType.Label,
          label: language.formBudgetField,
          component: {
            type: ComponentType.TextInput,
            custom_id: BUDGET_FIELD,
            style: TextInputStyle.Short,
            max_length: AMOUNT_CHARACTERS_MAX,
            required: true,
            placeholder: '0.1',
            ...(value !== '' && { value }),
          },
        },
      ],
    },
  };
}

/** What someone wrote into the form for a budget. */
export function budgetInForm(form: APIModalSubmission): string {
  return valuesOf(form).get(BUDGET_FIELD) ?? '';
}

/** The form for a question. `about`: the message that it is about. */
function askForm(language: Language, about: string | undefined): APIModalInteractionResponse {
  const field = (custom_id: string, label: string, more: object) => ({
    type: ComponentType.Label as const,
    label,
    component: {
      type: ComponentType.TextInput as const,
      custom_id,
      style: TextInputStyle.Paragraph,
      max_length: FIELD_CHARACTERS_MAX,
      ...more,
    },
  });
  const quoted = clipped(about ?? '', QUOTE_CHARACTERS_MAX);
  return {
    type: InteractionResponseType.Modal,
    data: {
      custom_id: ASK_FORM,
      title: language.formTitle,
      components: [
        field(QUESTION_FIELD, language.formQuestion, { required: true }),
        ...(about === undefined
          ? []
          : [
              field(ABOUT_FIELD, language.formAbout, {
                required: false,
                ...(quoted !== '' && { value: quoted }),
              }),
            ]),
      ],
    },
  };
}

/** What someone wrote into the form for a question. */
export function askedInForm(form: APIModalSubmission): { readonly text: string; readonly quote: string } {
  const values = valuesOf(form);
  return {
    text: values.get(QUESTION_FIELD) ?? '',
    quote: clipped(values.get(ABOUT_FIELD) ?? '', QUOTE_CHARACTERS_MAX),
  };
}

function valuesOf(form: APIModalSubmission): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const part of form.components) {
    if (part.type === ComponentType.Label && part.component.type === ComponentType.TextInput)
      values.set(part.component.custom_id, part.component.value);
  }
  return values;
}

function typedText(interaction: APIApplicationCommandAutocompleteInteraction): string {
  const focused = interaction.data.options.find((option) => 'focused' in option && option.focused);
  return focused && 'value' in focused ? String(focused.value) : '';
}
