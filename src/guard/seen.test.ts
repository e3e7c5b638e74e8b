import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STATE_TYPES } from '../wire/sanlock/socket.ts';
import type { StateRecord } from '../wire/sanlock/types.ts';
import { seenIn } from './seen.ts';

const ASKED = { lockspace: 'LS', names: ['a', 'b'], keeperPid: 7 };

function record(type: number, of: Partial<StateRecord>): StateRecord {
  const nothing = { flags: 0, data32: 0, data64: 0n, name: '', lockspace: null, resource: null };
  return { ...nothing, type, text: '', ...of };
}

const space = (list: string) => record(STATE_TYPES.LOCKSPACE, { name: 'LS', text: `list=${list}` });
const client = (pid: number) => record(STATE_TYPES.CLIENT, { data32: pid });

function lease(name: string, pid: number, text: string, lockspaceName = 'LS'): StateRecord {
  const resource = { lockspaceName, name, lver: 0n, flags: 0, disks: [] };
  return record(STATE_TYPES.RESOURCE, { data32: pid, text, resource });
}

const seen = (records: readonly StateRecord[]) => {
  const found = seenIn(records, ASKED);
  if (found === null) return 'not settled';
  const { held, orphans, isRegistered } = found;
  return { held: [...held], orphans: [...orphans], isRegistered };
};

test('what a keeper has, what is orphaned, and what is another’s', () => {
  const records = [
    ...[space('spaces'), client(7)],
    ...[lease('a', 7, 'list=held flags=1'), lease('a', 8, 'list=held flags=1')],
    ...[lease('b', 9, 'list=orphan flags=0'), lease('c', 7, 'list=held flags=0')],
    lease('b', 7, 'list=held flags=0', 'other'),
  ];
  const all = { held: [['a', 'shared']], orphans: [['b', 'exclusive']], isRegistered: true };
  assert.deepEqual(seen(records), all);
});

test('a sanlock that was started anew does not know the keeper', () => {
  assert.deepEqual(seen([space('spaces'), client(8)]), {
    ...{ held: [], orphans: [], isRegistered: false },
  });
});

test('what is not settled yet', () => {
  for (const list of ['add', 'rem']) {
    assert.equal(seen([space(list), client(7)]), 'not settled', 'it is resumed, or being left');
    const leases = [space('spaces'), client(7), lease('a', 7, `list=${list}`)];
    assert.equal(seen(leases), 'not settled', 'it may be refused yet, or be free');
  }
  assert.equal(seen([client(8)]), 'not settled', 'it has not begun to join');
  assert.deepEqual(seen([client(7)]), { held: [], orphans: [], isRegistered: true });
});
