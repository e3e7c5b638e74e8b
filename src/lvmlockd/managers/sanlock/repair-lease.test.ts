import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../../base/units.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import { HOST_STATES } from '../../../wire/sanlock/socket.ts';
import { resourceAt } from './layout.ts';
import { FakeSanlock, LV, manager, SITE, started, VG, VGLK } from './testing/fake-sanlock.ts';

const { LEADER_CHECKSUM, LEADER_LOCKSPACE, LEADER_MAGIC } = SANLOCK_CODES;
const OTHER = { hostId: 2n, state: HOST_STATES.LIVE };
const OWN = { hostId: 1n, state: HOST_STATES.LIVE };

function withLv() {
  const fake = new FakeSanlock();
  const space = started(fake);
  assert.equal(fake.run(space.initLv(LV.name)).result, 0);
  return { fake, space };
}

test('a damaged lease is never handed out, whatever sanlock calls the damage', () => {
  for (const code of [
    LEADER_MAGIC,
    LEADER_CHECKSUM,
    LEADER_LOCKSPACE,
    SANLOCK_CODES.LEADER_VERSION,
  ]) {
    const fake = new FakeSanlock();
    const space = started(fake);
    fake.damaged.set(67 * MIB, code);
    fake.damaged.set(69 * MIB, code);
    assert.equal(fake.run(space.findFree()).result, 0, `code ${code}`);
    assert.equal(fake.run(space.initLv('a')).lvLockArgs, `1.0.0:${68 * MIB}`);
    assert.equal(fake.run(space.initLv('b')).lvLockArgs, `1.0.0:${70 * MIB}`);
    assert.equal(fake.run(space.initLv('c')).lvLockArgs, `1.0.0:${71 * MIB}`);
    assert.equal(fake.run(space.findFree()).result, -90);
    assert.deepEqual([...fake.damaged.keys()], [67 * MIB, 69 * MIB], 'nothing is written there');
  }
});

test('an area that cannot be read is not taken for one that was never written', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  fake.slots.delete(67 * MIB);
  fake.sectors.set(`${67 * MIB} ${128 * 1024}`, new Uint8Array(128 * 1024).fill(1));
  assert.equal(fake.run(space.initLv('a')).lvLockArgs, `1.0.0:${68 * MIB}`);
});

test('a damaged lease in the middle hides no LV behind it', () => {
  const { fake, space } = withLv();
  fake.run(space.initLv('lv2'));
  fake.damaged.set(67 * MIB, LEADER_MAGIC);
  assert.deepEqual(
    fake.run(space.leasedLvs()).map(({ name }) => name),
    ['lv2'],
  );
});

test('a lock on a damaged lease says that it needs repair, and writes nothing', () => {
  for (const code of [LEADER_MAGIC, LEADER_CHECKSUM, LEADER_LOCKSPACE]) {
    const { fake, space } = withLv();
    fake.damaged.set(67 * MIB, code);
    const { result, repair } = fake.run(space.lock(LV, 'ex', false));
    assert.deepEqual([result, repair], [-226, 'needed']);
    assert.ok(fake.damaged.has(67 * MIB));
  }
});

test('asked to, it is written anew and locked: LV, VG and global lock', () => {
  const GLLK = { scope: 'gl', name: 'GLLK', lvLockArgs: '' } as const;
  for (const [ref, slot] of [
    [LV, 67],
    [VGLK, 66],
    [GLLK, 65],
  ] as const) {
    const { fake, space } = withLv();
    fake.damaged.set(slot * MIB, LEADER_CHECKSUM);
    const { result, repair } = fake.run(space.lock(ref, 'ex', false, true));
    assert.deepEqual([result, repair], [0, 'done'], ref.name);
    assert.equal(fake.slots.get(slot * MIB)?.name, ref.name);
  }
});

test('nothing is written while anybody may hold it', () => {
  const refused = (prepare: (fake: FakeSanlock) => void) => {
    const { fake, space } = withLv();
    fake.damaged.set(67 * MIB, LEADER_CHECKSUM);
    prepare(fake);
    const { result, repair } = fake.run(space.lock(LV, 'ex', false, true));
    assert.deepEqual([result, repair, fake.damaged.size], [-226, 'refused', 1]);
  };
  refused((fake) => {
    fake.hosts = [OWN, OTHER];
  });
  refused((fake) => {
    fake.hosts = [OWN, { hostId: 2n, state: HOST_STATES.UNKNOWN }];
  });
  refused((fake) => fake.script('get_hosts', { code: -107, answered: false }));
  refused((fake) => fake.script('status', { code: -107, answered: false }));
  refused((fake) => {
    fake.leases.push({ list: 'orphan', resource: resourceAt(SITE, LV.name, 67 * MIB) });
  });
  refused((fake) => {
    fake.leases.push({ list: 'held', resource: resourceAt(SITE, 'other name', 67 * MIB) });
  });
});

test("an LV's slot that was freed under it is taken again, another LV's never", () => {
  const { fake, space } = withLv();
  const at = { space: 'lvm_vg', name: '#unused' };
  fake.slots.set(67 * MIB, at);
  fake.hosts = [OWN, OTHER];
  assert.equal(fake.run(space.lock(LV, 'ex', false)).result, -226);
  const { result, repair } = fake.run(space.lock(LV, 'ex', false, true));
  assert.deepEqual([result, repair], [0, 'done']);
  fake.slots.set(67 * MIB, { ...at, name: 'neighbour' });
  assert.equal(fake.run(space.lock(LV, 'ex', false, true)).result, -221);
  assert.equal(fake.slots.get(67 * MIB)?.name, 'neighbour');
});

test('lock args that name no slot of an LV repair nothing', () => {
  for (const offset of [66 * MIB, 67 * MIB + 512]) {
    const { fake, space } = withLv();
    fake.damaged.set(offset, LEADER_CHECKSUM);
    const lv = { ...LV, lvLockArgs: `1.0.0:${offset}` };
    assert.equal(fake.run(space.lock(lv, 'ex', false, true)).result, -226);
    assert.ok(fake.damaged.has(offset));
  }
});

test('one damaged host lease keeps no VG from being started, all of them do', () => {
  const fake = new FakeSanlock();
  started(fake);
  fake.script('read_lockspace', { code: LEADER_CHECKSUM }, { name: 'lvm_vg' });
  assert.equal(fake.run(manager.open(VG, 2).prepare(1)).result, 0);
  const damaged = { code: LEADER_CHECKSUM };
  fake.script('read_lockspace', damaged, damaged, damaged);
  assert.equal(fake.run(manager.open(VG, 3).prepare(1)).result, -226);
  const own = manager.open(VG, 4);
  assert.equal(fake.run(own.prepare(1)).result, 0);
  fake.script('add_lockspace', damaged);
  assert.equal(fake.run(own.join(true)).result, -226, 'the record of this host itself');
});
