import assert from 'node:assert/strict';
import test from 'node:test';
import { WdmdHarness } from '../programs/testing/wdmd-harness.ts';

const WITH = { allowScripts: 1 };

function scriptLine(harness: WdmdHarness, name: string): string {
  const line = harness.dump().match(new RegExp(`^script \\d name ${name} .*$`, 'm'));
  return line?.[0].replace(/ now \d+/, '') ?? '';
}

test('a ping waits for the scripts of its test', () => {
  const harness = new WdmdHarness(WITH, [
    ['good', { status: 0, runsS: 0 }],
    ['slow', { status: 0, runsS: 5 }],
  ]);
  harness.at(29);
  assert.deepEqual(harness.performed, ['0 open', '0 ping', '5 ping', '15 ping', '25 ping']);
  assert.equal(
    scriptLine(harness, 'slow'),
    'script 1 name slow pid 0 start 1020 last_result 0 run 3 fail 0 good 3 kill 0 long 0',
  );
});

test('a failing script closes the device at once and is run every second', () => {
  const harness = new WdmdHarness(WITH, [
    ['bad', { status: 3, runsS: 1 }],
    ['slow', { status: 0, runsS: 6 }],
  ]);
  harness.at(4);
  assert.deepEqual(harness.performed.slice(2), ['1 close']);
  harness.scripts.set('bad', { status: 0, runsS: 0 });
  harness.at(20);
  assert.equal(harness.performed[3], '6 open');
  assert.match(scriptLine(harness, 'bad'), /last_result 0 run \d fail 1 good/);
});

test('a script unfinished after 9 s fails; -k kills it, and shows 4', () => {
  const late = new WdmdHarness(WITH, [['hangs', { status: 0, runsS: null }]]);
  late.at(12);
  assert.deepEqual(late.performed.slice(2), ['9 close']);
  assert.match(scriptLine(late, 'hangs'), /run 1 fail 0 good 0 kill 0 long 1$/);
  const killed = new WdmdHarness({ ...WITH, killScriptS: 2 }, [
    ['hangs', { status: 0, runsS: null }],
  ]);
  killed.at(2);
  assert.deepEqual(killed.performed.slice(2), ['2 close']);
  assert.match(scriptLine(killed, 'hangs'), /last_result 4 run \d fail 0 good 0 kill 1 long 0$/);
});

test('SIGHUP finds new ones, at most 8; one that vanished is dropped', () => {
  const harness = new WdmdHarness(WITH, [['a', { status: 0, runsS: 0 }]]);
  harness.scripts.clear();
  for (let i = 1; i <= 9; i++) harness.scripts.set(`s${i}`, { status: 0, runsS: 0 });
  harness.program.rescan();
  assert.match(scriptLine(harness, 's7'), /^script 7/);
  assert.equal(scriptLine(harness, 's8'), '');
  assert.ok(harness.logged.includes('script.refused'));
  harness.at(10);
  assert.equal(scriptLine(harness, 'a'), '');
  assert.match(scriptLine(harness, 's7'), /^script 6/);
});

test('messages are served while scripts run, and an expiry is not overlooked', () => {
  const harness = new WdmdHarness(WITH, [['slow', { status: 0, runsS: 8 }]]);
  harness.connect().live(1000, 1009);
  harness.at(3);
  assert.equal(harness.status().fireTimeout, 60);
  harness.at(9);
  assert.deepEqual(harness.performed.slice(2), ['8 close']);
});
