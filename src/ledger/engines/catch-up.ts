/** Taking blocks that the network's sequencer signed: from news, and by asking for what was missed. */
import { equalBytes } from '../../base/bytes.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { point } from '../../base/points.ts';
import { block, headerHash } from '../../protocol/block.ts';
import { shortHex } from '../../protocol/ids.ts';
import { BlockFault, openHeader, replayBlock } from '../blocks.ts';
import { PEERS_ASKED_MAX } from '../limits.ts';
import type { BlockNews, LedgerNetwork, Verdict } from '../network.ts';
import type { EngineCore } from './core.ts';

/** Follows the network's blocks. */
export class CatchUp {
  readonly #core: EngineCore;
  readonly #network: LedgerNetwork;
  #asking: Promise<void> | undefined;
  #again = false;

  constructor(core: EngineCore, network: LedgerNetwork) {
    this.#core = core;
    this.#network = network;
  }

  /** Judges news of a block by its header alone, and follows up on what is new. */
  async hear(news: BlockNews): Promise<Verdict> {
    try {
      const header = await openHeader(this.#core.parts, news.header);
      if (header === undefined) return 'reject';
      const { height } = this.#core.parts.chain.head();
      if (header.height <= height) {
        await this.#compare(header.height, news.header.payload);
        return 'ignore';
      }
      if (news.block !== undefined && header.height === height + 1) {
        void this.#take(news.block).catch((error) => this.#note(error));
      } else {
        this.ask();
      }
      return 'accept';
    } catch (error) {
      return asSaharaError(error).code === 'malformed' ? 'reject' : 'ignore';
    }
  }

  /** Asks peers for what follows the head, until nobody has more. */
  ask(): void {
    this.#again = true;
    this.#asking ??= this.#run().finally(() => {
      this.#asking = undefined;
    });
  }

  /** Resolves when no question is open. */
  async idle(): Promise<void> {
    await this.#asking;
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (this.#again && this.#core.running && failures < PEERS_ASKED_MAX) {
      this.#again = false;
      try {
        const from = this.#core.parts.chain.head().height + 1;
        const blocks = await this.#network.fetchBlocks(from, { signal: this.#core.stopping.signal });
        for (const wire of blocks) await this.#take(wire);
        this.#again ||= blocks.length > 0 && this.#core.parts.chain.head().height >= from;
      } catch (error) {
        this.#note(error);
        failures++;
        this.#again = true;
      }
    }
  }

  /** Executes and writes one block if it follows the head. Throws when it is not the sequencer's. */
  async #take(wire: Uint8Array): Promise<void> {
    const content = block.decode(wire);
    const header = await openHeader(this.#core.parts, content.header);
    if (header === undefined)
      throw new SaharaError('block-invalid', { reason: 'the sequencer did not sign it' });
    await this.#core.exclusive(async () => {
      if (!this.#core.running) return;
      const { height } = this.#core.parts.chain.head();
      if (header.height <= height) return this.#compare(header.height, content.header.payload);
      if (header.height > height + 1) return this.ask();
      try {
        const executed = await replayBlock(this.#core.parts, wire, content);
        point('follower:executed');
        await this.#core.commit(executed, 'follower:committed');
      } catch (error) {
        if (!(error instanceof BlockFault)) throw error;
        await this.#refuse(error, content.header.payload, wire);
      }
    });
  }

  /** The header is the sequencer's. If the body is not the header's, the peer altered it; otherwise the sequencer erred. */
  async #refuse(fault: BlockFault, payload: Uint8Array, wire: Uint8Array): Promise<void> {
    if (fault.blame === 'carrier') {
      throw new SaharaError('block-invalid', {
        height: fault.height,
        reason: fault.reason,
        sizeBytes: wire.length,
      });
    }
    const hash = headerHash(this.#core.parts.suite, payload);
    const standing = `the sequencer signed it; blocks up to ${fault.height - 1} stand, and none is taken any more`;
    this.#core.halt(`block ${fault.height} (${shortHex(hash)}): ${fault.reason}; ${standing}`);
  }

  /** Two different headers of one height, both signed, are proof of a sequencer that says two things. */
  async #compare(height: number, payload: Uint8Array): Promise<void> {
    const stored = await this.#core.parts.chain.header(height);
    if (stored === undefined || equalBytes(stored.payload, payload)) return;
    this.#core.halt(`the sequencer signed two different blocks of height ${height}`);
  }

  #note(error: unknown): void {
    const { code, facts } = asSaharaError(error);
    if (this.#core.running) this.#core.parts.log.debug('block not taken', { code, ...facts });
  }
}
