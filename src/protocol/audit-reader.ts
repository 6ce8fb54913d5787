/** Reads the state for an audit: out of what is proved, noting what is not there yet, so that its maker can get it. */
import { equalBytes, toHex } from '../base/bytes.ts';
import { must, refuse } from './evidence.ts';
import { didOf, type Hash, type PublicKey, shortHex } from './ids.ts';
import { royaltyStack, solveLicence } from './licence.ts';
import { AUDIT_LINEAGE_MAX } from './limits.ts';
import { dueToKeepers, dueToOwners, dueToParents } from './revenue.ts';
import { ASSET, IDENTITY, keyOfState, REVENUE, type StateForm, type StateOf } from './state-records.ts';
import type { Suite } from './suite.ts';
import type { RegisterAssetAction } from './transaction.ts';

/** Records of the state at one height, as they were proved. */
export class AuditReader {
  readonly #known: ReadonlyMap<string, Uint8Array | undefined>;
  readonly #read = new Set<string>();
  readonly #missing = new Map<string, Uint8Array>();

  /** `known` by key in hexadecimal; `undefined` for what the state does not hold. */
  constructor(known: ReadonlyMap<string, Uint8Array | undefined>) {
    this.#known = known;
  }

  /** The record, or `undefined` where there is none. One that is not known counts as none, and as missing. */
  read<T>(form: StateForm<T>, id: Uint8Array): T | undefined {
    const key = keyOfState(form, id);
    const name = toHex(key);
    this.#read.add(name);
    if (!this.#known.has(name)) this.#missing.set(name, key);
    const value = this.#known.get(name);
    return value && form.schema.decode(value);
  }

  /** Keys that were read and are not known. */
  missing(): readonly Uint8Array[] {
    return [...this.#missing.values()];
  }

  /** How many records are known that nobody read. */
  spare(): number {
    return [...this.#known.keys()].filter((name) => !this.#read.has(name)).length;
  }
}

/** What an audit is told with. */
export interface AuditContext {
  readonly suite: Suite;
  readonly network: string;
  /** Of the state that is read. */
  readonly height: number;
  readonly reader: AuditReader;
}

/** What a part of an audit found. */
export interface AuditFindings {
  /** What is proved, a sentence each. */
  readonly proven: readonly string[];
  /** What is not, and why. */
  readonly unproven: readonly string[];
}

/** An asset in a lineage. */
export interface AuditedNode {
  readonly id: Hash;
  readonly registrant: PublicKey;
  readonly depth: number;
  readonly definition: RegisterAssetAction;
  readonly revenue: StateOf<typeof REVENUE>;
}

/** The assets of a lineage, and how many ancestors were left out. */
export interface AuditedLineage {
  readonly nodes: ReadonlyMap<string, AuditedNode>;
  /** Assets that were asked for and are not registered. */
  readonly unregistered: readonly Hash[];
  readonly left: number;
}

/** The asset `id` with its money; `undefined` when there is none. */
export function auditedAsset(reader: AuditReader, id: Hash): AuditedNode | undefined {
  const stored = reader.read(ASSET, id);
  if (stored === undefined) return undefined;
  const revenue = reader.read(REVENUE, id);
  const { registrant, depth, definition } = stored;
  if (definition.type !== 'register-asset' || revenue === undefined)
    return refuse(`asset ${shortHex(id)} has no money of its own`);
  return { id, registrant, depth, definition, revenue };
}

/** `from` and all their ancestors, breadth first, up to a limit; each is checked against its parents. */
export function auditedLineage(reader: AuditReader, from: readonly Hash[]): AuditedLineage {
  const nodes = new Map<string, AuditedNode>();
  const unregistered: Hash[] = [];
  const waiting = [...from];
  const left = new Set<string>();
  const seen = new Set<string>();
  for (const id of waiting) {
    const name = toHex(id);
    if (seen.has(name)) continue;
    if (seen.size === AUDIT_LINEAGE_MAX) {
      left.add(name);
      continue;
    }
    seen.add(name);
    const node = auditedAsset(reader, id);
    if (node === undefined) {
      unregistered.push(id);
      continue;
    }
    nodes.set(name, node);
    waiting.push(...node.definition.parents.map(({ asset }) => asset));
  }
  if (reader.missing().length === 0) for (const node of nodes.values()) checkNode(node, nodes);
  return { nodes, unregistered, left: left.size };
}

/** An asset's definition fits its parents', and it gave nobody more than was due. */
function checkNode(node: AuditedNode, nodes: ReadonlyMap<string, AuditedNode>): void {
  const { definition, revenue } = node;
  const what = `asset “${definition.name}”`;
  const parents = definition.parents.map(({ asset }) => nodes.get(toHex(asset)));
  const known = parents.filter((parent) => parent !== undefined);
  const deepest = Math.max(-1, ...known.map(({ depth }) => depth));
  if (known.length === parents.length)
    must(node.depth === deepest + 1, `${what} does not stand below its parents`);
  const asked = definition.parents.map((share, i) => {
    const parent = parents[i];
    const own = parent !== undefined && equalBytes(parent.registrant, node.registrant);
    return { ...share, terms: parent?.definition.terms, own, granted: true, approved: true };
  });
  const [fault] = solveLicence({ terms: definition.terms, parents: asked, height: 0 });
  must(fault === undefined, `a licence does not allow ${what} (${fault?.reason})`);
  const dues: readonly (readonly [readonly bigint[], readonly bigint[]])[] = [
    [revenue.forwarded, dueToParents(revenue.received, definition.parents)],
    [revenue.paid, dueToOwners(revenue.received, definition)],
    [[revenue.bounty], [dueToKeepers(revenue.received, definition)]],
  ];
  for (const [given, due] of dues) {
    must(given.length === due.length, `the money of ${what} does not fit its owners and parents`);
    must(
      given.every((amount, i) => amount <= (due[i] ?? 0n)),
      `${what} gave somebody more than was due`,
    );
  }
}

/** What an asset holds: received, and neither forwarded nor paid out yet. */
export function heldBy({ revenue }: AuditedNode): bigint {
  const gone = [...revenue.forwarded, ...revenue.paid, revenue.bounty];
  return revenue.received - gone.reduce((sum, amount) => sum + amount, 0n);
}

/** Who keeps how much of what an asset receives, recomputed, as words. */
export function royaltyWords(id: Hash, { nodes }: AuditedLineage): string {
  const stack = royaltyStack(id, (one) => {
    const node = nodes.get(toHex(one));
    return node && { parents: node.definition.parents };
  });
  return stack
    .map(
      ({ asset, ppm }) => `${ppm / 10_000} % ${nodes.get(toHex(asset))?.definition.name ?? shortHex(asset)}`,
    )
    .join(', ');
}

/** What the ledger has of a DID's keys, as a sentence. */
export function keyWords({ reader, height }: AuditContext, did: PublicKey): string {
  const held = reader.read(IDENTITY, did);
  const name = didOf(did);
  if (held === undefined) return `${name} never registered its keys: it signs with its own.`;
  const retired = held.retired.map(({ key, retiredAt, until }) => {
    const counts =
      until >= height ? `counts for vouchers and charges up to block ${until}` : 'counts no more';
    return `key ${shortHex(key)} was retired in block ${retiredAt} and ${counts}`;
  });
  const now = equalBytes(held.key, did) ? 'its first key' : `key ${shortHex(held.key)}`;
  const { guardians, threshold } = held.policy;
  const guarded = guardians.length === 0 ? 'no guardians' : `${threshold} of ${guardians.length} guardians`;
  return `${[`${name} signs with ${now}`, ...retired].join('; ')}; ${guarded} can recover it.`;
}

/** Keys that `did` provably has or had: itself, the present one, and retired ones that are on record. */
export function keysOf(reader: AuditReader, did: PublicKey): readonly PublicKey[] {
  const held = reader.read(IDENTITY, did);
  return held === undefined ? [did] : [held.key, ...held.retired.map(({ key }) => key), did];
}
