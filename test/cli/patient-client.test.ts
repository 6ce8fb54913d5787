import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createPatientClient } from '../../src/cli/patient-client.ts';
import { claimHome, homeOf } from '../../src/daemon/home.ts';

const folder = mkdtempSync(join(tmpdir(), 'sahara-patient-'));
const home = homeOf({ SAHARA_HOME: folder });
const PATIENCE = { waitMs: 300, everyMs: 10 };
const LONG = { waitMs: 60_000, everyMs: 10 };
afterAll(() => rmSync(folder, { recursive: true }));

describe('a daemon that does not answer', () => {
  it('is not waited for when nobody holds the home', async () => {
    const client = createPatientClient(home, systemClock, LONG);
    await expect(client.call('stop', {})).rejects.toMatchObject({ code: 'daemon-not-running' });
  });

  it('is not waited for when the process that held the home is gone, or held it long ago', async () => {
    const gone = spawn(process.execPath, ['-e', '']);
    await once(gone, 'exit');
    const client = createPatientClient(home, systemClock, LONG);
    for (const state of [
      { pid: gone.pid, startedAtMs: Date.now() },
      { pid: process.pid, startedAtMs: 1 },
    ]) {
      writeFileSync(home.state, JSON.stringify(state));
      const failure = { code: 'daemon-not-running', facts: { reason: 'ENOENT' } };
      await expect(client.call('stop', {})).rejects.toMatchObject(failure);
    }
  });

  describe('while its process holds the home', () => {
    beforeAll(() => claimHome(home, Date.now()));

    it('is said to be starting in the end', async () => {
      const client = createPatientClient(home, systemClock, PATIENCE);
      const failure = { code: 'daemon-not-running', facts: { reason: 'starting', pid: process.pid } };
      await expect(client.call('stop', {})).rejects.toMatchObject(failure);
      const input = { agent: 'guide', question: 'What is a voucher?' };
      await expect(client.stream('ask', input)[Symbol.asyncIterator]().next()).rejects.toMatchObject(failure);
    });

    it('keeps a command waiting that has nothing else to do', async () => {
      const code = `
        import { wakefulClock } from '${new URL('../../src/base/clock.ts', import.meta.url).href}';
        import { createPatientClient } from '${new URL('../../src/cli/patient-client.ts', import.meta.url).href}';
        import { homeOf } from '${new URL('../../src/daemon/home.ts', import.meta.url).href}';
        const home = homeOf({ SAHARA_HOME: process.env.SAHARA_HOME });
        const client = createPatientClient(home, wakefulClock, { waitMs: 300, everyMs: 10 });
        client.call('stop', {}).catch((error) => console.log(error.facts.reason));`;
      const environment = { ...process.env, SAHARA_HOME: folder };
      const child = spawn(process.execPath, ['--input-type=module', '-e', code], { env: environment });
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      await once(child, 'close');
      expect(said.trim()).toBe('starting');
    });

    it('is asked once it answers', async () => {
      const waiting = createPatientClient(home, systemClock, LONG).call('stop', {});
      await new Promise((resolve) => setTimeout(resolve, 50));
      const server = createServer((_request, response) => response.end('{}')).listen(home.socket);
      expect(await waiting).toEqual({});
      server.close();
    });
  });
});

describe('an answer that comes line by line', () => {
  it('is cancelled, not lost, when its reader stops it', async () => {
    const path = join(folder, 'stream.sock');
    const server = createServer((_request, response) => {
      response.write('{"type":"call","callId":"00"}\n');
    }).listen(path);
    await once(server, 'listening');
    const stopping = new AbortController();
    const input = { agent: 'guide', question: 'What is a voucher?' };
    const read = async (): Promise<void> => {
      const client = createPatientClient({ ...home, socket: path }, systemClock, PATIENCE);
      for await (const _event of client.stream('ask', input, { signal: stopping.signal })) stopping.abort();
    };
    await expect(read()).rejects.toMatchObject({ code: 'cancelled' });
    server.closeAllConnections();
    server.close();
  });
});
