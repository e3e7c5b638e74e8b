import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManagerReply, MapperEffect } from '../lvmlockd/managers/steps.ts';
import type { Clock } from '../ports/clock.ts';
import type { DeviceMapper } from '../ports/device-mapper.ts';
import { MapperTasks } from './mapper-tasks.ts';

/** Calls of device-mapper wait until the test answers them. */
function rig() {
  const calls: { readonly what: string; readonly answer: (errno: number) => void }[] = [];
  const deadlines: (() => void)[] = [];
  const clock: Clock = {
    nowMs: () => 0,
    wallMs: () => 0,
    after: (_delayMs, fire) => {
      deadlines.push(fire);
      return { cancel: () => deadlines.splice(deadlines.indexOf(fire), 1) };
    },
  };
  const mapper: DeviceMapper = {
    list: () => null,
    table: (uuid, answer) => {
      const targets = [{ start: 0n, length: 8n, type: 'linear', parameters: '8:0 2048' }];
      const table = { targets, isSuspended: false, isReadOnly: false, openCount: 1 };
      calls.push({
        what: `table ${uuid}`,
        answer: (errno) => answer(errno === 0 ? table : errno),
      });
    },
    fail: ({ uuid }, answer) => calls.push({ what: `fail ${uuid}`, answer }),
    remove: (uuid, answer) => calls.push({ what: `remove ${uuid}`, answer }),
    hasDevice: (number) => number !== '8:0',
  };
  const users = { find: () => {}, signal: () => {} };
  const tasks = new MapperTasks({ clock, mapper, users });
  const replies: ManagerReply[] = [];
  const perform = (effect: MapperEffect) => tasks.perform(effect, (reply) => replies.push(reply));
  const answer = (what: string, errno = 0) => {
    const at = calls.findIndex((one) => one.what === what);
    assert.ok(at >= 0, `${what} is waiting`);
    calls.splice(at, 1)[0]?.answer(errno);
  };
  const waiting = () => calls.map(({ what }) => what);
  return {
    perform,
    answer,
    waiting,
    replies,
    passDeadline: () => deadlines.shift()?.(),
    deadlines,
  };
}

const device = (uuid: string) => ({ uuid, sectors: 8n, isReadOnly: false });
const failing = (...levels: readonly (readonly string[])[]): MapperEffect => ({
  kind: 'failDevices',
  levels: levels.map((level) => level.map(device)),
  deadlineMs: 1000,
});

test('a level of devices begins when the one below has ended', () => {
  const { perform, answer, waiting, replies, deadlines } = rig();
  perform(failing(['a', 'b'], [], ['c']));
  assert.deepEqual(waiting(), ['fail a', 'fail b']);
  answer('fail b');
  assert.deepEqual(waiting(), ['fail a']);
  answer('fail a', 5);
  answer('fail c');
  const results = new Map([
    ['b', 0],
    ['a', 5],
    ['c', 0],
  ]);
  assert.deepEqual(replies, [{ kind: 'mapperDone', results }]);
  assert.equal(deadlines.length, 0);
});

test('at the deadline the late ones are missing, and no further level begins', () => {
  const { perform, answer, waiting, replies, passDeadline } = rig();
  perform(failing(['a', 'b'], ['c']));
  answer('fail a');
  passDeadline();
  assert.deepEqual(replies, [{ kind: 'mapperDone', results: new Map([['a', 0]]) }]);
  answer('fail b');
  assert.deepEqual(waiting(), []);
  assert.equal(replies.length, 1);
});

test('a device whose swap is under way is not swapped a second time', () => {
  const { perform, answer, waiting, replies, passDeadline } = rig();
  perform(failing(['a']));
  passDeadline();
  perform(failing(['a']));
  assert.deepEqual(waiting(), ['fail a']);
  answer('fail a');
  assert.deepEqual(replies[1], { kind: 'mapperDone', results: new Map([['a', 0]]) });
  perform(failing(['a']));
  assert.deepEqual(waiting(), ['fail a']);
});

test('tables tell which of their devices are gone; those that fail or are late are missing', () => {
  const { perform, answer, replies, passDeadline } = rig();
  perform({ kind: 'mappedTables', uuids: ['a', 'b', 'c'], deadlineMs: 1000 });
  answer('table a');
  answer('table b', 6);
  passDeadline();
  const table = { isSuspended: false, isReadOnly: false, openCount: 1 };
  const tables = new Map([['a', { ...table, types: ['linear'], gone: ['8:0'] }]]);
  assert.deepEqual(replies, [{ kind: 'mappedTables', tables }]);
  answer('table c');
  assert.equal(replies.length, 1);
});

test('a removal that hangs has no result', () => {
  const { perform, answer, replies, passDeadline } = rig();
  perform({ kind: 'removeDevice', uuid: 'a', deadlineMs: 1000 });
  passDeadline();
  answer('remove a');
  assert.deepEqual(replies.length, 1);
  perform({ kind: 'removeDevice', uuid: 'b', deadlineMs: 1000 });
  answer('remove b', 16);
  assert.deepEqual(replies[1], { kind: 'mapperDone', results: new Map([['b', 16]]) });
});
