/** Every group of commands, in the order of `sahara --help`. */
import type { CommandGroup } from './app.ts';
import { adapterCommands } from './commands/adapter.ts';
import { agentCommands } from './commands/agent.ts';
import { agentsCommands } from './commands/agents.ts';
import { askCommands } from './commands/ask.ts';
import { assetCommands } from './commands/asset.ts';
import { auctionCommands } from './commands/auction.ts';
import { auditCommands } from './commands/audit.ts';
import { billCommands } from './commands/bill.ts';
import { bridgeCommands } from './commands/bridge.ts';
import { channelCommands } from './commands/channel.ts';
import { credentialCommands } from './commands/credential.ts';
import { daemonCommands } from './commands/daemon.ts';
import { idCommands } from './commands/id.ts';
import { identityCommands } from './commands/identity.ts';
import { ledgerCommands } from './commands/ledger.ts';
import { licenceCommands } from './commands/licence.ts';
import { mergeCommands } from './commands/merge.ts';
import { modelCommands } from './commands/model.ts';
import { moneyCommands } from './commands/money.ts';
import { networkCommands } from './commands/network.ts';
import { payCommands } from './commands/pay.ts';
import { proofCommands } from './commands/proof.ts';
import { resumeCommands } from './commands/resume.ts';
import { stakeCommands } from './commands/stake.ts';
import { standingCommands } from './commands/standing.ts';
import { statusCommands } from './commands/status.ts';
import { vaultCommands } from './commands/vault.ts';
import { voucherKeyCommands } from './commands/voucher-key.ts';
import { watchtowerCommands } from './commands/watchtower.ts';
import { whosaidCommands } from './commands/whosaid.ts';

/** Adding a group touches its own file and this table. */
export const COMMAND_GROUPS: readonly CommandGroup[] = [
  daemonCommands,
  statusCommands,
  agentsCommands,
  askCommands,
  resumeCommands,
  auctionCommands,
  agentCommands,
  vaultCommands,
  modelCommands,
  bridgeCommands,
  channelCommands,
  watchtowerCommands,
  voucherKeyCommands,
  moneyCommands,
  payCommands,
  stakeCommands,
  assetCommands,
  licenceCommands,
  mergeCommands,
  adapterCommands,
  proofCommands,
  auditCommands,
  whosaidCommands,
  billCommands,
  ledgerCommands,
  networkCommands,
  standingCommands,
  idCommands,
  identityCommands,
  credentialCommands,
];
