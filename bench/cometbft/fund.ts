/** A ledger with many accounts before consensus begins, by the same commit that real blocks take. */
import { u64be, utf8 } from '../../src/base/bytes.ts';
import type { Store } from '../../src/base/store.ts';
import { type Chain, openChain } from '../../src/ledger/chain.ts';
import { NOBODY, unsignedHeader } from '../../src/ledger/engines/comet/execution.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import { State } from '../../src/ledger/state.ts';
import { encodeBlock, type Genesis, headerHash } from '../../src/protocol/block.ts';
import { PROTOCOL_VERSION } from '../../src/protocol/ids.ts';
import { merkleRoot } from '../../src/protocol/merkle.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { payers } from './shared.ts';

const PER_BLOCK = 2_000;
const EACH = 100_000n;

/** Begins the ledger of `genesis` in `store` with as many accounts more, which the first payer pays. */
export async function fund(store: Store, genesis: Genesis, accounts: number): Promise<void> {
  const network = networkNameOf(suite, genesis);
  const chain = await openChain({ suite, store }, genesis);
  for (let from = 0; from < accounts; from += PER_BLOCK)
    await commit(chain, network, { from, count: Math.min(PER_BLOCK, accounts - from) });
}

async function commit(
  chain: Chain,
  network: string,
  { from, count }: { readonly from: number; readonly count: number },
): Promise<void> {
  const [rich] = payers;
  const state = new State(chain.readState);
  const account = rich && state.accounts.get(rich.publicKey);
  if (rich === undefined || account === undefined) throw new Error('nobody has money');
  for (let i = from; i < from + count; i++) {
    const key = suite.sha256(utf8('bench account'), u64be(BigInt(i)));
    state.accounts.set(key, { balance: EACH, nonce: 1, drawn: 0n });
  }
  state.accounts.set(rich.publicKey, { ...account, balance: account.balance - EACH * BigInt(count) });
  const changes = state.changes();
  const update = chain.tree.update(changes);
  const head = chain.head();
  const empty = merkleRoot(suite, []);
  const header = {
    version: PROTOCOL_VERSION,
    network,
    height: head.height + 1,
    previous: head.headerHash,
    transactionsRoot: empty,
    resultsRoot: empty,
    stateRoot: update.root,
    proposer: NOBODY,
    timeMs: head.timeMs + 1,
  };
  const unsigned = unsignedHeader(header);
  const hash = headerHash(suite, unsigned.payload);
  const wire = encodeBlock(unsigned, []);
  await chain.commit({
    header,
    headerHash: hash,
    wire,
    transactions: [],
    results: [],
    state,
    changes,
    update,
  });
}
