/** Kinds of agents that operators make again and again, as a beginning for a manifest. */
import { stringify } from 'yaml';
import { formatAmount } from '../base/amount.ts';

/** A kind of agent. */
export interface AgentTemplate {
  readonly name: string;
  /** What it is for, in one sentence. */
  readonly about: string;
  /** What fits into its vault. */
  readonly documents: string;
  readonly skill: { readonly name: string; readonly description: string };
  /** Instructions to a model; an agent that only quotes has none. */
  readonly prompt: string;
  /** Price of a call in SAHARA, and free calls of each caller and day. */
  readonly price: string;
  readonly freeCalls: number;
  readonly refusedTopics: readonly string[];
}

const HONEST =
  'Answer only from the passages, and cite the passage after each sentence. If they do not answer the question, say so.';

/** The kinds, in the order in which they are shown. */
export const AGENT_TEMPLATES: readonly AgentTemplate[] = [
  {
    name: 'community-faq',
    about: 'answers what members of a community ask again and again',
    documents: 'rules, guides, announcements, exported chats',
    skill: { name: 'answer', description: 'Answers questions about the community from its own documents.' },
    prompt: `You help the members of a community. ${HONEST} Be short and friendly. Never give out personal data.`,
    price: '0.0005',
    freeCalls: 10,
    refusedTopics: [],
  },
  {
    name: 'course-tutor',
    about: 'explains the material of a course and points to where it stands',
    documents: 'lecture notes, slides as PDF, exercises',
    skill: { name: 'explain', description: 'Explains the material of the course, with where it stands.' },
    prompt: `You are a tutor for one course. ${HONEST} Explain step by step, and end with the part of the material to read.`,
    price: '0.001',
    freeCalls: 5,
    refusedTopics: [],
  },
  {
    name: 'product-support',
    about: 'answers what users of a product ask its support',
    documents: 'manuals, release notes, troubleshooting pages',
    skill: { name: 'support', description: 'Answers questions about the product from its manuals.' },
    prompt: `You are the support of one product. ${HONEST} Give the steps in order, one a line. Name the version that they are for.`,
    price: '0.001',
    freeCalls: 3,
    refusedTopics: ['refund my order'],
  },
  {
    name: 'code-base',
    about: 'answers questions about a body of source code',
    documents: 'the source tree and its documentation',
    skill: { name: 'explain-code', description: 'Says where and how the code does something.' },
    prompt: `You know one code base. ${HONEST} Name files and functions. Quote code only as it stands in the passages.`,
    price: '0.002',
    freeCalls: 3,
    refusedTopics: [],
  },
  {
    name: 'research-group',
    about: 'answers from the papers and notes of a research group',
    documents: 'papers as PDF, notes, data sheets',
    skill: { name: 'answer', description: "Answers from the group's papers and notes, with citations." },
    prompt: `You know the papers of one research group. ${HONEST} Keep figures and units exactly as they stand. Say what is uncertain.`,
    price: '0.002',
    freeCalls: 2,
    refusedTopics: [],
  },
];

/** What the operator chose for an agent. */
export interface AgentChoices {
  readonly name: string;
  readonly description: string;
  readonly vault: string;
  /** Grains. */
  readonly perCall: bigint;
  readonly freeCalls: number;
  /** Questions that the agent answers. */
  readonly examples: readonly string[];
  /** How its answers are made; absent for quotes from the documents. */
  readonly backend?: Readonly<Record<string, string>>;
}

/** The manifest of an agent of a kind, as YAML. */
export function manifestOfTemplate(template: AgentTemplate, choices: AgentChoices): string {
  const { name, description, vault, perCall, freeCalls, examples, backend } = choices;
  return stringify({
    name,
    description,
    skills: [{ ...template.skill, ...(examples.length > 0 && { examples }) }],
    ...(backend && { backend, prompt: template.prompt }),
    vaults: [vault],
    price: {
      perCall: formatAmount(perCall),
      ...(freeCalls > 0 && { freePerCaller: { calls: freeCalls } }),
    },
    ...(template.refusedTopics.length > 0 && { policy: { refusedTopics: template.refusedTopics } }),
  });
}
