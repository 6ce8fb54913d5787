/** The other side: an agent on the official A2A JavaScript SDK's own server, unsigned and unpaid. */
import { once } from 'node:events';
import { AgentEvent, DefaultRequestHandler, InMemoryTaskStore } from '@a2a-js/sdk/server';
import { jsonRpcHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import express from 'express';
import { ANSWER } from './shared.ts';

const app = express();
const server = app.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address();

const card = {
  name: 'bench',
  description: '',
  supportedInterfaces: [
    { url: `http://127.0.0.1:${port}/`, protocolBinding: 'JSONRPC', tenant: '', protocolVersion: '1.0' },
  ],
  provider: undefined,
  version: '1.0.0',
  capabilities: { streaming: false, pushNotifications: false, extensions: [] },
  securitySchemes: {},
  securityRequirements: [],
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [],
  signatures: [],
};

let answered = 0;
const handler = new DefaultRequestHandler(card, new InMemoryTaskStore(), {
  async execute(context, bus) {
    const message = {
      messageId: `answer-${answered++}`,
      contextId: context.contextId,
      taskId: '',
      // ROLE_AGENT of the A2A protocol.
      role: 2,
      parts: [
        {
          content: { $case: 'text', value: ANSWER },
          metadata: undefined,
          filename: '',
          mediaType: 'text/plain',
        },
      ],
      metadata: undefined,
      extensions: [],
      referenceTaskIds: [],
    };
    bus.publish(AgentEvent.message(message));
    bus.finished();
  },
  async cancelTask() {},
});
app.use(jsonRpcHandler({ requestHandler: handler, userBuilder: UserBuilder.noAuthentication }));
process.send?.({ card });
process.once('disconnect', () => process.exit(0));
