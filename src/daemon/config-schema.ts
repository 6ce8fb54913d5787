/**
 * Every option of the daemon, once. The configuration file, the flags of `sahara up`, the `SAHARA_*` variables and
 * the table in `docs/configuration.md` all derive from this schema: each field states its meaning, unit, default
 * and bounds here and nowhere else.
 */
import { z } from 'zod';
import { parseAmount } from '../base/amount.ts';
import type { LogLevel } from '../base/log.ts';
import { type BridgesConfig, bridgesSchema } from './config-bridges.ts';
import { type CallsConfig, callsSchema } from './config-calls.ts';
import { type ModelsConfig, modelsSchema } from './config-models.ts';

/** Whose calls a gateway peer carries: nobody's, those of the same operator's peers, or everybody's. */
export type GatewayAccess = 'off' | 'own' | 'all';

/** A complete, validated configuration. Amounts are texts such as `0.002`, in SAHARA. */
export interface Config {
  readonly mesh: {
    readonly host: string;
    readonly port: number;
    readonly websocketPort: number;
    readonly bootstrap: readonly string[];
    readonly mdns: boolean;
    readonly dht: boolean;
    readonly relay: boolean;
    readonly private: boolean;
  };
  readonly network: {
    readonly name: string;
    readonly genesis: string;
    readonly searchMs: number;
    readonly closeDelayBlocks: number;
    readonly transactionFee: string;
    readonly epochBlocks: number;
  };
  readonly ledger: {
    readonly mode: 'auto' | 'light' | 'full';
    readonly keepBlocks: number;
  };
  readonly gateway: {
    readonly serve: GatewayAccess;
    readonly via: readonly string[];
  };
  readonly market: {
    readonly offers: boolean;
    readonly discountPercent: number;
    readonly observe: boolean;
  };
  readonly watchtower: {
    readonly serve: boolean;
  };
  readonly wallet: {
    readonly channelDeposit: string;
    readonly priceMax: string;
    readonly claimEverySeconds: number;
    readonly claimMin: string;
  };
  readonly calls: CallsConfig;
  readonly models: ModelsConfig;
  readonly bridges: BridgesConfig;
  readonly guide: {
    readonly host: 'auto' | 'always' | 'never';
    readonly price: string;
    readonly freeCalls: number;
  };
  readonly daemon: {
    readonly drainMs: number;
    readonly logLevel: LogLevel;
  };
}

const amount = (fallback: string): z.ZodDefault<z.ZodString> =>
  z
    .string()
    .refine((text) => parseAmount(text) !== undefined)
    .meta({ allowed: 'an amount in SAHARA such as 0.002' })
    .default(fallback);

const PEER_ID = '[1-9A-HJ-NP-Za-km-z]{40,64}';
const ADDRESS = new RegExp(`^(/[^/\\s]+)+/p2p/${PEER_ID}$`);
const ADDRESS_OR_PEER = new RegExp(`^((/[^/\\s]+)+/p2p/)?${PEER_ID}$`);

/** The schema. `prefault({})` lets a whole section be left out. */
export const configSchema: z.ZodType<Config> = z.strictObject({
  mesh: z
    .strictObject({
      host: z
        .string()
        .min(1)
        .meta({ allowed: 'an IP address of this machine' })
        .default('0.0.0.0')
        .describe(
          'Address that other peers reach this one at. 0.0.0.0 is every interface, 127.0.0.1 only this machine.',
        ),
      port: z
        .int()
        .min(0)
        .max(65_535)
        .default(0)
        .describe(
          'TCP port for other peers. 0 takes a free one at each start; set it when others bootstrap from here.',
        ),
      websocketPort: z
        .int()
        .min(-1)
        .max(65_535)
        .default(-1)
        .describe('Port for peers that come by WebSocket. 0 takes a free one, -1 serves none.'),
      bootstrap: z
        .array(z.string().regex(ADDRESS))
        .meta({ allowed: 'addresses that end in /p2p/ and a peer id' })
        .default([])
        .describe(
          'Addresses of peers to join by: /ip4/203.0.113.7/tcp/4101/p2p/12D3Koo..., as `sahara status` prints them.',
        ),
      mdns: z.boolean().default(true).describe('Find and be found by peers on the local network.'),
      dht: z.boolean().default(true).describe('Find peers through the distributed hash table.'),
      relay: z.boolean().default(false).describe('Carry traffic for peers that cannot be reached directly.'),
      private: z.boolean().default(false).describe('Dial out only, listen on nothing, announce nothing.'),
    })
    .prefault({}),
  network: z
    .strictObject({
      name: z
        .string()
        .regex(/^[a-z][a-z0-9-]{0,30}$/)
        .meta({ allowed: 'lower-case letters, digits and dashes, at most 31' })
        .default('local')
        .describe('Name of the network to join, or to create when none is found.'),
      genesis: z
        .string()
        .default('')
        .describe(
          'Genesis file of the network to join. Empty: ask the peers that are found, else create a local network.',
        ),
      searchMs: z
        .int()
        .min(0)
        .max(600_000)
        .default(2500)
        .describe('How long the first start looks for a network nearby before it creates one. Milliseconds.'),
      closeDelayBlocks: z
        .int()
        .min(1)
        .max(1_000_000)
        .default(3600)
        .describe(
          'Where this peer creates the network: blocks between the request to close a channel and its end, one a second. A payee that stays away for longer loses what it has not claimed.',
        ),
      transactionFee: amount('0').describe(
        'Where this peer creates the network: what every transaction costs. With a fee nobody draws free money: all there is begins with this peer, and it pays the others. SAHARA.',
      ),
      epochBlocks: z
        .int()
        .min(1)
        .max(1_000_000_000)
        .default(3600)
        .describe(
          'Where this peer creates the network: blocks after which what fees put aside is shared as rewards.',
        ),
    })
    .prefault({}),
  ledger: z
    .strictObject({
      mode: z
        .enum(['auto', 'light', 'full'])
        .default('auto')
        .describe(
          'How much of the ledger to keep. full: all of it, checking every block. light: signed headers and what concerns this peer, proved by others. auto: full with agents or vaults, as a gateway, where this peer began the network, and where it was full before; otherwise light.',
        ),
      keepBlocks: z
        .int()
        .min(0)
        .max(1_000_000_000)
        .default(0)
        .describe(
          'Latest blocks that stay on disk; older ones go, but for those about channels that still exist. 0 keeps all. A peer that lacks blocks cannot hand them to others, nor prove what is in them.',
        ),
    })
    .prefault({}),
  gateway: z
    .strictObject({
      serve: z
        .enum(['off', 'own', 'all'])
        .default('off')
        .describe(
          'Whose sealed calls to carry to other peers: nobody’s, those of your own peers, or everybody’s. What they say stays hidden from here.',
        ),
      via: z
        .array(z.string().regex(ADDRESS_OR_PEER))
        .meta({ allowed: 'peer ids, or addresses that end in /p2p/ and one' })
        .default([])
        .describe(
          'Gateway peers, by address or peer id, that carry the calls made from here. The first that can is used, and every call is sealed to its agent. Empty: call hosts directly.',
        ),
    })
    .prefault({}),
  market: z
    .strictObject({
      offers: z
        .boolean()
        .default(true)
        .describe('Whether agents here answer requests for offers that go round on the network.'),
      discountPercent: z
        .int()
        .min(0)
        .max(100)
        .default(0)
        .describe(
          'How much of its published price an idle agent lets go in an offer; less the busier it is. Percent.',
        ),
      observe: z
        .boolean()
        .default(true)
        .describe(
          'Whether to tell the network how long calls made from here took, with the receipt as proof: everybody can see whom you paid, when and how much.',
        ),
    })
    .prefault({}),
  watchtower: z
    .strictObject({
      serve: z
        .boolean()
        .default(false)
        .describe(
          'Whether to claim for payees that leave their claims here and are away in time; each such claim costs this peer its fee. `sahara watchtower serve` overrides it.',
        ),
    })
    .prefault({}),
  wallet: z
    .strictObject({
      channelDeposit: amount('1').describe('Deposit of a channel that `ask` opens by itself. SAHARA.'),
      priceMax: amount('0.05').describe(
        'Most that one call may cost unless `--max-price` says otherwise. SAHARA.',
      ),
      claimEverySeconds: z
        .int()
        .min(1)
        .max(86_400)
        .default(600)
        .describe('Longest time that earned money stays unclaimed. Seconds.'),
      claimMin: amount('1').describe('Claim as soon as a channel owes this much. SAHARA.'),
    })
    .prefault({}),
  calls: callsSchema,
  models: modelsSchema,
  bridges: bridgesSchema,
  guide: z
    .strictObject({
      host: z
        .enum(['auto', 'always', 'never'])
        .default('auto')
        .describe(
          'Whether to host `guide`, an agent that knows the documents of this project. auto: where this peer began the network.',
        ),
      price: amount('0.002').describe('What one answer of the guide costs. SAHARA.'),
      freeCalls: z
        .int()
        .min(0)
        .max(1_000_000)
        .default(0)
        .describe('Answers of the guide that each caller gets free per day.'),
    })
    .prefault({}),
  daemon: z
    .strictObject({
      drainMs: z
        .int()
        .min(0)
        .max(600_000)
        .default(10_000)
        .describe('How long a stop waits for running calls. Milliseconds.'),
      logLevel: z
        .enum(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info')
        .describe('How much goes into the log file in the home.'),
    })
    .prefault({}),
});

/** What a field holds, for reading flags and variables. */
type OptionType = 'text' | 'number' | 'boolean' | 'list';

/** One field of the schema as people meet it. */
export interface ConfigOption {
  /** `mesh.port`. */
  readonly path: string;
  /** `--mesh-port`. */
  readonly flag: string;
  /** `SAHARA_MESH_PORT`. */
  readonly variable: string;
  readonly type: OptionType;
  readonly fallback: unknown;
  /** What may stand there, in words. */
  readonly allowed: string;
  readonly about: string;
}

interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly default?: unknown;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly string[];
  readonly allowed?: string;
}

/** Every option, in the order of the schema. */
export const CONFIG_OPTIONS: readonly ConfigOption[] = optionsOf(
  z.toJSONSchema(configSchema) as JsonSchema,
  [],
);

function optionsOf(schema: JsonSchema, path: readonly string[]): ConfigOption[] {
  if (schema.properties) {
    return Object.entries(schema.properties).flatMap(([name, below]) => optionsOf(below, [...path, name]));
  }
  const dashed = path.map(dashes).join('-');
  return [
    {
      path: path.join('.'),
      flag: `--${dashed}`,
      variable: `SAHARA_${dashed.replaceAll('-', '_').toUpperCase()}`,
      type: typeOf(schema),
      fallback: schema.default,
      allowed: schema.allowed ?? allowedOf(schema),
      about: schema.description ?? '',
    },
  ];
}

function dashes(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function typeOf(schema: JsonSchema): OptionType {
  if (schema.type === 'boolean') return 'boolean';
  if (schema.type === 'array') return 'list';
  return schema.type === 'integer' || schema.type === 'number' ? 'number' : 'text';
}

function allowedOf(schema: JsonSchema): string {
  if (schema.enum) return schema.enum.join(', ');
  if (schema.type === 'boolean') return 'true or false';
  if (schema.type === 'array') return 'a list of texts';
  if (schema.type === 'integer') return `a whole number from ${schema.minimum} to ${schema.maximum}`;
  return 'a text';
}
