import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../../base/units.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import { HOST_STATES } from '../../../wire/sanlock/socket.ts';
import { areaAt, resourceAt } from './layout.ts';
import { FakeSanlock, LV, manager, SITE, started, VG, VGLK } from './testing/fake-sanlock.ts';

const OWN_SLOT = 67 * MIB;
const NEIGHBOUR_SLOT = 68 * MIB;
const NEIGHBOUR = `1.0.0:${NEIGHBOUR_SLOT}`;

function twoLvs(fake: FakeSanlock) {
  const space = started(fake);
  for (const name of [LV.name, 'neighbour']) {
    assert.equal(fake.run(space.findFree()).result, 0);
    assert.equal(fake.run(space.initLv(name)).result, 0);
  }
  assert.deepEqual([...fake.here], [], 'nothing stays acquired');
  fake.asked.length = 0;
  return space;
}

test("an LV's lease is freed by its holder: acquired, then renamed in the release", () => {
  const fake = new FakeSanlock();
  const space = twoLvs(fake);
  assert.equal(fake.run(space.freeLv(LV)).result, 0);
  assert.deepEqual(fake.asked, ['acquire', 'release']);
  assert.equal(fake.slots.get(OWN_SLOT)?.name, '#unused');
  assert.equal(fake.run(space.freeLv(LV)).result, 0, 'it is free already');
});

test("a neighbour's offset is refused, and so is a slot that was never written", () => {
  const fake = new FakeSanlock();
  const space = twoLvs(fake);
  fake.slots.delete(70 * MIB);
  assert.equal(fake.run(space.freeLv({ ...LV, lvLockArgs: NEIGHBOUR })).result, -22);
  assert.equal(fake.run(space.freeLv({ ...LV, lvLockArgs: `1.0.0:${70 * MIB}` })).result, -22);
  assert.equal(fake.slots.get(NEIGHBOUR_SLOT)?.name, 'neighbour');
  assert.ok(!fake.asked.includes('write_resource'));
});

test('a lease of another host is not freed, nor one whose owner cannot be known', () => {
  const fake = new FakeSanlock();
  const space = twoLvs(fake);
  fake.elsewhere.add(OWN_SLOT);
  assert.equal(fake.run(space.freeLv(LV)).result, -16);
  for (const [code, result] of [
    [SANLOCK_CODES.ACQUIRE_OWNED_RETRY, -16],
    [SANLOCK_CODES.DBLOCK_MBAL, -16],
    [-117, -16], // an orphan of ours
    [SANLOCK_CODES.AIO_TIMEOUT, -218],
    [SANLOCK_CODES.LEADER_CHECKSUM, -221],
  ] as const) {
    fake.script('acquire', { code });
    assert.equal(fake.run(space.freeLv(LV)).result, result, `${code}`);
  }
  fake.script('acquire', { code: -107, answered: false });
  assert.equal(fake.run(space.freeLv(LV)).result, -214);
  assert.equal(fake.slots.get(OWN_SLOT)?.name, LV.name);
});

test('the global lock is switched by its holder only', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  const glName = () => fake.slots.get(65 * MIB)?.name;
  assert.equal(fake.run(space.switchGl(true)).result, 0, 'it is enabled already');
  fake.elsewhere.add(65 * MIB);
  assert.equal(fake.run(space.switchGl(false)).result, -11);
  assert.equal(glName(), 'GLLK');
  fake.elsewhere.clear();
  assert.equal(fake.run(space.switchGl(false)).result, 0);
  assert.equal(glName(), '_GLLK_disabled');
  assert.equal(fake.run(space.switchGl(true)).result, 0);
  assert.equal(glName(), 'GLLK');
  assert.ok(!fake.asked.includes('write_resource'));
});

test('a slot that another host takes at the same time is passed over', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  fake.elsewhere.add(OWN_SLOT);
  fake.script('acquire', {}); //                                    the first slot seems free …
  fake.script('acquire', { code: SANLOCK_CODES.LEADER_RESOURCE }); // … and has got a name by then
  assert.equal(fake.run(space.initLv('lv0')).lvLockArgs, `1.0.0:${68 * MIB}`);
  assert.equal(fake.run(space.initLv('lv1')).lvLockArgs, `1.0.0:${69 * MIB}`);
  assert.equal(fake.slots.get(OWN_SLOT)?.name, '#unused');
});

// sanlock knows a resource by its name: where it refuses one free slot, it refuses all of them.
for (const code of [-11, -16, -28]) {
  test(`a ${code} of our own sanlock is no taken slot: the same one is tried again`, () => {
    const fake = new FakeSanlock();
    const space = started(fake);
    fake.script('acquire', { code }, { code });
    assert.equal(fake.run(space.initLv('lv0')).lvLockArgs, `1.0.0:${OWN_SLOT}`);
    assert.ok(fake.sleptMs > 0);
  });

  test(`a ${code} that stays ends as AGAIN, soon, and loses no slot`, () => {
    const fake = new FakeSanlock();
    fake.slotCount = 200;
    const space = started(fake);
    fake.script('acquire', ...Array.from({ length: 1000 }, () => ({ code })));
    assert.deepEqual(fake.run(space.initLv('lv0')), { result: -11, lmResult: -11, lvLockArgs: '' });
    const tries = fake.asked.filter((call) => call === 'acquire').length;
    assert.ok(tries > 1 && tries <= 10, `${tries} acquires`);
    assert.ok(fake.sleptMs <= 5000, `${fake.sleptMs} ms`);
    fake.scripted.clear();
    assert.equal(fake.run(space.initLv('lv0')).lvLockArgs, `1.0.0:${OWN_SLOT}`);
  });
}

test('a rename whose answer is lost costs neither the slot nor the ones behind it', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  fake.script('release', { code: -110, answered: false });
  assert.equal(fake.run(space.initLv('lv0')).result, -214);
  fake.script('acquire', { code: -11 }, { code: -11 }, { code: -17 });
  assert.equal(fake.run(space.initLv('lv0')).lvLockArgs, `1.0.0:${OWN_SLOT}`);
  fake.script('release', { code: -11 }); // a release's number is no word about the slot
  assert.equal(fake.run(space.initLv('lv1')).lvLockArgs, '');
});

test('an orphan of a free slot is released, and keeps no other free slot from us', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  fake.script('acquire', { code: -117 }, {});
  assert.equal(fake.run(space.initLv('lv0')).lvLockArgs, `1.0.0:${OWN_SLOT}`);
  assert.deepEqual([...fake.here], []);
  fake.script('acquire', { code: -117 }, { code: -117 });
  const { result, lvLockArgs } = fake.run(space.initLv('lv1'));
  assert.deepEqual([result, lvLockArgs], [-221, ''], 'no walk to the end of the device');
});

test('a slot that a killed lvmlockd was renaming is not adopted as an LV', () => {
  const fake = new FakeSanlock();
  started(fake);
  const names = [
    ['#unused', OWN_SLOT],
    ['_GLLK_disabled', 65 * MIB],
  ] as const;
  for (const [name, offset] of names) {
    const resource = resourceAt(SITE, name, offset);
    const slot = fake.slots.get(offset);
    assert.ok(slot !== undefined);
    slot.name = name;
    fake.leases.push({ list: 'orphan', resource });
  }
  const again = manager.open(VG, 2);
  fake.run(again.prepare(1));
  fake.script('add_lockspace', { code: -17 });
  assert.deepEqual(fake.run(again.join(true)).adopted, []);
  assert.deepEqual([...fake.here], []);
});

test('a pause of our own sanlock keeps no lease from being freed', () => {
  const fake = new FakeSanlock();
  const space = twoLvs(fake);
  fake.script('acquire', { code: -11 });
  assert.equal(fake.run(space.freeLv(LV)).result, 0);
  fake.script('acquire', { code: -28 });
  assert.equal(fake.run(space.switchGl(false)).result, 0);
});

test('a lease that cannot be taken for want of storage is no taken slot', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  fake.script('acquire', { code: SANLOCK_CODES.AIO_TIMEOUT });
  const { result, lvLockArgs } = fake.run(space.initLv('lv0'));
  assert.deepEqual([result, lvLockArgs], [-218, '']);
});

test('leases that this host has joined are neither formatted nor renamed', () => {
  const fake = new FakeSanlock();
  started(fake);
  fake.joined.push(areaAt(SITE, 1, 'under any name'));
  const before = JSON.stringify([...fake.slots]);
  assert.equal(fake.run(manager.initVg({ ...VG, vgLockArgs: 'lvmlock' }, true)).result, -17);
  assert.equal(fake.run(manager.renameVg(VG)).result, -16);
  fake.script('get_lockspaces', { code: -107, answered: false });
  assert.equal(fake.run(manager.initVg({ ...VG, vgLockArgs: 'lvmlock' }, true)).result, -214);
  assert.equal(JSON.stringify([...fake.slots]), before);
});

test('a host that joins while the VG is being removed keeps its lockspace', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  fake.hosts = [...fake.hosts, { hostId: 2n, state: HOST_STATES.LIVE }];
  const held = [{ resource: VGLK, mode: 'ex', newVersion: 0 }] as const;
  assert.equal(fake.run(space.leave({ held, removeVg: true, dropAll: false })).result, -16);
  assert.equal(fake.slots.get(0)?.space, 'lvm_vg');
});

test('a release that leaves the old name is repeated: no slot is given to two LVs', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  assert.equal(fake.run(space.findFree()).result, 0);
  fake.asked.length = 0;
  fake.script('release', { code: SANLOCK_CODES.RELEASE_OWNER });
  const made = fake.run(space.initLv(LV.name));
  assert.equal(made.result, 0);
  assert.equal(fake.asked.filter((call) => call === 'release').length, 2);
  assert.equal(fake.slots.get(OWN_SLOT)?.name, LV.name);
});

test('the slot that a search has found is taken without another read', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  const make = (name: string) => {
    fake.asked.length = 0;
    assert.equal(fake.run(space.findFree()).result, 0);
    return fake.run(space.initLv(name)).lvLockArgs;
  };
  assert.equal(make('lv0'), `1.0.0:${OWN_SLOT}`);
  assert.equal(make('lv1'), `1.0.0:${OWN_SLOT + MIB}`);
  assert.deepEqual(fake.asked, ['read_resource', 'acquire', 'release']);
});

test('a slot that another host took after the search is that host’s', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  assert.equal(fake.run(space.findFree()).result, 0);
  fake.slots.set(OWN_SLOT, { space: 'lvm_vg', name: 'lv-of-another' });
  assert.equal(fake.run(space.initLv('lv0')).lvLockArgs, `1.0.0:${OWN_SLOT + MIB}`);
  assert.equal(fake.slots.get(OWN_SLOT)?.name, 'lv-of-another');
});

test('a slot that is freed here again is found again', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  assert.equal(fake.run(space.findFree()).result, 0);
  assert.equal(fake.run(space.initLv('lv0')).result, 0);
  const lv = { scope: 'lv', name: 'lv0', lvLockArgs: `1.0.0:${OWN_SLOT}` } as const;
  assert.equal(fake.run(space.freeLv(lv)).result, 0);
  assert.equal(fake.run(space.findFree()).result, 0);
  assert.equal(fake.run(space.initLv('lv1')).lvLockArgs, `1.0.0:${OWN_SLOT}`);
});
