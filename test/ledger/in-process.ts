/** Several peers in one process, joined by what a ledger sees of a mesh. Messages travel as copies, in later ticks. */
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import type { LedgerNetwork } from '../../src/ledger/network.ts';
import { createLedgerSync, type LedgerMesh } from '../../src/ledger/sync.ts';

type Handler = Parameters<LedgerMesh['subscribe']>[1];
type Server = Parameters<LedgerMesh['serve']>[1];

interface Node {
  readonly topics: Map<string, Handler>;
  readonly servers: Map<string, Server>;
  readonly listeners: Set<(event: { peerId: string; connected: boolean }) => void>;
}

/** What a test can watch and do to the network. */
export interface InProcessNetwork {
  /** Joins a peer under a name. */
  join(peerId: string): LedgerMesh;
  /** Lets every peer hear of the others again. */
  introduce(): void;
  /** Verdicts that gossip met, in order. */
  readonly verdicts: string[];
  /** While set, gossip is lost. */
  silent: boolean;
}

/** A network without peers. */
export function createInProcessNetwork(): InProcessNetwork {
  const nodes = new Map<string, Node>();
  const others = (peerId: string) => [...nodes].filter(([name]) => name !== peerId);
  const network: InProcessNetwork = {
    verdicts: [],
    silent: false,
    introduce() {
      for (const [name, node] of nodes) {
        for (const [peerId] of others(name)) {
          for (const listener of node.listeners) listener({ peerId, connected: true });
        }
      }
    },
    join(self) {
      const node: Node = { topics: new Map(), servers: new Map(), listeners: new Set() };
      nodes.set(self, node);
      return {
        subscribe(topic, handler) {
          node.topics.set(topic, handler);
          return () => node.topics.delete(topic);
        },
        async publish(topic, message) {
          if (network.silent) return { recipients: 0 };
          const hearing = others(self).flatMap(([, { topics }]) => topics.get(topic) ?? []);
          for (const handler of hearing) {
            setImmediate(async () => {
              if (message.length > handler.sizeBytesMax) return void network.verdicts.push('too-large');
              const verdict = await handler.validate(message.slice(), self);
              network.verdicts.push(verdict);
              if (verdict === 'accept') handler.deliver(message.slice(), self);
            });
          }
          return { recipients: hearing.length };
        },
        async request(peerId, protocol, body, options) {
          const server = nodes.get(peerId)?.servers.get(protocol);
          if (server === undefined) throw new SaharaError('version-unsupported');
          if (body.length > server.requestBytesMax) throw new SaharaError('too-large');
          await new Promise((resume) => setImmediate(resume));
          const answer = await server.handle(
            body.slice(),
            self,
            options.signal ?? new AbortController().signal,
          );
          if (answer.length > Math.min(options.answerBytesMax, server.answerBytesMax)) {
            throw new SaharaError('too-large');
          }
          return answer.slice();
        },
        serve(protocol, handler) {
          node.servers.set(protocol, handler);
          return () => node.servers.delete(protocol);
        },
        peers: () => others(self).map(([peerId]) => ({ peerId })),
        onPeers(listener) {
          node.listeners.add(listener);
          return () => node.listeners.delete(listener);
        },
      };
    },
  };
  return network;
}

/** A ledger's network over a mesh of the test. */
export function ledgerNetwork(mesh: LedgerMesh, network: string): LedgerNetwork {
  return createLedgerSync({ mesh, clock: systemClock, log: silentLog }, { network, retryMs: 20 });
}
