import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOST_STATES, RES_FLAGS, STATE_TYPES } from '../../wire/sanlock/socket.ts';
import type { StateRecord } from '../../wire/sanlock/types.ts';
import { lockspacesSeen } from './sanlock-seen.ts';

function record(of: Partial<StateRecord> & Pick<StateRecord, 'type' | 'text'>): StateRecord {
  const none = { flags: 0, data32: 0, data64: 0n, name: '', lockspace: null, resource: null };
  return { ...none, ...of };
}

const SPACE = record({
  type: STATE_TYPES.LOCKSPACE,
  name: 'lvm_vg0',
  data32: 1,
  text:
    'list=spaces space_id=1 io_timeout=10 sector_size=512 align_size=1048576 ' +
    'host_generation=3 renew_fail=0 renewal_last_success=980',
  lockspace: { name: 'lvm_vg0', hostId: 1n, path: '/dev/mapper/vg0-lvmlock', offset: 0n },
});

function lease(
  name: string,
  of: { readonly pid: number; readonly list: string; shared?: boolean },
) {
  const disks = [{ path: '/dev/mapper/vg0-lvmlock', offset: 70254592n }];
  const flags = of.shared === true ? RES_FLAGS.SHARED : 0;
  return record({
    type: STATE_TYPES.RESOURCE,
    name,
    data32: of.pid,
    text: `list=${of.list} flags=0`,
    resource: { lockspaceName: 'lvm_vg0', name, disks, flags, lver: 1n },
  });
}

test('a lockspace with its hosts, renewals and leases, of what sanlock answers', () => {
  const host = (hostId: bigint, flags: number, ioTimeoutS = 10) => ({
    ...{ hostId, generation: hostId + 2n, timestampS: 970n, ioTimeoutS, flags },
  });
  const hostRecord = (hostId: number, text: string) =>
    record({ type: STATE_TYPES.HOST, data32: hostId, text });
  const renewal = (text: string) => record({ type: STATE_TYPES.RENEWAL, text });
  const [space] = lockspacesSeen(
    {
      records: [
        record({ type: STATE_TYPES.DAEMON, text: 'use_watchdog=1 monotime=1000' }),
        SPACE,
        lease('held', { pid: 42, list: 'held', shared: true }),
        lease('orphan', { pid: -1, list: 'orphan' }),
        lease('coming', { pid: 42, list: 'add' }),
      ],
      spaces: new Map([
        [
          'lvm_vg0',
          {
            hosts: [host(1n, HOST_STATES.LIVE), host(2n, HOST_STATES.DEAD, 0), host(3n, 0)],
            hostRecords: [
              hostRecord(1, 'last_check=999 last_live=995 owner_id=1 owner_name=alpha'),
              hostRecord(2, 'last_check=999 last_live=700 owner_id=2 owner_name=be ta'),
            ],
            renewals: [
              renewal('timestamp=900 read_ms=0 write_ms=0 next_timeouts=1 next_errors=0'),
              renewal('timestamp=990 read_ms=7 write_ms=2 next_timeouts=0 next_errors=3'),
            ],
          },
        ],
      ]),
    },
    (pid) => (pid === 42 ? 'lvmlockd' : null),
  );
  assert.deepEqual(
    [space?.phase, space?.ageS, space?.failS, space?.hostId, space?.generation],
    ['joined', 10, 80, 1, '3'],
  );
  assert.deepEqual([space?.sectorSize, space?.areaBytes], [512, 1048576]);
  assert.deepEqual(
    space?.members.map(({ hostId, name, state, ageS, isThisHost, ioTimeoutS }) => [
      ...[hostId, name, state, ageS, isThisHost, ioTimeoutS],
    ]),
    [
      [1, 'alpha', 'live', 5, true, 10],
      [2, 'be ta', 'dead', 300, false, 10],
      [3, null, 'unknown', null, false, 10],
    ],
  );
  assert.deepEqual(space?.renewals.at(-1), {
    ...{ timestampS: 990, readMs: 7, writeMs: 2, timeouts: 0, errors: 3 },
  });
  assert.deepEqual(
    space?.leases.map(({ name, isShared, isHeld, pid, command }) => [
      ...[name, isShared, isHeld, pid, command],
    ]),
    [
      ['held', true, true, 42, 'lvmlockd'],
      ['orphan', false, true, null, null],
      ['coming', false, false, 42, 'lvmlockd'],
    ],
  );
});

test('a lockspace of which sanlock says no more is shown all the same', () => {
  const head = record({ type: STATE_TYPES.DAEMON, text: 'monotime=1000' });
  const [space] = lockspacesSeen({ records: [head, SPACE], spaces: new Map() }, () => null);
  assert.deepEqual([space?.ageS, space?.members, space?.renewals], [20, [], []]);
});
