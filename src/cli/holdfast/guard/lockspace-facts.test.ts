import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasControl } from '../../../base/plain-text.ts';
import { MIB } from '../../../base/units.ts';
import { type DeltaLeader, encodeDeltaLeader } from '../../../format/leader.ts';
import { deltaRecord } from '../../../lease/testing/records.ts';
import { PathProbe } from '../../../platform/path-probe.ts';
import { seeHostLease } from './lockspace-facts.ts';

const SPACE = '__LIBVIRT__DISKS__';

/** A lockspace of two hosts, in which something happens after some looks at host 2. */
async function seen(
  hosts: readonly Partial<DeltaLeader>[],
  onLook: (look: number) => Partial<DeltaLeader>,
) {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-lockspace-'));
  const path = join(dir, SPACE);
  const bytes = new Uint8Array(MIB);
  const put = (hostId: number, fields: Partial<DeltaLeader>) => {
    const own = { maxHosts: 1n, ownerId: BigInt(hostId), ownerGeneration: 3n, ioTimeoutS: 2 };
    const record = deltaRecord({ ...own, spaceName: SPACE, ...fields });
    encodeDeltaLeader(record, bytes, (hostId - 1) * 512);
    writeFileSync(path, bytes);
  };
  try {
    for (const [index, fields] of hosts.entries()) put(index + 1, fields);
    let looks = 0;
    const sleep = async () => put(2, { ...hosts[1], ...onLook(++looks) });
    const progress = (text: string) => assert.equal(hasControl(text.trimEnd()), false, text);
    const world = { probe: new PathProbe(), sleep, progress };
    return await seeHostLease(world, { path, hostId: 2, ownName: 'alpha' });
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const ONE = { hostName: 'one', timestampS: 5n };
const BETA = { hostName: 'beta', timestampS: 900n };

test('a host id that another host renews', async () => {
  const lease = await seen([ONE, BETA], (look) => (look < 3 ? {} : { timestampS: 904n }));
  assert.deepEqual(lease, { hostName: 'beta', isRenewed: true, watchedS: 3 });
});

test('a name of the disk reaches no terminal as it is', async () => {
  const lease = await seen([ONE, { ...BETA, hostName: '\u001b[2Jbeta' }], () => ({}));
  assert.equal(lease?.hostName, '\u001b[2Jbeta');
});

test('one that its host leaves meanwhile, or does not renew', async () => {
  const left = await seen([ONE, BETA], () => ({ timestampS: 0n }));
  assert.deepEqual(left, { hostName: 'beta', isRenewed: false, watchedS: 1 });
  const silent = await seen([ONE, BETA], () => ({}));
  assert.deepEqual(silent, { hostName: 'beta', isRenewed: false, watchedS: 7 });
});

test('one of this host itself, or of nobody, is not watched', async () => {
  const own = { hostName: '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10.alpha', timestampS: 7n };
  const never = () => assert.fail('it is watched');
  const lease = await seen([ONE, own], never);
  assert.deepEqual(lease, { hostName: own.hostName, isRenewed: null, watchedS: 0 });
  assert.equal(await seen([ONE, { ...BETA, timestampS: 0n }], never), null);
});

test('a file that is no lockspace says nothing', async () => {
  const probe = new PathProbe();
  const world = { probe, sleep: async () => {}, progress: () => {} };
  for (const path of ['/dev/null', '/nowhere']) {
    assert.equal(await seeHostLease(world, { path, hostId: 1, ownName: 'a' }), null);
  }
});
