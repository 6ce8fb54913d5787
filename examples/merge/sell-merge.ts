/**
 * Registers a merge with its shares on a network of two, sells a licence for it, and shows that the money reaches the
 * makers of its parents. Called by `merge.ts`.
 */
import { ok, strictEqual } from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createPeers, type Peer } from '../../scripts/peers.ts';
import { formatAmount } from '../../src/base/amount.ts';

const LOCAL = ['--mesh-host', '127.0.0.1', '--mesh-mdns', 'false', '--mesh-dht', 'false'];
const PRICE = 1_000_000_000n;
const PPM = 1_000_000n;

/** What is sold: the folder of a merge, that of its models, and the shares by model, parts per million. */
export interface MergeForSale {
  readonly directory: string;
  readonly merge: string;
  /** Names of the models that went into it, the base among them. */
  readonly models: readonly string[];
  readonly shares: Readonly<Record<string, number>>;
}

/** Registers, sells and collects. Throws when a grain does not arrive where it should. */
export async function sellMerge({ directory, merge, models, shares }: MergeForSale): Promise<void> {
  const peers = await createPeers();
  try {
    const [maker, lawyer] = [await peers.add('maker'), await peers.add('lawyer')];
    const { addresses } = await maker.start(...LOCAL);
    await lawyer.start(...LOCAL, '--bootstrap', addresses[0] ?? '');
    const register = async (peer: Peer, name: string): Promise<string> => {
      const { asset } = await sahara(peer, 'asset', 'register', join(directory, name), '--kind', 'model');
      return String(asset);
    };
    const law = await register(lawyer, 'law');
    const medicine = await register(maker, 'medicine');
    await register(maker, 'base');
    await until(maker, 'licence', 'show', law);

    const terms = join(directory, 'terms.json');
    await writeFile(terms, JSON.stringify({ preset: 'open', grant: { price: '1' } }));
    // Medicine and base are found by their content among the maker's own assets; law belongs to somebody else and is named.
    const places = ['--parents', ...models.map((name) => join(directory, name))];
    const command = ['merge', 'register', join(directory, merge), ...places, '--parent-asset', `law=${law}`];
    const { asset: made } = await sahara(maker, ...command, '--terms', terms);
    const again = await sahara(maker, ...command);
    strictEqual(again.asset, made, 'nothing is registered twice');

    await until(lawyer, 'licence', 'show', String(made));
    await sahara(lawyer, 'licence', 'buy', String(made));
    await sahara(maker, 'collect', String(made), '--path');
    for (const [name, id] of Object.entries({ law, medicine })) {
      const due = (PRICE * BigInt(shares[name] ?? 0)) / PPM;
      const { received } = await sahara(maker, 'lineage', id);
      strictEqual(received, String(due), `${name} receives its share`);
      console.log(
        `of ${formatAmount(PRICE)} for a licence to ${merge}, ${name} received ${formatAmount(due)}`,
      );
    }
  } finally {
    await peers.clear();
  }
}

async function sahara(peer: Peer, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr, code } = await peer.sahara([...args, '--json']);
  strictEqual(code, 0, `sahara ${args.join(' ')}: ${stderr}${stdout}`);
  return JSON.parse(stdout);
}

const TRIES_MAX = 100;

/** Waits until a peer has seen what another one sent. */
async function until(peer: Peer, ...args: readonly string[]): Promise<void> {
  for (let i = 0; i < TRIES_MAX; i++) if ((await peer.sahara(args)).code === 0) return;
  ok(false, `${peer.name} has not seen it: sahara ${args.join(' ')}`);
}
