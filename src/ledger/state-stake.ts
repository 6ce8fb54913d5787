/** The tables of stakes and rewards in a block's view of the state. */
import type { Table } from './records.ts';
import {
  BACKERS,
  type BackersRecord,
  BONDS,
  type BondRecord,
  DELEGATIONS,
  type DelegationRecord,
  EARNINGS,
  type EarningRecord,
  EPOCHS,
  type EpochRecord,
  OFFENCES,
  type OffenceRecord,
} from './records-stake.ts';
import type { TableView } from './state.ts';

/** What the state holds of stakes and rewards. */
export interface StakeTables {
  readonly bonds: TableView<BondRecord>;
  readonly delegations: TableView<DelegationRecord>;
  readonly backers: TableView<BackersRecord>;
  readonly offences: TableView<OffenceRecord>;
  readonly epochs: TableView<EpochRecord>;
  readonly earnings: TableView<EarningRecord>;
}

/** Opens each of them with `view`. */
export function stakeTables(view: <T>(table: Table<T>) => TableView<T>): StakeTables {
  return {
    bonds: view(BONDS),
    delegations: view(DELEGATIONS),
    backers: view(BACKERS),
    offences: view(OFFENCES),
    epochs: view(EPOCHS),
    earnings: view(EARNINGS),
  };
}
