import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SaharaError } from '../../src/base/errors.ts';
import { AGENT_VERSIONS_MAX, createAgentVersions } from '../../src/daemon/agent-versions.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'versions-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('versions of an agent', () => {
  it('AGENT-1: are numbered, newest first, and the same again is none', async () => {
    const versions = createAgentVersions(folder);
    expect(await versions.list('notes')).toEqual([]);
    expect(await versions.keep('notes', 'name: notes\n')).toBe(1);
    expect(await versions.keep('notes', 'name: notes\n')).toBe(1);
    expect(await versions.keep('notes', 'name: notes\ndescription: more\n')).toBe(2);
    // Not the newest: it is hosted again.
    expect(await versions.keep('notes', 'name: notes\n')).toBe(3);
    const again = createAgentVersions(folder);
    expect((await again.list('notes')).map(({ number, manifest }) => [number, manifest])).toEqual([
      [3, 'name: notes\n'],
      [2, 'name: notes\ndescription: more\n'],
      [1, 'name: notes\n'],
    ]);
    expect(await again.list('other')).toEqual([]);
  });

  it('AGENT-1: go when there are too many, the oldest first', async () => {
    const versions = createAgentVersions(folder);
    for (let i = 1; i <= AGENT_VERSIONS_MAX + 3; i++) await versions.keep('notes', `version ${i}`);
    const kept = await versions.list('notes');
    expect(kept.map(({ number }) => number)).toEqual(
      Array.from({ length: AGENT_VERSIONS_MAX }, (_, i) => AGENT_VERSIONS_MAX + 3 - i),
    );
    const refusal = await versions.read('notes', 3).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(SaharaError);
    expect(String(refusal)).toContain(`there are 4 to ${AGENT_VERSIONS_MAX + 3}`);
    expect((await versions.read('notes', 4)).manifest).toBe('version 4');
  });

  it('stay in the folder, whatever the agent is called', async () => {
    await createAgentVersions(folder).keep('../../etc', 'name: bad\n');
    expect(await readdir(folder)).toHaveLength(1);
  });
});
