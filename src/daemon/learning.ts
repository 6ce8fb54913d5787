/**
 * What people gave an agent through chats. Each document has a record under the reference that it was given by, written
 * before its vault is touched: a document is kept once, is found again after a crash, and is never kept anew under a
 * reference that was taken back. Who gave it, and whoever holds its DID, can list and destroy it; nobody else can by a chat.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Store } from '../base/store.ts';
import { documentName } from '../bridges/core/learn-offers.ts';
import type {
  LearnedDocument,
  LearningAgent,
  LearnOrder,
  LearnOutcome,
  LearnPort,
  LearnRefusal,
} from '../bridges/core/ports.ts';
import {
  LEARN_BYTES_MAX,
  LEARNED_BYTES_MAX,
  LEARNED_BYTES_PERSON_MAX,
  LEARNED_DOCUMENTS_MAX,
  LEARNED_DOCUMENTS_PERSON_MAX,
  LEARNED_NAME_CHARACTERS_MAX,
  LEARNED_PEOPLE_MAX,
} from '../bridges/limits.ts';
import { type PublicKey, publicKeyOf } from '../protocol/ids.ts';
import { bytes, oneOf, record, type Schema, text, uint } from '../protocol/schema.ts';
import { sha256 } from '../vault/hash.ts';
import { prepare } from '../vault/import.ts';
import { CONSENT_BYTES_MAX, NAME_BYTES_MAX } from '../vault/limits.ts';
import { forgetName } from '../vault/snapshots.ts';
import type { Vault } from '../vault/vault.ts';
import type { AgentKeeper } from './agents.ts';
import type { Knowledge } from './knowledge.ts';
import { canLearn, LEARNED_LICENCE, learnedVaultName, openLearned } from './learned-vault.ts';
import type { VaultKeeper } from './vaults.ts';

/** What learning works with. */
export interface LearningParts {
  readonly vaults: VaultKeeper;
  readonly provenance: Knowledge['provenance'];
  readonly agents: Pick<AgentKeeper, 'hosted'>;
  /** This part has the store for itself; it is sealed. */
  readonly store: Store;
  readonly clock: Clock;
}

/** What is kept of everybody and of one person. */
export interface LearningOptions {
  /** The agent that learns; empty: none. */
  readonly agent: string;
  /** Documents, people and bytes of everybody. Defaults 4,096, 1,024 and 512 MiB. */
  readonly documentsMax: number;
  readonly peopleMax: number;
  readonly bytesMax: number;
  /** Documents and bytes of one person. Defaults 64 and 16 MiB. */
  readonly personDocumentsMax: number;
  readonly personBytesMax: number;
}

/** Nothing is learned. */
export const LEARNING_DEFAULTS: LearningOptions = {
  agent: '',
  documentsMax: LEARNED_DOCUMENTS_MAX,
  peopleMax: LEARNED_PEOPLE_MAX,
  bytesMax: LEARNED_BYTES_MAX,
  personDocumentsMax: LEARNED_DOCUMENTS_PERSON_MAX,
  personBytesMax: LEARNED_BYTES_PERSON_MAX,
};

/** Knowledge that people give, and the end of it with the daemon. */
export interface Learning extends LearnPort {
  stop(): Promise<void>;
}

/** One document, or what is left of one that was taken back. */
interface LearnRecord {
  readonly version: number;
  readonly reference: Uint8Array;
  readonly giver: string;
  readonly contributor: PublicKey;
  readonly contributorDid: string;
  readonly agent: string;
  readonly name: string;
  /** SHA-256 of the file. */
  readonly hash: Uint8Array;
  readonly sizeBytes: number;
  readonly consent: string;
  readonly state: 'keeping' | 'kept' | 'destroying' | 'gone';
  readonly atMs: number;
}

const learnRecord: Schema<LearnRecord> = record('learned-document', {
  version: uint(255),
  reference: bytes(16),
  giver: text(256),
  contributor: bytes(32),
  contributorDid: text(128),
  agent: text(256),
  name: text(NAME_BYTES_MAX),
  hash: bytes(32),
  sizeBytes: uint(),
  consent: text(CONSENT_BYTES_MAX),
  state: oneOf('keeping', 'kept', 'destroying', 'gone'),
  atMs: uint(),
});

const RECORD_VERSION = 1;
/** How long it is remembered that a reference was taken back, milliseconds: longer than a bridge keeps what it was pressed. */
const GONE_KEPT_MS = 60 * 86_400_000;
/** Records in all, those of documents that were taken back included. */
const RECORDS_MAX = 4 * LEARNED_DOCUMENTS_MAX;

/** Learning over the vaults of a home. */
export function createLearning(parts: LearningParts, options: Partial<LearningOptions> = {}): Learning {
  return new HomeLearning(parts, { ...LEARNING_DEFAULTS, ...options });
}

class HomeLearning implements Learning {
  readonly #parts: LearningParts;
  readonly #options: LearningOptions;
  readonly #records = new Map<string, LearnRecord>();
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #reading: Promise<void> | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: LearningParts, options: LearningOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  open(): Promise<LearningAgent | undefined> {
    return this.#run(async () => {
      const { agent: name } = this.#options;
      if (name === '' || !canLearn(this.#parts.agents.hosted(name).manifest)) return undefined;
      const kept = this.#kept();
      const people = new Set(kept.map(({ contributorDid }) => contributorDid)).size;
      return { name, documents: kept.length, people, sizeBytes: sizeOf(kept) };
    });
  }

  learn(order: LearnOrder): Promise<LearnOutcome> {
    return this.#inTurn(() => this.#learn(order));
  }

  list(owners: readonly string[]): Promise<readonly LearnedDocument[]> {
    return this.#run(async () => this.#of(owners).map(documentOf));
  }

  forget(owners: readonly string[], id: string): Promise<boolean> {
    return this.#run(async () => {
      const found = this.#of(owners).find(({ reference }) => toHex(reference) === id);
      if (found === undefined) return false;
      await this.#destroy(found);
      return true;
    });
  }

  async stop(): Promise<void> {
    this.#closing.abort(new SaharaError('cancelled'));
    await this.#turn.catch(() => undefined);
    await Promise.all(this.#running);
  }

  async #learn(order: LearnOrder): Promise<LearnOutcome> {
    const contributor = publicKeyOf(order.contributor);
    if (contributor === undefined) throw new SaharaError('malformed', { reason: 'a contributor is a DID' });
    if (order.bytes.length > LEARN_BYTES_MAX) {
      throw new SaharaError('document-too-large', {
        sizeBytes: order.bytes.length,
        maxBytes: LEARN_BYTES_MAX,
      });
    }
    const hash = sha256(order.bytes);
    const id = toHex(order.reference);
    // What an attempt before could not bring to its end is neither kept nor gone.
    const begun = this.#records.get(id);
    if (begun?.state === 'keeping' || begun?.state === 'destroying') await this.#settle(begun);
    const known = this.#records.get(id);
    if (known?.state === 'gone') return { type: 'refused', why: 'over' };
    if (known !== undefined) {
      if (equalBytes(known.hash, hash) && equalBytes(known.contributor, contributor))
        return { type: 'kept', document: documentOf(known) };
      throw new SaharaError('malformed', { reason: 'another document has this reference' });
    }
    await this.#dropOld();
    const why = this.#refusal(order, hash);
    if (why !== undefined) return { type: 'refused', why };
    const provenance = { contributor, contribution: undefined, licence: LEARNED_LICENCE };
    const name = this.#freeName(order);
    // Read before anything is written or registered. No consent is stated: of a chat others wrote the most.
    const prepared = await prepare({ name, bytes: order.bytes, provenance });
    this.#closing.signal.throwIfAborted();
    const made: LearnRecord = {
      ...{ version: RECORD_VERSION, reference: order.reference, giver: order.giver, contributor },
      ...{ contributorDid: order.contributor, agent: order.agent, name, hash },
      ...{ sizeBytes: order.bytes.length, consent: order.consent },
      ...{ state: 'keeping', atMs: this.#parts.clock.nowMs() },
    };
    await this.#put(made);
    try {
      const vault = await openLearned(this.#parts.vaults, order.agent);
      const of = { vault: learnedVaultName(order.agent), contributor, licence: LEARNED_LICENCE };
      const earning = await this.#parts.provenance(of, { signal: this.#closing.signal });
      const document = { ...prepared, name: placeOf(made), provenance: earning, consent: order.consent };
      await vault.keep([document]);
      await noted(vault, 'import', order.contributor);
      await this.#put({ ...made, state: 'kept' });
    } catch (error) {
      // Kept or not is one atomic write: what is not in the vault is not kept.
      await this.#settle(made);
      if (this.#records.get(toHex(made.reference))?.state !== 'kept') throw error;
    }
    return { type: 'kept', document: documentOf(made) };
  }

  /** Why a document is not kept; the order is that of BRG-160. */
  #refusal(
    { agent, contributor, giver, bytes: { length } }: LearnOrder,
    hash: Uint8Array,
  ): LearnRefusal | undefined {
    const { documentsMax, peopleMax, bytesMax, personDocumentsMax, personBytesMax } = this.#options;
    // Its agent may not be up yet: a document that was agreed to waits in the vault for it.
    if (agent !== this.#options.agent) return 'off';
    const kept = this.#kept();
    const same = kept.find((one) => one.agent === agent && equalBytes(one.hash, hash));
    if (same !== undefined) return same.contributorDid === contributor ? 'mine' : 'taken';
    // Who has many DIDs is one person.
    const own = kept.filter((one) => one.contributorDid === contributor || one.giver === giver);
    if (own.length >= personDocumentsMax) return 'documents';
    if (sizeOf(own) + length > personBytesMax) return 'bytes';
    const people = new Set(kept.map((one) => one.contributorDid));
    if (!people.has(contributor) && people.size >= peopleMax) return 'people';
    const isFull = kept.length >= documentsMax || sizeOf(kept) + length > bytesMax;
    return isFull || this.#records.size >= RECORDS_MAX ? 'full' : undefined;
  }

  /** A name that none of the person's documents has: a number is put behind it where one does. */
  #freeName({ name: given, contributor, agent }: LearnOrder): string {
    const name = documentName(given);
    const own = this.#kept().filter((one) => one.contributorDid === contributor && one.agent === agent);
    const taken = new Set(own.map((one) => one.name.toLowerCase()));
    const [, stem = name, ending = ''] = /^(.+?)(\.[\p{L}\p{N}]{1,8})?$/u.exec(name) ?? [];
    for (let number = 1; ; number++) {
      const behind = ` ${number}${ending}`;
      const room = LEARNED_NAME_CHARACTERS_MAX - [...behind].length;
      const free = number === 1 ? name : `${[...stem].slice(0, room).join('')}${behind}`;
      if (!taken.has(free.toLowerCase())) return free;
    }
  }

  /** What is in the vault, that whose end has begun included: it has its name and room until it is gone. */
  #kept(): readonly LearnRecord[] {
    return [...this.#records.values()].filter(({ state }) => state === 'kept' || state === 'destroying');
  }

  #of(owners: readonly string[]): readonly LearnRecord[] {
    const isOwned = ({ giver, contributorDid }: LearnRecord): boolean =>
      owners.includes(giver) || owners.includes(contributorDid);
    return this.#kept()
      .filter(isOwned)
      .sort((a, b) => a.atMs - b.atMs);
  }

  /** The vault's document first stands in the record as going, so that what was begun is brought to its end after a crash. */
  async #destroy(one: LearnRecord): Promise<void> {
    await this.#put({ ...one, state: 'destroying' });
    const vault = await this.#vaultOf(one);
    const document = await vault?.document(placeOf(one));
    if (vault !== undefined && document !== undefined) {
      await forgetName(vault, document.id);
      await vault.forget(placeOf(one));
      await noted(vault, 'forget', one.contributorDid);
    }
    const atMs = this.#parts.clock.nowMs();
    await this.#put({ ...one, ...NOTHING, state: 'gone', atMs });
  }

  async #dropOld(): Promise<void> {
    const nowMs = this.#parts.clock.nowMs();
    for (const old of [...this.#records.values()]) {
      if (old.state === 'gone' && old.atMs < nowMs - GONE_KEPT_MS) await this.#drop(old);
    }
  }

  /** Brings to its end what a process left: what was being kept is kept if its vault has it. */
  async #settle(one: LearnRecord): Promise<void> {
    const vault = await this.#vaultOf(one);
    const isThere = (await vault?.document(placeOf(one))) !== undefined;
    if (one.state === 'destroying') await this.#destroy(one);
    else if (isThere) await this.#put({ ...one, state: 'kept' });
    else if (one.state === 'keeping') await this.#drop(one);
    // Its vault was removed, or it in its vault.
    else await this.#destroy(one);
  }

  async #vaultOf({ agent }: LearnRecord): Promise<Vault | undefined> {
    const { vaults } = this.#parts;
    const name = learnedVaultName(agent);
    return (await vaults.names()).includes(name) ? vaults.open(name) : undefined;
  }

  async #read(): Promise<void> {
    for await (const [, value] of this.#parts.store.entries({})) {
      const one = learnRecord.decode(value);
      this.#records.set(toHex(one.reference), one);
    }
    for (const one of [...this.#records.values()]) if (one.state !== 'gone') await this.#settle(one);
  }

  async #put(one: LearnRecord): Promise<void> {
    const value = learnRecord.encode(one);
    await this.#parts.store.batch([{ type: 'put', key: one.reference, value }], { sync: true });
    this.#records.set(toHex(one.reference), one);
  }

  async #drop({ reference }: LearnRecord): Promise<void> {
    await this.#parts.store.batch([{ type: 'del', key: reference }], { sync: true });
    this.#records.delete(toHex(reference));
  }

  /** Runs `work` once the records are read, and has `stop` wait for it. */
  async #run<T>(work: () => Promise<T>): Promise<T> {
    this.#closing.signal.throwIfAborted();
    const run = this.#ready().then(work);
    const done = run.catch(() => undefined);
    this.#running.add(done);
    done.finally(() => this.#running.delete(done));
    return run;
  }

  /** One after the other: what a document's keeping has read of the records still holds when it writes. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#turn.catch(() => undefined).then(() => this.#run(work));
    this.#turn = run;
    return run;
  }

  #ready(): Promise<void> {
    const reading = this.#reading ?? this.#read();
    this.#reading = reading;
    reading.catch(() => {
      this.#reading = undefined;
    });
    return reading;
  }
}

/** What is left of a document that was taken back: nothing but its reference. */
const NOTHING = {
  giver: '',
  contributor: new Uint8Array(32),
  contributorDid: '',
  agent: '',
  name: '',
  hash: new Uint8Array(32),
  sizeBytes: 0,
  consent: '',
} as const;

/** Its name in the vault and in citations, which show its beginning: no two people have the same. */
function placeOf({ contributorDid, name }: LearnRecord): string {
  return `${name} by ${contributorDid}`;
}

function sizeOf(records: readonly LearnRecord[]): number {
  return records.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function documentOf({ reference, contributorDid, ...one }: LearnRecord): LearnedDocument {
  const { name, agent, sizeBytes, atMs, consent } = one;
  return { id: toHex(reference), name, agent, contributor: contributorDid, sizeBytes, atMs, consent };
}

function noted(vault: Vault, action: 'import' | 'forget', about: string): Promise<void> {
  return vault.accesses.add({ who: about, action, purpose: action, count: 1, about });
}
