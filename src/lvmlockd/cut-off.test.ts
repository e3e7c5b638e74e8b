import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutOff, cutOffPlan } from './cut-off.ts';
import { done } from './managers/steps.ts';
import { activeInTouch } from './mapped-lvs.ts';
import { removeStale } from './stale-mapping.ts';
import { FakeMapper } from './testing/fake-mapper.ts';

const VG = 'v'.repeat(32);
const PLACE = { vgUuid: '', leaseDevice: 'vg-lvmlock' };
const lvUuid = (letter: string) => letter.repeat(32);
const uuid = (letter: string, suffix = '') => `LVM-${VG}${lvUuid(letter)}${suffix}`;

/** The LV of the leases, a linear LV, and a thin pool with one volume and dm-crypt on that. */
function thin(): FakeMapper {
  const mapper = new FakeMapper();
  mapper.add({ name: 'vg-lvmlock', uuid: uuid('k') });
  mapper.add({ name: 'vg-lv', uuid: uuid('a') });
  mapper.add({ name: 'vg-pool_tmeta', uuid: uuid('m', '-tmeta') });
  mapper.add({ name: 'vg-pool_tdata', uuid: uuid('d', '-tdata') });
  const pool = { name: 'vg-pool-tpool', uuid: uuid('p', '-tpool'), types: ['thin-pool'] };
  mapper.add({ ...pool, slaves: ['dm-2', 'dm-3'] });
  mapper.add({ name: 'vg-thin', uuid: uuid('t'), types: ['thin'], slaves: ['dm-4'] });
  const crypt = { name: 'secret', uuid: 'CRYPT-LUKS2-0123', types: ['crypt'], slaves: ['dm-5'] };
  mapper.add(crypt);
  mapper.add({ name: 'other-lv', uuid: `LVM-${'w'.repeat(32)}${lvUuid('o')}` });
  return mapper;
}

test('error tables go in from the bottom up; leases, other VGs and dm-crypt keep their tables', () => {
  const mapper = thin();
  const { left, replaced } = mapper.run(cutOff(PLACE, false));
  assert.deepEqual(mapper.did, [
    'error vg-lv vg-pool_tmeta vg-pool_tdata',
    'error vg-pool-tpool',
    'error vg-thin',
  ]);
  assert.deepEqual(left, []);
  assert.equal(replaced.length, 5);
  const kept = mapper.devices?.filter(({ types }) => types[0] !== 'error').map(({ name }) => name);
  assert.deepEqual(kept, ['vg-lvmlock', 'secret', 'other-lv']);
});

test('a swap that does not end leaves its device, and what is above it', () => {
  const mapper = thin();
  const stuck = mapper.devices?.find(({ name }) => name === 'vg-pool_tdata');
  assert.ok(stuck);
  stuck.swap = null;
  const { left } = mapper.run(cutOff(PLACE, false));
  assert.deepEqual(
    left.map(({ name }) => name),
    ['vg-pool_tdata', 'vg-pool-tpool', 'vg-thin'],
  );
  assert.match(left[0]?.why ?? '', /has not ended in time/);
});

test('an upper layer that refuses its error table reaches no disk: all below it is cut off', () => {
  const mapper = thin();
  const pool = mapper.devices?.find(({ name }) => name === 'vg-pool-tpool');
  assert.ok(pool);
  pool.swap = 22;
  assert.deepEqual(mapper.run(cutOff(PLACE, false)).left, []);
});

test('a refused swap, and a table that comes back, leave the device', () => {
  const mapper = thin();
  const lv = mapper.devices?.find(({ name }) => name === 'vg-lv');
  assert.ok(lv);
  lv.swap = 12;
  assert.deepEqual(mapper.run(cutOff(PLACE, false)).left, [{ name: 'vg-lv', why: 'errno 12' }]);
  lv.swap = 0;
  mapper.onSwapped = () => Object.assign(lv, { types: ['linear'], slaves: ['sda'] });
  const [again] = mapper.run(cutOff(PLACE, false)).left;
  assert.equal(again?.why, 'another table was loaded meanwhile');
});

test('what has an error table already is not touched, unless it is suspended', () => {
  const mapper = new FakeMapper();
  mapper.add({ name: 'vg-lvmlock', uuid: uuid('k') });
  const lv = mapper.add({ name: 'vg-lv', uuid: uuid('a'), types: ['error'] });
  assert.deepEqual(mapper.run(cutOff(PLACE, false)).left, []);
  assert.deepEqual(mapper.did, []);
  lv.isSuspended = true;
  assert.deepEqual(mapper.run(cutOff(PLACE, false)).left, []);
  assert.deepEqual(mapper.did, ['error vg-lv']);
});

test('without device-mapper, or without the uuid of the VG, nothing is known', () => {
  assert.equal(new FakeMapper().run(cutOff(PLACE, false)).state, null);
  const mapper = new FakeMapper();
  mapper.add({ name: 'vg-lv', uuid: uuid('a') });
  assert.equal(mapper.run(cutOff(PLACE, false)).state, null);
  const dashed = `vvvvvv-${'vvvv-'.repeat(5)}vvvvvv`;
  const known = mapper.run(cutOff({ vgUuid: dashed, leaseDevice: '' }, false));
  assert.equal(known.replaced.length, 1);
});

const USERS = [7, 8].map((pid) => ({ pid, identity: '1', command: 'dd', uses: 'vg-lv' }));

test('users are stopped only when that is ordered: SIGTERM, then SIGKILL', () => {
  const spared = thin();
  spared.users = USERS;
  assert.deepEqual(spared.run(cutOff(PLACE, false)).stopped, []);
  assert.equal(
    spared.did.some((one) => one.startsWith('SIG')),
    false,
  );
  const mapper = thin();
  mapper.users = USERS;
  mapper.stubborn = new Set([8]);
  const { stopped, left } = mapper.run(cutOff(PLACE, true));
  assert.deepEqual(mapper.did.slice(0, 2), ['SIGTERM 7 8', 'SIGKILL 8']);
  assert.equal(stopped.length, 2);
  assert.deepEqual(left, []);
  assert.equal(mapper.sleptMs, 5500);
});

test('one that SIGKILL does not end keeps nothing waiting for longer than 7 s', () => {
  const mapper = thin();
  mapper.users = USERS;
  mapper.stubborn = new Set([8]);
  mapper.immortal = new Set([8]);
  assert.deepEqual(mapper.run(cutOff(PLACE, true)).left, []);
  assert.equal(mapper.sleptMs, 7000);
});

test('the plan says what would be done, and does nothing', () => {
  const mapper = thin();
  mapper.users = USERS.slice(0, 1);
  assert.deepEqual(mapper.run(cutOffPlan(PLACE, false)), [
    'process 7 (dd) uses vg-lv: is left alone, gets I/O errors',
    'vg-lv: linear, open 1: error table of 8 sectors',
    'vg-pool_tmeta: linear, open 1: error table of 8 sectors',
    'vg-pool_tdata: linear, open 1: error table of 8 sectors',
    'vg-pool-tpool: thin-pool, open 1: error table of 8 sectors',
    'vg-thin: thin, open 1: error table of 8 sectors',
    'secret: stands on these, keeps its table',
    'then the locks of the VG are given up',
  ]);
  assert.deepEqual(mapper.did, []);
  assert.match(mapper.run(cutOffPlan(PLACE, true))[0] ?? '', /SIGTERM, then SIGKILL$/);
  assert.equal(new FakeMapper().run(cutOffPlan(PLACE, false)).length, 1);
});

test('an LV with an error table is mapped, but out of touch with its disk', () => {
  const mapper = thin();
  const active = ['a', 'm', 'd', 'p', 't'].map(lvUuid);
  const space = { activeLvs: () => done(active), leaseDevice: 'vg-lvmlock' };
  assert.deepEqual(mapper.run(activeInTouch('', space)), { inTouch: active, cutOff: [] });
  mapper.run(cutOff(PLACE, false));
  assert.deepEqual(mapper.run(activeInTouch('', space)), { inTouch: [], cutOff: active });
  const unknown = { activeLvs: () => done(null), leaseDevice: '' };
  assert.deepEqual(mapper.run(activeInTouch('', unknown)), { inTouch: null, cutOff: [] });
  assert.deepEqual(new FakeMapper().run(activeInTouch('', space)).inTouch, active);
});

test('the device of the leases is removed when its disk is gone and nobody has it open', () => {
  const mapper = new FakeMapper();
  const lease = mapper.add({ name: 'vg-lvmlock', uuid: uuid('k') });
  assert.equal(mapper.run(removeStale('vg-lvmlock')), 'none');
  lease.gone = ['8:16'];
  assert.equal(mapper.run(removeStale('vg-lvmlock')), 'inUse');
  lease.openCount = 0;
  assert.equal(mapper.run(removeStale('vg-lvmlock')), 'removed');
  assert.deepEqual(mapper.did, [`remove ${uuid('k')}`]);
  assert.equal(mapper.run(removeStale('vg-lvmlock')), 'none');
  assert.equal(mapper.run(removeStale('')), 'none');
});
