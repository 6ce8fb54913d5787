/** A world of one seed: time, network, keys, a ledger's beginning and the parties. */
import { toHex, utf8 } from '../../src/base/bytes.ts';
import { createGenesis, networkNameOf } from '../../src/ledger/genesis.ts';
import type { Genesis } from '../../src/protocol/block.ts';
import { type Card, card as cardSchema } from '../../src/protocol/card.ts';
import { certificate, certificateChain } from '../../src/protocol/certificate.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { assetId } from '../../src/protocol/transaction.ts';
import { createRandom, type Random } from '../fuzz/random.ts';
import { peerIdText } from './mesh.ts';
import { Net } from './net.ts';
import { Party, type SimAgent } from './party.ts';
import { type Plan, planOf, type StoryOptions } from './plan.ts';
import { createFastKeys, createRealKeys, type Keys } from './suite.ts';
import { EPOCH_MS, Scheduler } from './time.ts';
import { Trace } from './trace.ts';
import { Truth } from './truth.ts';

/** What every party begins with, grains. */
export const BALANCE: bigint = 10_000_000_000n;

const YEAR_MS = 31_536_000_000;

/** Everything of one story. */
export class World {
  readonly options: StoryOptions;
  readonly plan: Plan;
  readonly scheduler: Scheduler = new Scheduler();
  readonly trace: Trace;
  readonly net: Net;
  readonly keys: Keys;
  readonly genesis: Genesis;
  readonly network: string;
  readonly parties: Party[] = [];
  readonly truth: Truth;

  constructor(options: StoryOptions) {
    this.options = options;
    this.plan = planOf(options.seed);
    const { plan, scheduler } = this;
    this.trace = new Trace(scheduler, options.print);
    this.net = new Net({ scheduler, random: this.random(2), trace: this.trace });
    this.keys = plan.realKeys ? createRealKeys() : createFastKeys();
    const signers = Array.from({ length: plan.parties }, (_, i) => this.#signer(`party ${i}`));
    const [sequencer] = signers as [Signer, ...Signer[]];
    this.genesis = createGenesis(
      { sequencer: sequencer.publicKey, createdAtMs: EPOCH_MS },
      {
        name: 'sim',
        parameters: {
          depositMin: 1_000n,
          closeDelayBlocks: plan.closeDelayBlocks,
          blockIntervalMs: plan.blockIntervalMs,
        },
        faucet: undefined,
        accounts: signers.map(({ publicKey }) => ({ owner: publicKey, balance: BALANCE })),
      },
    );
    this.network = networkNameOf(this.keys.suite, this.genesis);
    this.truth = new Truth({
      scheduler,
      trace: this.trace,
      agentOf: (key) => this.agents().find(({ card }) => toHex(card.agent) === toHex(key)),
      sha256: (bytes) => this.keys.suite.sha256(bytes),
    });
    this.#populate(signers);
  }

  /** Draws of their own for one part of the story, so that one part's do not shift another's. */
  random(part: number): Random {
    return createRandom(this.options.seed, part);
  }

  /** Starts a party; a start that fails ends the story. */
  async start(party: Party): Promise<void> {
    try {
      await party.start();
    } catch (error) {
      // On a full disk nothing starts.
      if (party.disk.full) party.crash('kill');
      else if (party.up) this.scheduler.fail(error);
    }
  }

  /** The party that makes blocks. */
  get sequencer(): Party {
    return this.parties[0] as Party;
  }

  /** Everybody's agents. */
  agents(): readonly SimAgent[] {
    return this.parties.flatMap((party) => party.agents);
  }

  /** The party that hosts `agent`. */
  hostOf(agent: SimAgent): Party {
    return this.parties.find((party) => party.agents.includes(agent)) as Party;
  }

  #populate(signers: readonly Signer[]): void {
    const { plan } = this;
    const random = this.random(3);
    const peerIds = signers.map(({ publicKey }) => peerIdText(publicKey));
    const { skewMs } = plan.faults;
    // Where only the sequencer is known from the start, gossip takes two steps and silence is all that tells of an end.
    const sparse = random.once(3);
    signers.forEach((signer, i) => {
      const keep =
        plan.parties < 11
          ? peerIds.slice(0, sparse ? Math.min(i, 1) : i)
          : [...new Set([0, 1 + random.below(plan.providers), random.below(Math.max(1, i))])]
              .filter((other) => other !== i)
              .map((other) => peerIds[other] as string);
      const party = new Party({
        world: this,
        name: `p${i}`,
        signer,
        peerId: peerIds[i] as string,
        random: this.random(1_000 + i),
        clockFault: { offsetMs: random.below(2 * skewMs + 1) - skewMs, ratePpm: random.below(201) - 100 },
        keep,
        lender: plan.parties < 11 || i % 24 === 0 ? undefined : () => this.parties[i - (i % 24)] as Party,
      });
      this.parties.push(party);
      // The sequencer hosts an agent of its own only where there are few parties.
      const first = plan.parties < 4 ? 0 : 1;
      if (i >= first && i < first + plan.providers) party.agents.push(this.#agent(signer, i, random));
    });
  }

  #agent(operator: Signer, at: number, random: Random): SimAgent {
    const { keys, network } = this;
    const { suite } = keys;
    const signer = this.#signer(`agent ${at}`);
    const item = {
      type: 'certificate',
      payload: certificate.encode({
        version: 1,
        network,
        issuer: operator.publicKey,
        subject: { kind: 'key', id: signer.publicKey },
        roles: ['agent'],
        capabilities: [`serve:agent/${didOf(signer.publicKey)}`],
        notBeforeMs: EPOCH_MS - YEAR_MS,
        notAfterMs: EPOCH_MS + YEAR_MS,
        serial: random.bytes(16),
      }),
    };
    const card: Card = {
      version: 1,
      network,
      agent: signer.publicKey,
      operator: operator.publicKey,
      name: `agent-${at}`,
      description: 'Does what it is asked.',
      languages: ['en'],
      skills: [],
      price: {
        perCall: BigInt(random.below(200)),
        perInputUnit: BigInt(random.below(3)),
        perOutputUnit: BigInt(random.below(20)),
      },
      free: { calls: random.once(3) ? 1 + random.below(5) : 0, windowSeconds: 60 },
      limits: {
        questionBytes: 4_096,
        outputUnits: 50 + random.below(4_000),
        deadlineMs: 20_000 + random.below(60_000),
        concurrency: 1 + random.below(random.once(3) ? 3 : 64),
      },
      licence: 'CC0-1.0',
      manifestHash: suite.sha256(utf8(`manifest ${at}`)).slice(),
      model: { name: 'scripted', digest: suite.sha256(utf8('scripted')).slice(), determinism: 'exact' },
      asset: assetId(suite, network, operator.publicKey, 0).slice(),
      issuedAtMs: EPOCH_MS,
      operatorCertificate: certificateChain.encode([signOne(suite, operator, network, item)]),
    };
    const signedCard = signOne(suite, signer, network, { type: 'card', payload: cardSchema.encode(card) });
    return {
      signer,
      card,
      signedCard,
      cardHash: suite.sha256(signed.encode(signedCard)).slice(),
      knowledge: {
        chunk: suite.sha256(utf8(`chunk ${at}`)).slice(),
        contributor: this.#signer(`contributor ${at}`).publicKey,
        asset: assetId(suite, network, operator.publicKey, 1).slice(),
      },
    };
  }

  #signer(name: string): Signer {
    return this.keys.signer(this.keys.suite.sha256(utf8(`${this.options.seed} ${name}`)).slice());
  }
}
