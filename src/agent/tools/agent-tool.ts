/** Another agent as a tool: asked with what the answer's own call may spend, its receipt nested in the call's. */
import { SaharaError } from '../../base/errors.ts';
import { PPM } from '../../protocol/limits.ts';
import type { CallsBelow } from '../calls-below.ts';
import type { Tool, ToolSpec } from './tool.ts';

/** Which agent, and what it may spend. */
export interface AgentToolOptions {
  /** Name, DID, or the first characters of a DID's last part. */
  readonly agent: string;
  readonly skill: string | undefined;
  /** Most of what is left that one question to it may cost with everything below, millionths. */
  readonly share: number;
  /** Of that, what it may spend on calls of its own, millionths. */
  readonly budget: number;
}

/** What a model is told of an agent's parameters. */
export const AGENT_PARAMETERS: ToolSpec['parameters'] = {
  type: 'object',
  properties: {
    question: { type: 'string', minLength: 1, description: 'One question, complete in itself.' },
  },
  required: ['question'],
  additionalProperties: false,
};

/** A tool that asks `options.agent` through `calls`. */
export function createAgentTool(
  spec: Pick<ToolSpec, 'name' | 'description'>,
  options: AgentToolOptions,
  calls: CallsBelow,
): Tool {
  const { agent, skill, share, budget } = options;
  return {
    ...spec,
    parameters: AGENT_PARAMETERS,
    async run({ question }, { signal }) {
      const priceMax = (calls.left * BigInt(share)) / BigInt(PPM);
      const below = (priceMax * BigInt(budget)) / BigInt(PPM);
      const call = calls.ask({
        agent,
        question: String(question),
        priceMax,
        ...(skill !== undefined && { skill }),
        ...(budget > 0 && { budget: below }),
      });
      const stop = (): void => call.stop();
      signal.addEventListener('abort', stop, { once: true });
      try {
        const { text, finish } = await call.result;
        if (finish === 'nothing-found')
          throw new SaharaError('tool-failed', { tool: spec.name, reason: 'it found nothing that answers' });
        return text;
      } finally {
        signal.removeEventListener('abort', stop);
      }
    },
  };
}
