import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LvSeen, MemberSeen, Snapshot } from './snapshot.ts';
import { changesOf, MAX_CHANGES, remembered } from './snapshot-changes.ts';
import { holder, lockspace, lv, member, snapshot, vg } from './testing/clusters.ts';

const kinds = (before: Snapshot, now: Snapshot) => changesOf(before, now).map(({ kind }) => kind);

function withMembers(...members: readonly MemberSeen[]): Snapshot {
  return snapshot({ lockspaces: [lockspace('lvm_vg0', { members })] });
}

function withHolders(holders: LvSeen['holders'], members?: readonly MemberSeen[]): Snapshot {
  const lockspaces = [lockspace('lvm_vg0', members === undefined ? {} : { members })];
  return snapshot({ lockspaces, vgs: [vg('vg0', [lv('data', holders)])] });
}

test('nothing happened between two looks at one state', () => {
  assert.deepEqual(changesOf(snapshot(), snapshot({}, 5)), []);
});

test('hosts: each way from one state to another has its name', () => {
  const beta = (more: Partial<MemberSeen>) => withMembers(member(1, 'alpha'), member(2, 'b', more));
  const ways: readonly (readonly [Partial<MemberSeen>, Partial<MemberSeen>, readonly string[]])[] =
    [
      [{ state: 'live' }, { state: 'fail' }, ['hostFailing']],
      [{ state: 'fail' }, { state: 'live' }, ['hostReturned']],
      [{ state: 'fail' }, { state: 'dead' }, ['hostDead']],
      [{ state: 'live' }, { state: 'dead' }, ['hostDead']],
      [{ state: 'live' }, { state: 'free' }, ['hostLeft']],
      [{ state: 'free' }, { state: 'live' }, ['hostJoined']],
      [{ state: 'dead' }, { state: 'live', generation: 2 }, ['hostJoined']],
      [{ state: 'live' }, { state: 'live', generation: 2 }, ['hostJoined']],
      [{ state: 'live' }, { state: 'dead', generation: 2 }, []],
      [{ state: 'unknown' }, { state: 'live' }, ['hostSeen']],
      [{ state: 'live' }, { state: 'unknown' }, []],
    ];
  for (const [before, now, wanted] of ways) {
    assert.deepEqual(kinds(beta(before), beta(now)), wanted, JSON.stringify([before, now]));
  }
  assert.deepEqual(changesOf(withMembers(), withMembers(member(2, 'beta'))), [
    {
      kind: 'hostJoined',
      lockspace: 'lvm_vg0',
      host: { hostId: 2, hostName: 'beta', generation: 1 },
    },
  ]);
});

test('this host is told of by its lockspace, and not as one of its hosts', () => {
  const own = (state: MemberSeen['state']) => withMembers(member(1, 'alpha', { state }));
  assert.deepEqual(kinds(own('live'), own('fail')), []);
});

test('lockspaces: joined, left, lost, joined again', () => {
  const [joined, failing, joining, again] = [
    lockspace('lvm_vg0'),
    lockspace('lvm_vg0', { phase: 'failing' }),
    lockspace('lvm_vg0', { phase: 'joining' }),
    lockspace('lvm_vg0', { generation: '2' }),
  ].map((one) => snapshot({ lockspaces: [one] }));
  const none = snapshot({ lockspaces: [] });
  assert.ok(joined && failing && joining && again);
  const ways: readonly (readonly [Snapshot, Snapshot, readonly string[]])[] = [
    [none, joined, ['lockspaceJoined']],
    [none, joining, []],
    [joining, joined, ['lockspaceJoined']],
    [joined, none, ['lockspaceLeft']],
    [joined, failing, ['lockspaceFailing']],
    [failing, failing, []],
    [failing, joined, ['lockspaceWell']],
    [failing, again, ['lockspaceJoinedAgain']],
    [joined, again, ['lockspaceJoinedAgain']],
  ];
  for (const [before, now, wanted] of ways) assert.deepEqual(kinds(before, now), wanted);
});

test('an LV: taken, released, handed over, and taken over from a host that was not alive', () => {
  const alpha = holder(1, 'alpha');
  const beta = holder(2, 'beta');
  assert.deepEqual(kinds(withHolders([]), withHolders([alpha])), ['lvTaken']);
  assert.deepEqual(kinds(withHolders([alpha]), withHolders([])), ['lvReleased']);
  const handed = kinds(withHolders([alpha]), withHolders([beta]));
  assert.deepEqual(handed, ['lvReleased', 'lvTaken']);
  const dead = { ...alpha, state: 'dead' } as const;
  const over = changesOf(withHolders([dead]), withHolders([beta]));
  assert.deepEqual(over, [
    {
      kind: 'lvTakenOver',
      vg: 'vg0',
      lv: 'data',
      mode: 'ex',
      host: { hostId: 2, hostName: 'beta', generation: 1 },
      from: { hostId: 1, hostName: 'alpha', generation: 1 },
    },
  ]);
  // It was last seen alive, and died and was taken over between the looks.
  const gone = [member(1, 'alpha', { state: 'dead' }), member(2, 'beta')];
  const both = [member(1, 'alpha'), member(2, 'beta')];
  const died = kinds(withHolders([alpha], both), withHolders([beta], gone));
  assert.deepEqual(died, ['lvTakenOver']);
});

test('a lease that was not read is as it was before', () => {
  const held = withHolders([holder(2, 'beta')]);
  const unread = withHolders(null);
  const known = remembered(held, unread);
  assert.deepEqual(changesOf(held, known), []);
  assert.deepEqual(kinds(known, withHolders([])), ['lvReleased']);
});

test('a daemon that is silent has not left its lockspaces', () => {
  const well = snapshot();
  const daemons = well.daemons.map((daemon) =>
    daemon.name === 'sanlock' ? ({ ...daemon, state: 'silent' } as const) : daemon,
  );
  const silent = snapshot({ daemons, lockspaces: [] });
  const known = remembered(well, silent);
  assert.deepEqual(kinds(well, known), ['daemonSilent']);
  assert.deepEqual(kinds(known, remembered(known, well)), ['daemonStarted']);
});

test('a daemon that was started again between two looks is another process', () => {
  const well = snapshot();
  const daemons = well.daemons.map((daemon) => ({ ...daemon, pid: daemon.pid + 50 }));
  assert.deepEqual(changesOf(well, snapshot({ daemons })), [
    { kind: 'daemonReplaced', daemon: 'wdmd' },
    { kind: 'daemonReplaced', daemon: 'sanlock' },
    { kind: 'daemonReplaced', daemon: 'lvmlockd' },
  ]);
});

test('VGs and the watchdog', () => {
  const started = snapshot();
  const stopped = snapshot({ vgs: [vg('vg0', [], { isStarted: false })] });
  assert.deepEqual(kinds(stopped, started), ['vgStarted']);
  const killed = snapshot({ vgs: [vg('vg0', [], { trouble: 'killed' })] });
  assert.deepEqual(changesOf(started, killed), [
    { kind: 'vgTrouble', vg: 'vg0', trouble: 'killed' },
  ]);
  assert.deepEqual(kinds(killed, started), ['vgWell']);
  const starting = snapshot({ vgs: [vg('vg0', [], { trouble: 'starting' })] });
  assert.deepEqual(kinds(starting, started), []);
  assert.deepEqual(kinds(killed, starting), []);
  const off = snapshot({ watchdog: { state: 'off', why: 'wdmdAbsent' } });
  assert.deepEqual(kinds(started, off), ['watchdogOff']);
  assert.deepEqual(kinds(off, started), ['watchdogOn']);
  const unknown = snapshot({ watchdog: { state: 'unknown', why: 'sanlockSilent' } });
  assert.deepEqual(kinds(started, unknown), []);
});

test('2,000 hosts that join at once are counted', () => {
  const many = Array.from({ length: 2000 }, (_, n) => member(n + 2, `host${n}`));
  const changes = changesOf(withMembers(), withMembers(...many));
  assert.equal(changes.length, MAX_CHANGES + 1);
  assert.deepEqual(changes.at(-1), { kind: 'more', count: 2000 - MAX_CHANGES });
});
