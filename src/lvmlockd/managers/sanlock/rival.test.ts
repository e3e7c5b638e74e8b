import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode, zeroRecord } from '../../../codec/struct.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import { STATE_TYPES, sanlkState } from '../../../wire/sanlock/socket.ts';
import type { RivalWatch } from '../manager.ts';
import { type HostRecord, hostOnDisk } from './hosts.ts';
import { joinSpace } from './join.ts';
import { formerOwner, watchRival } from './rival.ts';
import { FakeSanlock, SITE } from './testing/fake-sanlock.ts';
import { hostLease } from './testing/host-lease.ts';
import { sanlockTimes } from './times.ts';

const SPACE = { site: SITE, hostId: 2, session: 1, times: sanlockTimes(1) };
const AT = '512 512';

/** Of host id 2. */
const leaseOf = (of: { name: string; timestampS: number; generation?: number }) =>
  hostLease({ hostId: 2, ioTimeoutS: 1, ...of });

/** A sanlock named `here`, and what the disk has of host id 2. */
function fakeWith(of: { name: string; timestampS: number }): FakeSanlock {
  const fake = new FakeSanlock();
  const daemon = { ...zeroRecord(sanlkState), type: STATE_TYPES.DAEMON, name: 'here' };
  fake.script('status', { bytes: encode(sanlkState, daemon) });
  fake.sectors.set(AT, leaseOf(of));
  return fake;
}

function ownerFor(fake: FakeSanlock): HostRecord | null {
  return fake.run(formerOwner(SPACE, fake.run(hostOnDisk(SITE, 2, 100))));
}

function watchOfOther(then: (fake: FakeSanlock, attempt: { isCancelled: boolean }) => void) {
  const fake = fakeWith({ name: 'other', timestampS: 50 });
  const former = ownerFor(fake);
  assert.ok(former !== null);
  const attempt = { isCancelled: false, isAdding: true };
  fake.onSleep = () => then(fake, attempt);
  const found: RivalWatch = fake.run(watchRival(SPACE, former, attempt));
  return { found, sleptMs: fake.sleptMs };
}

test('only a host of another name that has not left is somebody else', () => {
  const owner = (name: string, timestampS: number) =>
    ownerFor(fakeWith({ name, timestampS }))?.name ?? null;
  assert.equal(owner('other', 50), 'other');
  assert.equal(owner('here', 50), null, 'this host, before its restart');
  assert.equal(owner('other', 0), null, 'it has left');
  const silent = fakeWith({ name: 'other', timestampS: 50 });
  silent.script('status', { code: -1, answered: false });
  assert.equal(ownerFor(silent), null);
});

test('it is told after two renewals, by name', () => {
  let timestampS = 50;
  const { found, sleptMs } = watchOfOther((fake) => {
    if (fake.sleptMs % 2000 === 0) timestampS += 2;
    fake.sectors.set(AT, leaseOf({ name: 'other', timestampS }));
  });
  assert.ok(found.found === 'renewed');
  assert.deepEqual([found.by.name, found.by.hostId, found.by.generation], ['other', 2, 3]);
  assert.equal(sleptMs, 4000);
});

test('one late write is no renewal, nor is a record that stands still', () => {
  const still = watchOfOther(() => {});
  assert.deepEqual(still.found, { found: 'quiet' });
  assert.ok(still.sleptMs <= 6000);
  const late = watchOfOther((fake) => {
    if (fake.sleptMs > 1000) fake.sectors.set(AT, leaseOf({ name: 'other', timestampS: 52 }));
  });
  assert.deepEqual(late.found, { found: 'quiet' });
});

test('our own record, the end of the join and an order end the watch', () => {
  const ours = watchOfOther((fake) => {
    fake.sectors.set(AT, leaseOf({ name: 'here', timestampS: 9, generation: 4 }));
  });
  assert.deepEqual(ours.found, { found: 'over' });
  const cancelled = watchOfOther((_fake, attempt) => {
    attempt.isCancelled = true;
  });
  assert.deepEqual(cancelled.found, { found: 'over' });
});

test('a host id that sanlock refuses is told by its owner', () => {
  const fake = fakeWith({ name: 'other', timestampS: 50 });
  fake.script('add_lockspace', { code: SANLOCK_CODES.HOSTID_BUSY });
  const attempt = { isCancelled: false, isAdding: false };
  const { result, rival } = fake.run(joinSpace(SPACE, true, attempt));
  assert.equal(result, -213);
  assert.equal(rival?.name, 'other');
});
