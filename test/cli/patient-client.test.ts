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

    it('is asked once it answers', async () => {
      const waiting = createPatientClient(home, systemClock, LONG).call('stop', {});
      await new Promise((resolve) => setTimeout(resolve, 50));
      const server = createServer((_request, response) => response.end('{}')).listen(home.socket);
      expect(await waiting).toEqual({});
      server.close();
    });
  });
});
