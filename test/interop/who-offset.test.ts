import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { encodeDeltaLeader, encodePaxosLeader } from '../../src/format/leader.ts';
import { deltaRecord, paxosRecord } from '../../src/lease/testing/records.ts';

const HOLDFAST = join(process.env['HOLDFAST_ROOT'] ?? '.', 'bin/holdfast');
const OWNED = { ownerId: 1n, ownerGeneration: 3n, writeId: 1n, timestampS: 90n, lver: 7n };

function who(...words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(HOLDFAST, ['who', ...words], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

test('a lease by its place, its lockspace in a file beside it, and damage with its cure', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-who-'));
  try {
    const ids = new Uint8Array(MIB);
    for (let hostId = 1; hostId <= 3; hostId++) {
      const host = { ownerId: BigInt(hostId), ownerGeneration: 3n, hostName: `node-${hostId}` };
      encodeDeltaLeader(deltaRecord({ ...host, timestampS: 100n }), ids, (hostId - 1) * 512);
    }
    writeFileSync(join(folder, 'ids'), ids);
    const leases = new Uint8Array(4 * MIB);
    encodePaxosLeader(paxosRecord(OWNED), leases, 2 * MIB);
    leases[2 * MIB + (1 + 3) * 512] = 7; // the block of host 3
    const path = join(folder, 'leases');
    writeFileSync(path, leases);

    const { status, stdout, stderr } = who('--path', path, '--offset', '2M', '--now');
    assert.equal(status, 1, stderr);
    assert.match(stdout, /^exclusive: node-1 \(host id 1, generation 3\) is a member/m);
    const repair = `holdfast repair LS:RA:${path}:${2 * MIB} --lockspace ${join(folder, 'ids')}:0`;
    assert.ok(stdout.includes(`"${repair}" empties it`), stdout);
    const told = JSON.parse(
      who('--path', path, '--offset', `${2 * MIB}`, '--now', '--json').stdout,
    );
    const [lease] = told.leases;
    assert.deepEqual(
      [told.schema, lease.lockspace, lease.resource, lease.mode, lease.holders[0].hostName],
      ['holdfast.who/1', 'LS', 'RA', 'exclusive', 'node-1'],
    );
    assert.deepEqual(
      lease.damagedBlocks.map((block: { readonly hostId: number }) => block.hostId),
      [3],
    );
    const nothing = who('--path', path, '--offset', '1M', '--now');
    assert.equal(nothing.status, 2);
    assert.match(nothing.stderr, /leases:1048576 there is no lease/);
    for (const words of [['--offset', '2M'], ['--path', path, '--offset', '2X'], []]) {
      assert.equal(who(...words).status, 2, words.join(' '));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
