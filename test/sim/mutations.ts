/**
 * Planted defects: each puts one fault into a part of an otherwise honest party, by a patch from outside. The story
 * then has to fail, or the invariants would prove nothing.
 */
import type { PayeeLease, PayeePort } from '../../src/agent/ports.ts';
import { concat, utf8 } from '../../src/base/bytes.ts';
import { ACCOUNTS, stateKey } from '../../src/ledger/records.ts';
import type { CallStream } from '../../src/mesh/interface.ts';
import type { PayeeBook } from '../../src/payment/payee-book.ts';
import { CALL_FRAME } from '../../src/protocol/call.ts';
import { voucher } from '../../src/protocol/payment.ts';
import type { Party } from './party.ts';
import type { Mutation } from './plan.ts';
import { overlay } from './stakes.ts';
import { watchStream } from './watched.ts';
import type { World } from './world.ts';

/** Plants the mutation of the story's options. A forgetful disk is planted when the disks are made. */
export function plantMutation(world: World): void {
  const { mutation } = world.options;
  if (mutation) PLANTS[mutation](world);
}

const PLANTS: Readonly<Record<Mutation, (world: World) => void>> = {
  'double-charge': (world) => {
    for (const party of hosts(world)) party.temper.payee = (book) => doubleCharging(book, world);
  },
  overcharge: (world) => {
    for (const party of hosts(world)) party.temper.payee = overcharging;
  },
  'forgetful-disk': () => {},
  'one-lane': (world) => {
    for (const party of hosts(world)) party.temper.lane = 1;
  },
  'eternal-adverts': (world) => {
    for (const party of world.parties) {
      // Without time nothing ever expires.
      party.temper.directoryClock = (clock) => ({ ...clock, monotonicMs: () => 0 });
    }
  },
  'generous-vouchers': (world) => {
    for (const party of world.parties) {
      party.temper.payingSigner = (signer) => ({
        publicKey: signer.publicKey,
        sign(type, payload) {
          if (type !== 'voucher') return signer.sign(type, payload);
          const terms = voucher.decode(payload);
          return signer.sign(type, voucher.encode({ ...terms, ceiling: 2n * terms.ceiling }));
        },
      });
    }
  },
  'endless-calls': (world) => {
    for (const party of world.parties) {
      party.temper.hostStream = withoutEndings;
      // Deadlines that never come.
      party.temper.callerClock = (clock) => ({ ...clock, after: () => () => {} });
    }
  },
  'minted-grain': (world) => {
    world.scheduler.after(10_000, () => {
      const { sequencer } = world;
      const key = stateKey(ACCOUNTS, sequencer.signer.publicKey);
      const at = concat(utf8('ledger/'), Uint8Array.of(0x10), key);
      const [found] = [...sequencer.disk.peek(at)];
      if (!found) return;
      const account = ACCOUNTS.schema.decode(found[1]);
      sequencer.disk.tamper(at, ACCOUNTS.schema.encode({ ...account, balance: account.balance + 1n }));
    });
  },
};

function hosts(world: World): readonly Party[] {
  return world.parties.filter(({ agents }) => agents.length > 0);
}

/** A book that counts every call twice. */
function doubleCharging(book: PayeeBook, world: World): PayeePort {
  return wrapped(book, async (request, lease) => ({
    ...bound(lease),
    async commit(draft, agent) {
      const ending = await lease.commit(draft, agent);
      const again = { ...request, callId: world.net.random.bytes(16), amountMax: draft.amount };
      await book.admit(again).then(
        (second) => second.commit(draft, agent),
        () => {},
      );
      return ending;
    },
  }));
}

/** A book that adds a grain where there is room for it. */
function overcharging(book: PayeeBook): PayeePort {
  return wrapped(book, async ({ amountMax }, lease) => ({
    ...bound(lease),
    commit(draft, agent) {
      const [first, ...rest] = draft.shares;
      if (!first || draft.amount >= amountMax) return lease.commit(draft, agent);
      const shares = [{ ...first, amount: first.amount + 1n }, ...rest];
      return lease.commit({ ...draft, amount: draft.amount + 1n, shares }, agent);
    },
  }));
}

type Request = Parameters<PayeePort['admit']>[0];

/** `book` with other leases. */
export function wrapped(
  book: PayeeBook,
  lease: (request: Request, lease: PayeeLease) => Promise<PayeeLease>,
): PayeePort {
  return overlay<PayeePort>(book, {
    admit: async (request) => lease(request, await book.admit(request)),
  });
}

/** The members of a lease, still its own. */
export function bound(lease: PayeeLease): PayeeLease {
  return {
    channel: lease.channel,
    lane: lease.lane,
    durable: () => lease.durable(),
    extend: (more) => lease.extend(more),
    commit: (draft, agent) => lease.commit(draft, agent),
    release: () => lease.release(),
  };
}

/** A host's stream on which no call ever comes to its end. */
function withoutEndings(stream: CallStream): CallStream {
  const silent = watchStream(stream, {
    sending: (frame) => (frame.kind === CALL_FRAME.ending ? undefined : frame),
    received: () => {},
  });
  return { ...silent, peerId: stream.peerId, signal: stream.signal, end: () => {}, fail: () => {} };
}
