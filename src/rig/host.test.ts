import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Host } from './host.ts';
import { ALL_OURS, Rig, rigObstacle } from './rig.ts';

const skip = rigObstacle() ?? false;
const SLEEP_S = '7654';

/** A rig with one host, whose commands take a second to enter it: a busy machine. */
async function withSlowHost(work: (host: Host, rig: Rig) => Promise<void>): Promise<void> {
  const bin = mkdtempSync('/var/tmp/holdfast-slow-');
  const rig = await Rig.create({ hosts: [ALL_OURS], bin });
  try {
    const nsenter = join(bin, 'nsenter');
    writeFileSync(nsenter, '#!/bin/sh\nsleep 1\nexec /usr/bin/nsenter "$@"\n');
    chmodSync(nsenter, 0o755);
    await work(rig.host(1), rig);
  } finally {
    await rig.close();
    rmSync(bin, { recursive: true, force: true });
  }
}

/** Processes that any of the commands below has become. */
function sleepers(): readonly string[] {
  return readdirSync('/proc').filter((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      return readFileSync(`/proc/${entry}/cmdline`, 'latin1').includes(SLEEP_S);
    } catch {
      return false; // ended meanwhile
    }
  });
}

test('a host ends with the commands that have not entered it yet', { skip }, async () => {
  await withSlowHost(async (host, rig) => {
    const ran = host.run('sleep', [SLEEP_S]);
    const spawned = host.spawn('sleep', [SLEEP_S]);
    await rig.close();
    assert.deepEqual(sleepers(), []);
    assert.equal((await ran).code, null);
    assert.equal(spawned.signalCode, 'SIGKILL');
  });
});

test('a crash takes the commands along that have not entered the host yet', { skip }, async () => {
  await withSlowHost(async (host) => {
    const ran = host.run('sleep', [SLEEP_S]);
    host.crash();
    assert.equal((await ran).code, null);
    assert.deepEqual(sleepers(), []);
    const again = await host.run('echo', ['it goes on']);
    assert.equal(again.stdout, 'it goes on\n');
  });
});

test('an ended host runs nothing more, and says so', { skip }, async () => {
  await withSlowHost(async (host, rig) => {
    await rig.close();
    const ran = await host.run('echo', ['?']);
    assert.equal(ran.code, null);
    assert.equal(ran.stderr, 'host-1 has ended and runs nothing more: echo');
    assert.throws(() => host.spawn('echo', ['?']), /^Error: host-1 has ended/);
  });
});
