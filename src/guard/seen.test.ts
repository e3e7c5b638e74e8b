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
  const { held, orphans, isRegistered, isGone } = found;
  if (isGone) return isRegistered ? 'gone' : 'gone, without the keeper';
  return { held: [...held], orphans: [...orphans], isRegistered };
};

test('who else of this host has what is asked for', () => {
  const records = [
    ...[space('spaces'), client(7), lease('a', 8, 'list=held flags=0')],
    ...[lease('b', 0, 'list=orphan flags=0'), lease('c', 9, 'list=held flags=0')],
  ];
  assert.deepEqual([...(seenIn(records, ASKED)?.byOthers ?? [])], [['a', 8]]);
});

test('what a keeper has, what is orphaned, and what is another’s', () => {
  const records = [
    ...[space('spaces'), client(7)],
    ...[lease('a', 7, 'list=held flags=1'), lease('a', 8, 'list=held flags=1')],
    ...[lease('b', 9, 'list=orphan flags=0'), lease('c', 7, 'list=held flags=0')],
    lease('b', 7, 'list=held flags=0', 'other'),
  ];
  const held = [
    ['a', 'shared'],
    ['c', 'exclusive'], // nobody asked for it, but it is the keeper's
  ];
  const all = { held, orphans: [['b', 'exclusive']], isRegistered: true };
  assert.deepEqual(seen(records), all);
});

test('a sanlock that was started anew does not know the keeper', () => {
  assert.deepEqual(seen([space('spaces'), client(8)]), {
    ...{ held: [], orphans: [], isRegistered: false },
  });
});

test('what is not settled yet', () => {
  assert.equal(seen([space('add'), client(7)]), 'not settled', 'it is joined, or resumed');
  for (const list of ['add', 'rem']) {
    const leases = [space('spaces'), client(7), lease('a', 7, `list=${list}`)];
    assert.equal(seen(leases), 'not settled', 'it may be refused yet, or be free');
  }
  const ending = [space('spaces space_dead=1'), client(7), lease('a', 7, 'list=held')];
  assert.equal(seen(ending), 'not settled', 'the guest is being ended');
});

test('a lockspace that is gone, with all that was orphaned in it', () => {
  assert.equal(seen([client(7)]), 'gone');
  assert.equal(seen([client(8)]), 'gone, without the keeper');
  const orphan = lease('b', 9, 'list=orphan flags=0');
  assert.equal(seen([space('rem'), client(7), orphan]), 'gone');
  assert.equal(seen([space('spaces space_dead=1'), client(7), orphan]), 'gone');
  assert.notEqual(seen([space('spaces space_dead=0'), client(7), orphan]), 'gone');
});
