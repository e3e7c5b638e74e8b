import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../../base/units.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import { ACQUIRE_FLAGS, RES_FLAGS } from '../../../wire/sanlock/socket.ts';
import type { Outcome } from '../manager.ts';
import { areaAt, resourceAt } from './layout.ts';
import {
  FakeSanlock,
  LV,
  manager,
  type Scripted,
  SITE,
  started,
  VG,
  VGLK,
} from './testing/fake-sanlock.ts';

test('a new VG gets host leases, GL, VG and free slots to the end of the device', () => {
  const fake = new FakeSanlock();
  started(fake);
  assert.equal(fake.slots.get(65 * MIB)?.name, 'GLLK');
  assert.equal(fake.slots.get(66 * MIB)?.name, 'VGLK');
  for (let slot = 67; slot < 72; slot++) assert.equal(fake.slots.get(slot * MIB)?.name, '#unused');
  assert.equal(fake.slots.size, 8);
  const noArgs = fake.run(manager.initVg({ ...VG, vgLockArgs: '' }, true));
  assert.equal(noArgs.result, -212);
});

test('start_vg refuses lock args, devices and host ids that cannot be used', () => {
  const fake = new FakeSanlock();
  started(fake);
  const prepare = (vgLockArgs: string, hostId: number) =>
    fake.run(manager.open({ ...VG, vgLockArgs }, 2).prepare(hostId)).result;
  assert.equal(prepare('lvmlock', 1), -212);
  assert.equal(prepare('2.0.0:lvmlock', 1), -212);
  assert.equal(prepare('1.0.0:other', 1), -212);
  assert.equal(prepare('1.0.0:lvmlock', 0), -213);
  assert.equal(prepare('1.0.0:lvmlock', 2001), -213);
  fake.script('register', { code: -111, answered: false });
  assert.equal(prepare('1.0.0:lvmlock', 1), -214);
});

test('the path of the leases is waited for, since lvm asks before udev has made it', () => {
  const requests = {
    initVg: () => manager.initVg({ ...VG, vgLockArgs: 'lvmlock' }, true),
    prepare: () => manager.open(VG, 2).prepare(1),
    renameVg: () => manager.renameVg(VG),
  };
  for (const [name, request] of Object.entries(requests)) {
    const fake = new FakeSanlock();
    started(fake);
    fake.asked.length = 0;
    fake.deviceAfterMs = fake.sleptMs + 5000;
    assert.equal(fake.run<Outcome>(request()).result, 0, name);
    assert.equal(fake.sleptMs, fake.deviceAfterMs, name);
    fake.deviceAfterMs = Number.POSITIVE_INFINITY;
    if (name !== 'renameVg') assert.equal(fake.run<Outcome>(request()).result, -212, name);
  }
});

test('the search for a free slot goes on where it ended, and wraps once', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  const places: string[] = [];
  for (let lv = 0; lv < 5; lv++) {
    assert.equal(fake.run(space.findFree()).result, 0);
    places.push(fake.run(space.initLv(`lv${lv}`)).lvLockArgs);
  }
  assert.deepEqual(
    places,
    [67, 68, 69, 70, 71].map((slot) => `1.0.0:${slot * MIB}`),
  );
  assert.equal(fake.run(space.findFree()).result, -90);
  fake.slots.set(68 * MIB, { space: 'lvm_vg', name: '#unused' });
  assert.equal(fake.run(space.findFree()).result, 0);
  assert.equal(fake.run(space.initLv('again')).lvLockArgs, `1.0.0:${68 * MIB}`);
  assert.equal(fake.run(space.findFree()).result, -90);
  fake.slotCount = 80; // lvm extends the device and zeroes what it adds
  assert.equal(fake.run(space.findFree()).result, 0);
  assert.equal(fake.run(space.initLv('more')).lvLockArgs, `1.0.0:${72 * MIB}`);
});

test('a lease that cannot be written ends the making of a VG; several are written at once', () => {
  for (const failing of [0, 1, 2, 3, 4, 5]) {
    const fake = new FakeSanlock();
    fake.slotCount = 73; // the end is within the second batch
    const written = Array.from({ length: failing }, () => ({}));
    fake.script('write_resource', ...written, { code: -5 });
    assert.equal(fake.run(manager.initVg({ ...VG, vgLockArgs: 'lvmlock' }, true)).result, -218);
    assert.equal(fake.mostAtOnce, 4);
  }
  const small = new FakeSanlock();
  small.slotCount = 66; // no room for the lease of the VG
  const made = small.run(manager.initVg({ ...VG, vgLockArgs: 'lvmlock' }, true));
  assert.equal(made.result, -90);
});

test('the end of the device is known, or found by a refusal', () => {
  for (const saysSize of [true, false]) {
    const fake = new FakeSanlock();
    fake.saysSize = saysSize;
    assert.equal(fake.run(manager.initVg({ ...VG, vgLockArgs: 'lvmlock' }, true)).result, 0);
    const writes = fake.asked.filter((call) => call === 'write_resource');
    assert.equal(writes.length, saysSize ? 7 : 8);
    assert.deepEqual([...fake.slots.keys()].slice(-1), [71 * MIB]);
    fake.asked.length = 0;
    assert.equal(fake.run(manager.renameVg(VG)).result, 0);
    assert.equal(fake.asked.filter((call) => call === 'read_resource').length, saysSize ? 7 : 8);
    assert.equal(fake.asked.filter((call) => call === 'write_resource').length, 7);
  }
});

test('an LV that has a lease already is refused', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  assert.equal(fake.run(space.initLv('lv0')).result, 0);
  assert.equal(fake.run(space.initLv('lv0')).result, -17);
});

test('only LV slots are ever freed', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  assert.equal(fake.run(space.freeLv({ ...LV, lvLockArgs: `1.0.0:${66 * MIB}` })).result, -1);
  assert.equal(fake.run(space.freeLv({ ...LV, lvLockArgs: 'nonsense' })).result, -1);
  assert.equal(fake.slots.get(66 * MIB)?.name, 'VGLK');
  assert.equal(fake.run(space.initLv(LV.name)).result, 0);
  assert.equal(fake.run(space.freeLv(LV)).result, 0);
  assert.equal(fake.slots.get(67 * MIB)?.name, '#unused');
});

test('a rename skips slots that cannot be read, and reports them at the end', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  fake.run(space.initLv('lv0'));
  fake.slots.delete(69 * MIB); // never written
  const ok = { name: 'GLLK' };
  fake.script('read_resource', ok, { name: 'VGLK' }, { code: SANLOCK_CODES.LEADER_CHECKSUM });
  assert.equal(fake.run(manager.renameVg({ ...VG })).result, -221);
  assert.equal(fake.slots.get(71 * MIB)?.space, 'lvm_vg');
});

test('sanlock numbers become numbers lvm knows', () => {
  const table: readonly (readonly [number, 'sh' | 'ex', number, boolean])[] = [
    [-11, 'ex', -11, false],
    [SANLOCK_CODES.ACQUIRE_IDLIVE, 'sh', -11, true],
    [SANLOCK_CODES.ACQUIRE_OWNED, 'ex', -11, false],
    [SANLOCK_CODES.ACQUIRE_OWNED_RETRY, 'sh', -11, false],
    [SANLOCK_CODES.AIO_TIMEOUT, 'ex', -225, false],
    [SANLOCK_CODES.DBLOCK_MBAL, 'ex', -11, false],
    [-90, 'ex', -90, false],
    [-5, 'ex', -218, false],
    [-28, 'ex', -218, false],
    [SANLOCK_CODES.DBLOCK_READ, 'ex', -218, false],
    [SANLOCK_CODES.LEADER_RESOURCE, 'ex', -221, false],
    [SANLOCK_CODES.LEADER_CHECKSUM, 'ex', -226, false],
    [-9999, 'ex', -221, false],
  ];
  for (const [code, mode, result, retry] of table) {
    const fake = new FakeSanlock();
    const space = started(fake);
    fake.slots.set(67 * MIB, { space: 'lvm_vg', name: LV.name });
    fake.script('acquire', { code });
    const outcome = fake.run(space.lock(LV, mode, false));
    assert.deepEqual([outcome.result, outcome.retry], [result, retry], `code ${code} ${mode}`);
  }
});

test('a lease left with us by a call without answer, and an orphan of ours, are taken over', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  fake.run(space.initLv(LV.name));
  fake.asked.length = 0;
  fake.script('acquire', { code: -17 });
  assert.equal(fake.run(space.lock(LV, 'ex', false)).result, 0);
  assert.deepEqual(fake.asked, ['acquire', 'release', 'acquire']);
  fake.script('acquire', { code: -117 });
  assert.equal(fake.run(space.lock(LV, 'ex', false)).result, 0);
});

test('a lock is one call and its release another: no value block is read or written', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  assert.equal(fake.run(space.lock(VGLK, 'ex', false)).result, 0);
  fake.run(space.unlock({ resource: VGLK, mode: 'ex', newVersion: 7 }));
  assert.deepEqual(fake.asked, ['acquire', 'release']);
  assert.deepEqual(fake.acquireFlags, [ACQUIRE_FLAGS.OWNER_NOWAIT]);
});

test('after a crash the lockspace is taken over with its LV locks, not with its VG lock', () => {
  const fake = new FakeSanlock();
  const first = started(fake);
  for (const name of ['lv0', 'lv1']) fake.run(first.initLv(name));
  const lease = (name: string, slot: number, shared: number) => {
    const resource = resourceAt(SITE, name, slot * MIB);
    return { list: 'orphan', resource: { ...resource, flags: resource.flags | shared } };
  };
  const other = { ...lease('x', 67, 0), list: 'held' };
  fake.leases.push(lease('VGLK', 66, 0), lease('lv0', 67, 0), lease('lv1', 68, RES_FLAGS.SHARED));
  fake.leases.push(other);
  fake.script('add_lockspace', { code: -17 });
  const again = manager.open(VG, 2);
  fake.run(again.prepare(1));
  const joined = fake.run(again.join(true));
  assert.deepEqual(
    joined.adopted.map(({ resource, mode }) => `${resource.name} ${resource.lvLockArgs} ${mode}`),
    [`lv0 1.0.0:${67 * MIB} ex`, `lv1 1.0.0:${68 * MIB} sh`],
  );
  fake.script('add_lockspace', { code: -17 });
  assert.equal(fake.run(again.join(false)).result, -221);
});

/** A join over leases of an earlier lvmlockd; `later`: what STATUS says after a few seconds. */
function adoptsFrom(lists: readonly string[], later: (fake: FakeSanlock) => void) {
  const fake = new FakeSanlock();
  const first = started(fake);
  const lvs = lists.map((_, n) => `lv${n}`);
  for (const name of lvs) fake.run(first.initLv(name));
  const show = (of: readonly string[]) => {
    const leases = lvs.map((name, n) => resourceAt(SITE, name, (67 + n) * MIB));
    fake.leases.splice(0);
    for (const [n, resource] of leases.entries()) fake.leases.push({ list: of[n] ?? '', resource });
  };
  show(lists);
  const again = manager.open(VG, 2);
  fake.run(again.prepare(1));
  fake.script('add_lockspace', { code: -17 });
  fake.asked.length = 0;
  fake.onSleep = () => {
    if (fake.sleptMs >= 3000) later(fake);
  };
  const { result, adopted, notAdopted } = fake.run(again.join(true));
  assert.equal(result, 0);
  return { fake, adopted: adopted.map(({ resource }) => resource.name), notAdopted };
}

test('a join waits until sanlock knows which leases are orphans, and adopts each', () => {
  for (const list of ['add', 'held']) {
    const { fake, ...found } = adoptsFrom(['orphan', list], ({ leases }) => {
      for (const [n, one] of leases.entries()) leases[n] = { ...one, list: 'orphan' };
    });
    assert.deepEqual(found, { adopted: ['lv0', 'lv1'], notAdopted: [] });
    assert.equal(fake.sleptMs, 3000);
    assert.ok(!fake.asked.includes('release'), 'nothing is released');
  }
});

test('it does not wait for ever, and says which lease it could not adopt', () => {
  const { fake, ...found } = adoptsFrom(['orphan', 'add', 'rem'], () => {});
  assert.deepEqual(found, { adopted: ['lv0'], notAdopted: ['lv1'] });
  assert.equal(fake.sleptMs, 8000);
  assert.ok(!fake.asked.includes('release'));
});

test('a join waits for one that an earlier lvmlockd had under way, and then takes it over', () => {
  const fake = new FakeSanlock();
  started(fake);
  const again = manager.open(VG, 2);
  fake.run(again.prepare(1));
  fake.script('add_lockspace', { code: -115 }, { code: -115 }, { code: -17 });
  assert.equal(fake.run(again.join(true)).result, 0);
  assert.equal(fake.sleptMs, 1000);
});

test('a join that only an administrator can make possible does not wait', () => {
  const fake = new FakeSanlock();
  started(fake);
  const again = manager.open(VG, 2);
  fake.run(again.prepare(1));
  fake.script('add_lockspace', { code: -16 });
  assert.equal(fake.run(again.join(true)).result, -16);
  assert.equal(fake.sleptMs, 0);
});

test('orphans keep a lockspace from being left; a release under way only delays it', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  const how = { held: [], removeVg: false, dropAll: false };
  fake.script('rem_lockspace', { code: -16 }, { code: -16 }, { code: 0 });
  assert.equal(fake.run(space.leave(how)).result, 0);
  assert.ok(fake.sleptMs > 0);

  const held = new FakeSanlock();
  const kept = started(held);
  held.leases.push({ list: 'orphan', resource: resourceAt(SITE, 'lv0', 67 * MIB) });
  held.script('rem_lockspace', { code: -16 });
  assert.equal(held.run(kept.leave(how)).result, -16);
});

test('a stop that sanlock died over releases no orphan that lvmlockd does not hold', () => {
  const lease = (name: string, slot: number, list: string) => {
    return { list, resource: resourceAt(SITE, name, slot * MIB) };
  };
  const released = (dropAll: boolean) => {
    const fake = new FakeSanlock();
    const space = started(fake);
    const ours = { resource: LV, mode: 'ex', newVersion: 0 } as const;
    fake.leases.push(lease(LV.name, 67, 'orphan'), lease('VGLK', 66, 'orphan'));
    fake.leases.push(lease('of an active LV', 68, 'orphan'), lease('lv3', 69, 'held'));
    const cut = { code: -107, answered: false };
    fake.script('release', cut, cut);
    fake.run(space.leave({ held: dropAll ? [] : [ours], removeVg: false, dropAll }));
    return fake.asked.filter((call) => call === 'release').length - (dropAll ? 1 : 2);
  };
  assert.equal(released(false), 3);
  assert.equal(released(true), 4, 'an administrator says that nothing is active');
});

test('a stop without answer keeps the lockspace, a drop gives it up', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  fake.script('rem_lockspace', { code: -110, answered: false }, { code: -110, answered: false });
  assert.equal(fake.run(space.leave({ held: [], removeVg: false, dropAll: false })).result, -16);
  assert.equal(fake.run(space.leave({ held: [], removeVg: false, dropAll: true })).result, 0);
});

test('a removed VG leaves unusable leases behind', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  const held = [{ resource: VGLK, mode: 'ex', newVersion: 0 }] as const;
  assert.equal(fake.run(space.leave({ held, removeVg: true, dropAll: false })).result, 0);
  assert.equal(fake.slots.get(0)?.space, '#unused');
});

test('a VG counts as released only when sanlock confirms it', () => {
  const releases = (answer: Scripted, joinedHere = false) => {
    const fake = new FakeSanlock();
    if (joinedHere) fake.joined.push(areaAt(SITE, 1));
    fake.script('rem_lockspace', answer);
    const { result, keepsNothing } = fake.run(manager.releaseKept('vg'));
    return `${result} ${keepsNothing}`;
  };
  assert.equal(releases({ code: 0 }), '0 true');
  assert.equal(releases({ code: -2 }), '-210 true');
  assert.equal(releases({ code: -16 }), '-16 false');
  assert.equal(releases({ code: -2, answered: false }), '-210 false');
  assert.equal(releases({ code: -22 }), '-210 false');
  assert.equal(releases({ code: 0 }, true), '-210 false');
});

test('an LV of the VG is active if device-mapper has its uuid, and the LV of the leases', () => {
  const lv = (deviceName: string, vgUuid: string, lvUuid: string) => ({
    deviceName,
    deviceUuid: `LVM-${vgUuid}${lvUuid}`,
    vgUuid,
    lvUuid,
    sizeBytes: 0,
    isHeld: false,
  });
  const own = lv('vg-lvmlock', 'V', 'lock');
  const others = [lv('vg-data', 'V', 'data'), lv('vg-pool-tpool', 'V', 'pool')];
  const again = lv('vg-pool', 'V', 'pool');
  const activeOf = (activeLvs: FakeSanlock['activeLvs']) => {
    const fake = new FakeSanlock();
    fake.activeLvs = activeLvs;
    return fake.run(manager.open(VG, 2).activeLvs());
  };
  assert.deepEqual(activeOf([own, ...others, again, lv('root', 'W', 'r')]), ['data', 'pool']);
  assert.equal(activeOf(null), null);
  assert.equal(activeOf(others), null, 'the leases are not under device-mapper: nothing is known');
  assert.deepEqual(activeOf([own]), []);
});

test('the LVs that have a lease are read from the device', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  for (const name of ['lv0', 'lv1', 'lv2']) fake.run(space.initLv(name));
  fake.run(space.freeLv({ scope: 'lv', name: 'lv1', lvLockArgs: `1.0.0:${68 * MIB}` }));
  const found = fake.run(space.leasedLvs()).map(({ name, lvLockArgs }) => `${name} ${lvLockArgs}`);
  assert.deepEqual(found, [`lv0 1.0.0:${67 * MIB}`, `lv2 1.0.0:${69 * MIB}`]);
});

test('a VG with a long name is found by the name that the adopt file has', () => {
  const vgName = 'v'.repeat(50);
  const fake = new FakeSanlock();
  const area = { ...areaAt(SITE, 3), name: `lvm_${vgName}`.slice(0, 48) };
  fake.joined.push({ ...area, path: `/dev/mapper/${vgName}-lvmlock` });
  assert.deepEqual(fake.run(manager.findSpaces([])).spaces, []);
  const [found] = fake.run(manager.findSpaces([vgName])).spaces;
  assert.deepEqual([found?.vgName, found?.hostId], [vgName, 3]);
});
