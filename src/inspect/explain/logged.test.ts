import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loggedIn } from './logged.ts';

const HEAD = '2026-11-30 19:48:00 54360 [10922]: ';

test('a refusal: what, to whom, why, and who has it', () => {
  const line =
    `${HEAD}lease.refused lockspace=lvm_vgx resource=4216NX path=/dev/mapper/vgx-lvmlock ` +
    'offset=70254592 hostId=2 pid=10971 clientName=lvmlockd mode=exclusive result=-243 ' +
    'during="owner watch" owner=1 generation=1 lver=2 ' +
    'reason="another host holds it, and is alive" ownerName=alpha ageS=1';
  assert.deepEqual(loggedIn(line), {
    kind: 'leaseRefused',
    atS: 54360,
    lockspace: 'lvm_vgx',
    resource: '4216NX',
    result: '-243',
    mode: 'exclusive',
    asker: 'lvmlockd',
    reason: 'another host holds it, and is alive',
    holder: 'alpha',
    repeated: 0,
  });
  const here = loggedIn(`${HEAD}lease.refused resource=r pid=5 result=-17 holderPid=9 repeated=12`);
  assert.ok(here?.kind === 'leaseRefused');
  assert.deepEqual([here.asker, here.holder, here.repeated], ['process 5', 'process 9', 12]);
});

test('a process that is stopped is told once, and once more when it is killed', () => {
  const line = (rest: string) => loggedIn(`${HEAD}client.signalled pid=77 ${rest}`);
  const first = { kind: 'processStopped', atS: 54360, pid: 77, how: 'with SIGTERM' };
  assert.deepEqual(line('signal=SIGTERM attempt=1'), first);
  assert.equal(line('signal=SIGTERM attempt=2'), null);
  assert.deepEqual(line('signal=SIGKILL attempt=9'), { ...first, how: 'with SIGKILL' });
  const killpath = loggedIn(`${HEAD}client.killpath pid=77 program=/x`);
  assert.deepEqual(killpath, { ...first, how: 'by its killpath program' });
});

test('names may be quoted, and forge nothing', () => {
  const name = JSON.stringify('x"\n result=0 owner=9');
  const found = loggedIn(`${HEAD}lease.refused lockspace=${name} resource=r result=-243`);
  assert.ok(found?.kind === 'leaseRefused');
  assert.deepEqual([found.lockspace, found.result], ['x"\n result=0 owner=9', '-243']);
  assert.equal(found.holder, '');
});

test('other lines are no events', () => {
  for (const line of [
    '',
    'lease.refused',
    `${HEAD}renewal.late lockspace=x`,
    `${HEAD}s1:r2 resource lvm_vgx:VGLK:/dev/mapper/vgx-lvmlock:69206016`,
    `${HEAD}lease.refused ${'x'.repeat(9000)}`,
    `x ${HEAD}lease.refused resource=r`,
  ]) {
    assert.equal(loggedIn(line), null, line.slice(0, 80));
  }
});
