import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Finished, type Peer, type Peers } from '../../scripts/peers.ts';
import { askWhole, eventually, LOOPBACK, must, startPair } from './support.ts';

let peers: Peers;
let host: Peer;
let caller: Peer;
let address: string;
beforeAll(async () => {
  peers = await createPeers();
  [host, caller] = [await peers.add('host'), await peers.add('caller')];
  address = await startPair(host, caller);
});
afterAll(() => peers.clear());

/** One clear error: its code, and three sentences at most. */
function expectError({ code, stdout, stderr }: Finished, expected: string, exit: number): void {
  expect(stderr, stdout).toContain(`(${expected})`);
  expect(stderr).not.toMatch(/\bat .*\.(ts|js):\d+/);
  expect(stderr.split('\n').filter((line) => line !== '').length).toBeLessThan(8);
  expect(code).toBe(exit);
}

describe('a start that cannot be', () => {
  it('names the process that has the home', async () => {
    const finished = await host.startToEnd(...LOOPBACK);
    expectError(finished, 'home-in-use', 1);
    const { pid } = await host.client.call('status', {});
    expect(finished.stderr).toContain(String(pid));
  });

  it('names the busy port', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const taken = server.address();
    const port = typeof taken === 'object' && taken !== null ? taken.port : 0;
    const peer = await peers.add('busy');
    const finished = await peer.startToEnd(...LOOPBACK, '--mesh-port', String(port));
    server.close();
    expectError(finished, 'port-busy', 1);
    expect(finished.stderr).toContain(String(port));
  });

  it('says that a file stands where the home should be', async () => {
    const peer = await peers.add('file');
    await writeFile(peer.home.root, 'no folder');
    expectError(await peer.startToEnd(...LOOPBACK), 'home-unreadable', 1);
  });

  it('says that the database is corrupt, and changes nothing', async () => {
    const peer = await peers.add('corrupt');
    await peer.start(...LOOPBACK);
    await peer.stop();
    const files = (await readdir(peer.home.store)).filter((name) => /^(MANIFEST|CURRENT)/.test(name));
    for (const name of files) await writeFile(join(peer.home.store, name), 'damaged');
    expectError(await peer.startToEnd(...LOOPBACK), 'store-corrupt', 1);
  });

  it.each([
    ['mesh:\n  port: many\n', 'line 2', 'mesh.port'],
    ['guide:\n  prise: 1\n', 'line 2', 'guide.price'],
  ])('names line and field of a bad configuration: %j', async (text, line, field) => {
    const peer = await peers.add(`config-${field}`);
    await mkdir(peer.home.root, { recursive: true });
    await writeFile(peer.home.config, text);
    const finished = await peer.startToEnd(...LOOPBACK);
    expectError(finished, 'config-invalid', 2);
    expect(finished.stderr).toContain(line);
    expect(finished.stderr).toContain(field);
  });
});

describe('a command that cannot be', () => {
  it('is told without a daemon', async () => {
    const peer = await peers.add('nobody');
    expectError(await peer.sahara(['status']), 'daemon-not-running', 3);
    expect((await peer.sahara(['frobnicate'])).code).toBe(2);
    expect((await peer.sahara(['ask'])).code).toBe(2);
    expectError(await peer.sahara(['verify', 'nothing.bundle']), 'file-missing', 1);
    const json = await peer.sahara(['status', '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ error: { code: 'daemon-not-running' } });
  });

  it('offers the nearest names for an unknown agent or vault', async () => {
    const agent = await caller.sahara(['ask', 'giude', 'What is a voucher?']);
    expectError(agent, 'agent-unknown', 1);
    expect(agent.stderr).toContain('guide');
    const vault = await host.sahara(['vault', 'search', 'giude', 'voucher']);
    expectError(vault, 'vault-unknown', 1);
    expect(vault.stderr).toContain('guide');
  });

  it('says what a peer, a DID and a block look like, before anything else is said', async () => {
    const peer = await caller.sahara(['watchtower', 'use', 'nobody']);
    expectError(peer, 'usage', 2);
    expect(peer.stderr).toContain('"nobody" is no peer: say an address such as /ip4/');
    const paid = await caller.sahara(['pay', 'did:key:zzz', '5']);
    expectError(paid, 'usage', 2);
    expect(paid.stderr).toContain('"did:key:zzz" is not a DID such as did:key:z6Mk');
    expect(paid.stderr + paid.stdout).not.toContain('Paying');
    const { did } = await caller.client.call('status', {});
    const rotated = await caller.sahara(['identity', 'rotate']);
    expectError(rotated, 'usage', 2);
    expect(rotated.stderr).toContain(`Nobody has registered ${did} on the ledger`);
    expect(rotated.stderr).toContain('sahara identity init');
    expect(rotated.stderr).not.toContain('--help');
    const block = await host.sahara(['ledger', 'block', '99999']);
    expectError(block, 'usage', 2);
    const { height } = await host.client.call('ledger.status', {});
    expect(block.stderr).toMatch(new RegExp(`There is no block 99999 here: the latest is ${height}`));
  });

  it('does not spend above --max-price, and opens no channel for it', async () => {
    const finished = await caller.sahara(['ask', 'guide', 'What is a voucher?', '--max-price', '0.001']);
    expectError(finished, 'price-above-max', 1);
    expect(await caller.client.call('channel.list', {})).toEqual([]);
    expectError(await caller.sahara(['ask', 'guide', 'x', '--max-price', 'lots']), 'usage', 2);
    const { did } = await caller.client.call('status', {});
    expectError(await caller.sahara(['channel', 'open', did]), 'channel-to-self', 1);
  });

  it('refuses what is no document, and takes the rest', async () => {
    const folder = join(host.home.root, 'documents');
    await mkdir(folder);
    await writeFile(
      join(folder, 'good.md'),
      '# Camels\n\nA camel drinks one hundred litres of water in ten minutes.\n',
    );
    await writeFile(
      join(folder, 'binary.bin'),
      Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 37) % 256)),
    );
    await writeFile(join(folder, 'huge.txt'), Buffer.alloc(70_000_000, 'sand '));
    await writeFile(join(folder, 'broken.pdf'), '%PDF-1.7 and nothing else');
    await must(host, 'vault', 'create', 'camels');
    expectError(
      await host.sahara(['agent', 'add', '--name', 'camels', '--vault', 'camels']),
      'vault-empty',
      1,
    );
    const lines = (await must(host, 'vault', 'add', 'camels', folder, '--json')).trim().split('\n');
    const events = lines.map(
      (line) => JSON.parse(line) as { type: string; name: string; refusal?: { code: string } },
    );
    const codes = Object.fromEntries(
      events.flatMap(({ name, refusal }) => (refusal ? [[name, refusal.code]] : [])),
    );
    expect(Object.keys(codes)).toHaveLength(3);
    expect(codes['documents/binary.bin']).toBe('document-unsupported');
    expect(codes['documents/huge.txt']).toBe('document-too-large');
    expect(events.at(-1)).toMatchObject({ type: 'total', documents: 1 });
    const none = await host.sahara(['vault', 'add', 'camels', join(folder, 'broken.pdf')]);
    expectError(none, 'document-unreadable', 1);
    expect(none.stderr).toMatch(/skipped.*broken\.pdf/);
    expect(none.stderr).toContain('It was not imported, for the reason above.');
    expectError(await host.sahara(['vault', 'add', 'camels', '/nowhere']), 'file-missing', 1);
    expectError(await host.sahara(['vault', 'create', 'camels']), 'vault-exists', 1);
    expectError(await host.sahara(['vault', 'create', '../up']), 'usage', 2);
  });

  it('names line and field of a bad manifest', async () => {
    const file = join(host.home.root, 'agent.yaml');
    await writeFile(file, 'name: camels\nvaults: [camels]\nprice:\n  perCall: cheap\n');
    const finished = await host.sahara(['agent', 'add', file]);
    expectError(finished, 'manifest-invalid', 1);
    expect(finished.stderr).toContain('line 4');
    await must(host, 'agent', 'add', '--name', 'camels', '--vault', 'camels', '--price', '0.5');
    expectError(
      await host.sahara(['agent', 'add', '--name', 'camels', '--vault', 'camels']),
      'agent-exists',
      1,
    );
    expectError(await host.sahara(['vault', 'remove', 'camels']), 'vault-in-use', 1);
  });

  it('says what is missing when there are no funds', async () => {
    const question = 'How much does a camel drink?';
    await eventually('the agent is listed', async () =>
      (await caller.client.call('agents', {})).find(({ name }) => name === 'camels'),
    );
    await must(caller, 'channel', 'open', 'guide', '--deposit', '99.9');
    const finished = await caller.sahara(['ask', 'camels', question, '--max-price', '1']);
    // The channel to this operator already holds enough, so the answer comes out of it.
    expect(finished.code, finished.stderr).toBe(0);
    expectError(await caller.sahara(['channel', 'open', 'guide', '--deposit', '5']), 'funds-insufficient', 1);
  });
});

describe('garbage', () => {
  it('on the mesh port or the admin socket changes nothing', async () => {
    const port = Number(/\/tcp\/(\d+)/.exec(address)?.[1]);
    const targets = [{ port, host: '127.0.0.1' }, { path: host.home.socket }];
    for (const target of targets) {
      for (const bytes of [
        Buffer.alloc(100_000, 0xff),
        Buffer.from('GET / HTTP/1.1\r\n\r\n'),
        Buffer.from([0, 1, 2]),
      ]) {
        const socket = connect(target);
        socket.on('error', () => {});
        socket.end(bytes);
        await Promise.race([
          new Promise((resolve) => socket.once('close', resolve)),
          new Promise((resolve) => setTimeout(resolve, 2_000)),
        ]);
        socket.destroy();
      }
    }
    const { end } = await askWhole(caller, { agent: 'guide', question: 'What is a voucher?' });
    expect(end.finish).toBe('done');
  });

  it('in a vault is found by doctor, and the rest goes on', async () => {
    await must(host, 'agent', 'remove', 'camels');
    await host.stop();
    for (const name of await readdir(join(host.home.vaults, 'camels'))) {
      if (/^(MANIFEST|CURRENT)/.test(name))
        await writeFile(join(host.home.vaults, 'camels', name), 'damaged');
    }
    await host.start(...LOOPBACK);
    const { code, stdout } = await host.sahara(['doctor']);
    expect(code).toBe(1);
    expect(stdout).toContain('camels');
    await must(host, 'vault', 'remove', 'camels');
    expect((await host.sahara(['doctor'])).code).toBe(0);
  });
});

describe('a stop', () => {
  it('is orderly on SIGTERM and leaves no socket behind', async () => {
    const finished = await caller.stop();
    expect(finished?.code).toBe(0);
    expect(finished?.stderr).toContain('Stopped.');
    expectError(await caller.sahara(['status']), 'daemon-not-running', 3);
  });
});
