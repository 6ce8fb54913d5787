/**
 * The agents of this home: a manifest file each, registered on the ledger, announced to the mesh and served. Each
 * is published twice: with its price for everyone, and without one for its own operator, whose questions never
 * leave this process.
 */
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallRecords } from '../agent/call-records.ts';
import type { CallTarget } from '../agent/caller.ts';
import { createHost, type Host, type HostParts } from '../agent/host.ts';
import { type AgentParts, createHosting, type Hosting, type PublishedAgent } from '../agent/hosting.ts';
import { type Manifest, manifestHash, modelFilesOf, parseManifest } from '../agent/manifest.ts';
import { createOfferBook } from '../agent/offer-book.ts';
import type { Licensed } from '../agent/policy.ts';
import type { CallTransport } from '../agent/ports.ts';
import type { QuotaBook } from '../agent/quota.ts';
import type { CallerLimits } from '../agent/standing-service.ts';
import type { MarkKey } from '../agent/watermark/detect.ts';
import { toHex } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { nearestNames } from '../base/nearest.ts';
import type { Directory } from '../mesh/directory.ts';
import { didOf, type PublicKey } from '../protocol/ids.ts';
import type { OfferRequest } from '../protocol/offer.ts';
import type { SealKey } from '../protocol/seal.ts';
import type { Signed } from '../protocol/signing.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { mayUse } from './access.ts';
import type { HostedAgentRow } from './admin/types.ts';
import { type AgentVersions, agentFileName, createAgentVersions } from './agent-versions.ts';
import { type Answering, answeringOf } from './answering.ts';
import type { AssetBook } from './assets.ts';
import { type BelowParts, createBelow } from './below.ts';
import type { CertificateBook } from './certificates.ts';
import { hostOptions } from './config-calls.ts';
import type { Core } from './core.ts';
import { createCallDoor } from './gateway.ts';
import type { Knowledge } from './knowledge.ts';
import { vaultNames, vaultsFor } from './learned-vault.ts';
import { createLoopback } from './loopback.ts';
import type { Models } from './models.ts';
import { createOffering } from './offering.ts';
import { createPeerCheck } from './peer-certificate.ts';
import type { Searching } from './searching.ts';
import { channelOpen } from './standing.ts';

/** What agents are hosted with. */
export interface AgentKeeperParts extends BelowParts {
  readonly directory: Directory;
  readonly records: CallRecords;
  readonly quota: QuotaBook;
  readonly knowledge: Knowledge;
  readonly assets: AssetBook;
  readonly certificates: CertificateBook;
  readonly models: Models;
  readonly searching: Searching;
}

/** The agents of this home. */
export interface AgentKeeper {
  /** Asks agents of this home without leaving the process. */
  readonly transport: CallTransport;
  /** What the operator asks an agent of this home by; `undefined` for an agent of somebody else. */
  ownTarget(agent: PublicKey): CallTarget | undefined;
  /**
   * Brings every agent of the home up, and takes up the calls that were under way when the last process ended. An
   * agent that cannot come up is noted, and does not keep the others down.
   */
  loadAll(signal: AbortSignal): Promise<void>;
  /** Hosts an agent. Throws `manifest-invalid`, `agent-exists`, `vault-unknown`, `vault-empty`, and
   * `licence-refused` when the licences of what it is made of do not allow it. */
  add(
    manifest: string,
    options: { readonly replace: boolean; readonly signal: AbortSignal },
  ): Promise<HostedAgentRow>;
  /** Hosts an agent no longer. Throws `agent-unknown`. */
  remove(name: string): Promise<void>;
  list(): Promise<readonly HostedAgentRow[]>;
  /** What an agent is hosted with. Throws `agent-unknown`. */
  hosted(name: string): { readonly manifest: Manifest; readonly did: string };
  /** Every manifest that agents were hosted with. */
  readonly versions: AgentVersions;
  /** Gives every agent a card with a new certificate, because the operator's key changed. */
  renew(): Promise<void>;
  /** What the agents here offer for a request: signed offers, few. */
  readonly offersFor: (request: OfferRequest) => Promise<readonly Signed[]>;
  /** Names of hosted agents that answer from a vault. */
  usedBy(vault: string): readonly string[];
  /** Names of hosted agents whose manifest names a model, or an adapter, of this home that `is`. */
  answeringWith(is: (model: string) => boolean): readonly string[];
  /** Hosted agents that mark what they say: what with, and by which key. */
  marking(): Promise<readonly MarkingAgent[]>;
  /** What a peer and a key get of the agents here. */
  limitsOf(peerId: string, caller: PublicKey): CallerLimits;
  /** Refuses new calls and waits for the running ones. */
  drain(): Promise<void>;
}

/** A hosted agent that marks what it says. */
export interface MarkingAgent extends MarkKey {
  readonly model: string;
}

/** Most agents of one home. */
const AGENTS_MAX = 200;

const DRAIN_MARGIN_MS = 1_000;
const CARD_RENEWAL_MS = 7 * 86_400_000;

interface Running {
  readonly manifest: Manifest;
  readonly asset: Uint8Array;
  readonly parts: AgentParts;
  own: PublishedAgent;
  readonly answering: Answering;
  withdraw: () => Promise<void>;
}

/** A keeper of the agents under `parts.home.agents`. */
export function createAgentKeeper(parts: AgentKeeperParts): AgentKeeper {
  return new HomeAgents(parts);
}

class HomeAgents implements AgentKeeper {
  readonly transport: CallTransport;
  readonly offersFor: AgentKeeper['offersFor'];
  readonly versions: AgentVersions;
  readonly #parts: AgentKeeperParts;
  readonly #hosting: Hosting;
  readonly #ownHosting: Hosting;
  readonly #host: Host;
  readonly #ownHost: Host;
  readonly #running = new Map<string, Running>();
  /** By the agent's key, in hexadecimal. */
  readonly #sealKeys = new Map<string, SealKey>();
  readonly #faults = new Map<string, SaharaError>();

  constructor(parts: AgentKeeperParts) {
    const { clock, network, operator, verifier, replay, payee, once, records, quota, log, mesh } = parts;
    this.#parts = parts;
    this.versions = createAgentVersions(parts.home.agents);
    const deciding = { ...parts, operator: operator.publicKey };
    const licensed: Licensed = (asset, caller) => mayUse(deciding, asset, caller);
    const hostingParts = { suite: nativeSuite, clock, network, operator, licensed };
    this.#hosting = createHosting(hostingParts);
    this.#ownHosting = createHosting(hostingParts);
    const below = createBelow(parts, this);
    const common = { verifier, clock, replay, network, payee, once, records, quota, log };
    const hostParts = { suite: nativeSuite, ...common, below };
    const book = createOfferBook({ suite: nativeSuite, clock });
    this.#host = createHost(
      { ...hostParts, running: parts.running, agents: this.#hosting, offers: book, ...welcome(parts) },
      hostOptions(parts.config.calls),
    );
    this.offersFor = createOffering(
      {
        mesh,
        clock,
        network,
        book,
        licensed,
        agents: () => this.#hosting.list(),
        queueOf: (agent) => this.#host.loadOf(agent).queue,
      },
      parts.config.market,
    );
    this.#ownHost = createHost({ ...hostParts, agents: this.#ownHosting });
    const faultOf = createPeerCheck({ network, clock, trust: verifier.trust });
    mesh.judge(faultOf);
    const enter = createCallDoor(parts, (agent) => this.#sealKeys.get(toHex(agent)));
    mesh.serveCalls((stream) => {
      const fault = faultOf(stream);
      if (fault) stream.fail(fault);
      else this.#host.serve(enter(stream));
    });
    this.transport = {
      openCall: async () => {
        const [here, there] = createLoopback(mesh.peerId);
        this.#ownHost.serve(there);
        return here;
      },
    };
  }

  ownTarget(agent: PublicKey): CallTarget | undefined {
    const own = this.#ownHosting.find(agent);
    return own && { peerId: this.#parts.mesh.peerId, card: own.signedCard };
  }

  async loadAll(signal: AbortSignal): Promise<void> {
    const { home, log } = this.#parts;
    for (const file of (await readdir(home.agents)).filter((entry) => entry.endsWith('.yaml')).sort()) {
      const path = join(home.agents, file);
      try {
        const text = await readFile(path, 'utf8');
        const manifest = parseManifest(text, { file: path });
        if (this.#running.has(manifest.name)) continue;
        await this.versions.keep(manifest.name, text);
        await this.#bringUp(manifest, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        const failure = asSaharaError(error);
        this.#faults.set(file.slice(0, -'.yaml'.length), failure);
        log.error('agent not hosted', { file, code: failure.code, facts: failure.facts });
      }
    }
    await this.#host.recover();
  }

  async add(
    text: string,
    { replace, signal }: { readonly replace: boolean; readonly signal: AbortSignal },
  ): Promise<HostedAgentRow> {
    const manifest = parseManifest(text, { file: 'manifest' });
    const { name } = manifest;
    const before = this.#running.get(name);
    if (before !== undefined && !replace) throw new SaharaError('agent-exists', { name });
    if (before === undefined && this.#running.size >= AGENTS_MAX) {
      throw new SaharaError('home-full', { what: 'agents', limit: AGENTS_MAX });
    }
    await this.#bringUp(manifest, signal);
    await this.#save(name, text);
    await this.versions.keep(name, text);
    return this.#row(name);
  }

  async remove(name: string): Promise<void> {
    const running = this.#running.get(name);
    if (running === undefined && !this.#faults.has(name)) throw this.#unknown(name);
    await rm(this.#pathOf(name), { force: true });
    this.#faults.delete(name);
    if (running) await this.#takeDown(name, running);
  }

  hosted(name: string): { readonly manifest: Manifest; readonly did: string } {
    const running = this.#running.get(name);
    if (running === undefined) throw this.#faults.get(name) ?? this.#unknown(name);
    return { manifest: running.manifest, did: didOf(running.own.card.agent) };
  }

  async list(): Promise<readonly HostedAgentRow[]> {
    const names = [...new Set([...this.#running.keys(), ...this.#faults.keys()])].sort();
    return Promise.all(names.map((name) => this.#row(name)));
  }

  async renew(): Promise<void> {
    for (const [name, running] of [...this.#running]) {
      const { parts, manifest } = running;
      running.own = await this.#ownHosting.publish({ ...parts, manifest: { ...manifest, price: FREE } });
      await running.withdraw();
      if (this.#running.get(name) === running) await this.#announce(running);
    }
  }

  limitsOf(peerId: string, caller: PublicKey): CallerLimits {
    return this.#host.limitsOf(peerId, caller);
  }

  usedBy(vault: string): readonly string[] {
    const { learn } = this.#parts.config.bridges;
    return [...this.#running.values()]
      .filter(({ manifest }) => vaultNames(manifest, learn).includes(vault))
      .map(({ manifest }) => manifest.name);
  }

  answeringWith(is: (model: string) => boolean): readonly string[] {
    return [...this.#running.values()]
      .filter(({ manifest }) => modelFilesOf(manifest).some(is))
      .map(({ manifest }) => manifest.name);
  }

  async marking(): Promise<readonly MarkingAgent[]> {
    const found: MarkingAgent[] = [];
    for (const { manifest } of this.#running.values()) {
      const { name, backend } = manifest;
      if (backend.kind !== 'llama' || !backend.watermark) continue;
      found.push({ name, model: backend.model, key: await this.#parts.keys.agentMark(name) });
    }
    return found;
  }

  async drain(): Promise<void> {
    const { drainMs } = this.#parts.config.daemon;
    const drained = Promise.all([this.#host.drain(drainMs), this.#ownHost.drain(drainMs)]);
    // Calls whose other side neither speaks nor leaves must not hold the stop.
    const late = new Promise<void>((resolve) => this.#parts.clock.after(drainMs + DRAIN_MARGIN_MS, resolve));
    await Promise.race([drained, late]);
    for (const { answering } of this.#running.values()) await answering.close();
  }

  async #bringUp(manifest: Manifest, signal: AbortSignal): Promise<void> {
    const { keys, assets } = this.#parts;
    const { name } = manifest;
    const vaults = await vaultsFor(manifest, this.#parts);
    const hash = manifestHash(manifest);
    const commitment = { scheme: 'sahara-manifest-1', root: hash, sizeBytes: 0 };
    const asset = await assets.agent(name, { commitment, ...manifest.asset }, { signal });
    const answering = await answeringOf(manifest, { ...this.#parts, vaults, asset }, { signal });
    const parts: AgentParts = {
      manifest,
      signer: await keys.agent(name),
      asset,
      model: answering.model,
      answerer: answering.answerer,
    };
    const own = await this.#ownHosting.publish({ ...parts, manifest: { ...manifest, price: FREE } });
    const sealKey = await keys.agentSeal(name);
    this.#sealKeys.set(toHex(sealKey.agent), sealKey);
    const before = this.#running.get(name);
    const running: Running = { manifest, asset, parts, own, answering, withdraw: async () => {} };
    this.#faults.delete(name);
    this.#running.set(name, running);
    // In this order: the farewell of the old version would take the new one off the list.
    await before?.withdraw();
    await this.#announce(running);
    await before?.answering.close();
  }

  async #announce(running: Running): Promise<void> {
    const { directory, clock } = this.#parts;
    const { manifest } = running;
    const published = await this.#hosting.publish(running.parts);
    const agent = published.card.agent;
    const withdraw = directory.announce({
      signer: published.signer,
      card: published.cardBytes,
      describe: () => ({
        operator: published.card.operator,
        name: manifest.name,
        skills: manifest.skills.map(({ name }) => name).slice(0, SKILLS_ADVERTISED),
        perCall: manifest.price.perCall,
        ...this.#host.loadOf(agent),
        modelDigest: published.card.model.digest,
      }),
    });
    // The operator's certificate in the card ends some day; a new card carries a new one.
    const cancel = clock.after(CARD_RENEWAL_MS, () => {
      if (this.#running.get(manifest.name) === running) void withdraw().then(() => this.#announce(running));
    });
    running.withdraw = async () => {
      cancel();
      await withdraw();
    };
  }

  async #takeDown(name: string, running: Running): Promise<void> {
    const agent = running.own.card.agent;
    this.#running.delete(name);
    this.#sealKeys.delete(toHex(agent));
    await running.withdraw();
    this.#hosting.withdraw(agent);
    this.#ownHosting.withdraw(agent);
    await running.answering.close();
  }

  async #row(name: string): Promise<HostedAgentRow> {
    const running = this.#running.get(name);
    const fault = this.#faults.get(name);
    if (running === undefined) {
      const note = fault === undefined ? 'not running' : `not running: ${fault.message}`;
      return { name, did: '', asset: '', vaults: [], backend: '-', perCall: '0', manifestHash: '', note };
    }
    const { manifest, own, asset } = running;
    const model = await this.#parts.models.rowOf(manifest.backend);
    const search = manifest.search && this.#parts.searching.rowOf(name);
    return {
      name,
      did: didOf(own.card.agent),
      asset: toHex(asset),
      vaults: manifest.vaults,
      backend: manifest.backend.kind,
      ...(model && { model }),
      ...(search && { search }),
      perCall: String(manifest.price.perCall),
      manifestHash: toHex(manifestHash(manifest)),
    };
  }

  #unknown(agent: string): SaharaError {
    return new SaharaError('agent-unknown', { agent, nearest: nearestNames(agent, this.#running.keys()) });
  }

  #pathOf(name: string): string {
    return join(this.#parts.home.agents, `${agentFileName(name)}.yaml`);
  }

  async #save(name: string, text: string): Promise<void> {
    const path = this.#pathOf(name);
    await writeFile(`${path}.part`, text, { mode: 0o600, flush: true });
    await rename(`${path}.part`, path);
  }
}

/** Who is known here: by what was counted, or by a channel to this operator. */
function welcome({ standing, ledger, wallet }: Core): Pick<HostParts, 'standing' | 'hasChannel'> {
  return { standing, hasChannel: (caller) => channelOpen(ledger, wallet.publicKey, caller) };
}

const FREE = { perCall: 0n, perInputUnit: 0n, perOutputUnit: 0n };
const SKILLS_ADVERTISED = 8;
