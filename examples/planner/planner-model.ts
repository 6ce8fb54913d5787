/**
 * A model that plans by rule, behind the chat completions API: it splits a question, calls the tool whose description
 * fits each part best, and puts the results together. It stands where a real model would, so that the example runs
 * without weights: any OpenAI-compatible endpoint whose model can call functions takes its place.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Message {
  readonly role: string;
  readonly content: string | null;
  readonly tool_call_id?: string;
}

interface Completion {
  readonly messages: readonly Message[];
  readonly tools?: readonly {
    readonly function: { readonly name: string; readonly description: string };
  }[];
}

/** Serves the planner at `url` on loopback. */
export async function servePlanner(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += String(piece);
    plan(JSON.parse(body), response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function plan({ messages, tools = [] }: Completion, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const results = messages.filter(({ role }) => role === 'tool').map(({ content }) => content ?? '');
  if (results.length > 0 || tools.length === 0) {
    const said = results.map((result) => `- ${result.trim()}`).join('\n');
    tell(response, { content: said === '' ? 'I have nobody to ask.' : said }, 'stop');
    return;
  }
  const question = /Question: (.*)$/s.exec(messages.at(-1)?.content ?? '')?.[1] ?? '';
  const calls = partsOf(question).map((part, index) => ({
    index,
    id: `part-${index}`,
    type: 'function',
    function: { name: fitting(part, tools), arguments: JSON.stringify({ question: part }) },
  }));
  tell(response, { tool_calls: calls }, 'tool_calls');
}

function tell(response: ServerResponse, delta: object, finish: string): void {
  const about = { id: 'plan', object: 'chat.completion.chunk', created: 1, model: 'planner' };
  for (const choice of [
    { delta, finish_reason: null },
    { delta: {}, finish_reason: finish },
  ]) {
    response.write(`data: ${JSON.stringify({ ...about, choices: [{ index: 0, ...choice }] })}\n\n`);
  }
  response.end('data: [DONE]\n\n');
}

/** One question in each: they are split where one ends, and where "and" begins another. */
function partsOf(question: string): readonly string[] {
  return question
    .split(/(?<=\?)\s+|,?\s+and\s+(?=(?:how|what|when|where|who|why)\b)/i)
    .map((part) => part.trim().replace(/[?.\s]*$/, '?'))
    .filter((part) => part.length > 1);
}

/** The tool whose description shares most words with a question. */
function fitting(question: string, tools: NonNullable<Completion['tools']>): string {
  const asked = wordsOf(question);
  const shared = (about: string): number => [...wordsOf(about)].filter((word) => asked.has(word)).length;
  const [best] = tools
    .map(({ function: { name, description } }) => ({ name, score: shared(`${name} ${description}`) }))
    .sort((a, b) => b.score - a.score);
  return best?.name ?? '';
}

function wordsOf(text: string): ReadonlySet<string> {
  return new Set(text.toLowerCase().match(/[a-z]{4,}/g));
}
