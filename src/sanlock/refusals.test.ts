import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { encode, zeroRecord } from '../codec/struct.ts';
import type { HostRecord } from '../lease-process/messages.ts';
import { RES_FLAGS, SM_CMD, sanlkOptions } from '../wire/sanlock/socket.ts';
import type { Client } from './state.ts';
import { Harness, lockspace, resource } from './testing/harness.ts';

const HOST2: HostRecord = {
  hostId: 2,
  ownerId: 2,
  generation: 3n,
  timestampS: 90n,
  ioTimeoutS: 10,
  hostName: 'node7',
  firstCheckS: 100,
  lastLiveS: 95,
};

function joined(): Harness {
  const harness = new Harness();
  harness.join(10);
  harness.leaseSends(1, {
    kind: 'hosts',
    sentS: 100,
    checkedS: 100,
    changed: [HOST2],
    signals: [],
  });
  harness.logged = [];
  return harness;
}

function acquire(harness: Harness, client: Client, shared = false): void {
  const options = encode(sanlkOptions, { ...zeroRecord(sanlkOptions), ownerName: 'guest' });
  const wanted = resource(1, { flags: shared ? RES_FLAGS.SHARED : 0 });
  harness.ask(client, SM_CMD.ACQUIRE, concatBytes([wanted, options]), { data: 1 });
}

test('a refused acquire names the host that has the lease, its version and when it renewed', () => {
  const harness = joined();
  acquire(harness, harness.connect(501));
  const facts = { owner: 2n, generation: 3n, lver: 7n };
  harness.refused(1, { code: 'ACQUIRE_IDLIVE', during: 'owner watch', facts });
  assert.deepEqual(harness.logged, [
    'warn lease.refused lockspace=LS resource=R1 path=/dev/lun offset=1048576 hostId=1 pid=501 ' +
      'clientName=guest mode=exclusive result=-243 during=owner watch owner=2 generation=3 lver=7 ' +
      'reason=another host holds it, and is alive ownerName=node7 ageS=5',
  ]);
});

test('a live sharer is named too', () => {
  const harness = joined();
  acquire(harness, harness.connect(501));
  const during = 'acquire, held shared';
  harness.refused(1, { code: 'ERRNO', errno: 11, during, facts: { host: 2 } });
  assert.match(
    harness.logged[0] ?? '',
    / mode=exclusive result=-11 during=acquire, held shared host=2 reason=other hosts share it own/,
  );
});

test('a lease of another name is logged with the name found and the name wanted', () => {
  const harness = joined();
  acquire(harness, harness.connect(501));
  const facts = { found: 'R9', wanted: 'R1' };
  harness.refused(1, { code: 'LEADER_RESOURCE', during: 'leader check', facts });
  assert.match(harness.logged[0] ?? '', / result=-227 during=leader check found=R9 wanted=R1$/);
});

test('a refusal by this host itself names the process that holds the lease here', () => {
  const harness = joined();
  acquire(harness, harness.connect(501));
  harness.granted(1, 1);
  acquire(harness, harness.connect(502));
  assert.deepEqual(harness.logged, [
    'warn lease.refused lockspace=LS resource=R1 path=/dev/lun offset=1048576 hostId=1 pid=502 ' +
      'clientName=guest mode=exclusive result=-17 reason=a process of this host holds it ' +
      'holderPid=501 holderName=guest holderMode=exclusive',
  ]);
});

test('of several sharers of this host one is named, and the others are counted', () => {
  const harness = joined();
  for (const pid of [501, 502, 503]) acquire(harness, harness.connect(pid), true);
  harness.granted(1, 1, true);
  acquire(harness, harness.connect(504));
  assert.match(
    harness.logged[0] ?? '',
    / pid=504 .* mode=exclusive result=-17 .* holderPid=501 .* holderMode=shared moreHolders=2$/,
  );
});

test('a refused release names the lease, of which the lease process knows only the number', () => {
  const harness = joined();
  const client = harness.connect(501);
  acquire(harness, client);
  harness.granted(1, 1);
  harness.ask(client, SM_CMD.RELEASE, resource(1, { bare: true }), { data: 1 });
  assert.deepEqual(harness.runs[0]?.command, { op: 'release', hold: 1, lvb: null, rename: null });
  harness.refused(1, { code: 'AIO_TIMEOUT', during: 'leader release', facts: {} });
  assert.deepEqual(harness.logged, [
    'warn lease.failed lockspace=LS resource=R1 path=/dev/lun offset=1048576 hostId=1 op=release ' +
      'result=-202 during=leader release',
  ]);
});

test('a refused reading of requests names the lease, also after its release', () => {
  const harness = joined();
  const client = harness.connect(501);
  acquire(harness, client);
  harness.granted(1, 1);
  harness.ask(harness.connect(900, false), SM_CMD.EXAMINE_LOCKSPACE, lockspace('LS'));
  harness.ask(client, SM_CMD.RELEASE, resource(1, { bare: true }), { data: 1 });
  const [read, release] = harness.runs.splice(0);
  assert.ok(read !== undefined && release !== undefined);
  harness.runs.push(release, read);
  harness.ran(1, { op: 'release' });
  harness.refused(1, { code: 'AIO_TIMEOUT', during: 'request read', facts: {} });
  assert.deepEqual(harness.logged, [
    'warn lease.failed lockspace=LS resource=R1 path=/dev/lun offset=1048576 hostId=1 ' +
      'op=readRequest result=-202 during=request read',
  ]);
});

test('a failed join logs which host uses the host id, and no lockspace.left', () => {
  const harness = new Harness();
  harness.ask(harness.connect(900, false), SM_CMD.ADD_LOCKSPACE, lockspace('LS'), { data: 10 });
  const facts = { owner: 1n, hostName: 'node7', timestampS: 99n };
  harness.leaseSends(1, {
    kind: 'joinFailed',
    error: { code: 'HOSTID_BUSY', during: 'wait', facts },
  });
  harness.event({ kind: 'leaseEnded', lease: 1 });
  assert.deepEqual(harness.logged, [
    'warn lockspace.notJoined lockspace=LS hostId=1 path=/dev/lun offset=0 result=-262 ' +
      'during=wait owner=1 hostName=node7 timestampS=99',
  ]);
});

test('a failed renewal logs what the disk answered', () => {
  const harness = joined();
  const error = { code: 'ERRNO', errno: 5, during: 'renewal read', facts: {} } as const;
  harness.leaseSends(1, { kind: 'renewalFailed', error, overwritten: false });
  assert.deepEqual(harness.logged, [
    'warn renewal.failed lockspace=LS hostId=1 path=/dev/lun result=-5 during=renewal read ageS=0',
  ]);
});
