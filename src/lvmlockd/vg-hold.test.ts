import assert from 'node:assert/strict';
import { test } from 'node:test';
import { both, OK } from './managers/manager.ts';
import { Harness } from './testing/harness.ts';

const VG = 'vg_name="a" vg_lock_type="sanlock" vg_lock_args="1.0.0:lvmlock"';

/** A command of lvm, with the requests that it sends; the VG is started. */
class Command {
  readonly harness: Harness;
  readonly #cmd: string;

  constructor(cmd: string, more: { readonly freesAfterCommit?: boolean } = {}) {
    this.harness = new Harness();
    this.harness.freesAfterCommit = more.freesAfterCommit ?? false;
    this.harness.open(1);
    this.harness.start('a');
    this.#cmd = cmd;
    assert.equal(this.lockVg('ex'), '0 none');
  }

  lockVg(mode: string): string {
    return this.#ask(`request="lock_vg" cmd="${this.#cmd}" mode="${mode}"`);
  }

  /** A lock as lvremove takes it, given up at once. */
  lockLv(name: string, mode: string): string {
    const lv = `lv_uuid="${name}" lv_lock_args="1.0.0:${name}" opts="persistent"`;
    return this.#ask(`request="lock_lv" cmd="${this.#cmd}" mode="${mode}" ${lv}`);
  }

  free(name: string, args = `1.0.0:${name}`): string {
    return this.#ask(`request="free_lv" lv_uuid="${name}" lv_lock_args="${args}"`);
  }

  make(name: string): string {
    return this.#ask(`request="init_lv" lv_uuid="${name}"`);
  }

  write(): string {
    return this.#ask('request="vg_update" version=7');
  }

  #ask(request: string): string {
    return this.harness.ask(1, `${request} ${VG}`);
  }

  /** The leases that were freed, in order, and the end of the VG lock. */
  get freed(): string {
    const { did } = this.harness.fake;
    return did.filter((one) => one.startsWith('free ') || one === 'unlock VGLK').join(', ');
  }
}

test('lvremove a b, with b locked on another host, frees nothing', () => {
  const lvremove = new Command('lvremove');
  for (const mode of ['ex', 'un']) assert.equal(lvremove.lockLv('a', mode), '0 none');
  assert.equal(lvremove.free('a'), '0 none');
  lvremove.harness.fake.locks = [{ ...both(-11), retry: false, version: 0, glEnabled: null }];
  assert.equal(lvremove.lockLv('b', 'ex'), '-11 none');
  assert.equal(lvremove.lockVg('un'), '0 none');
  assert.equal(lvremove.freed, 'unlock VGLK');
  assert.ok(lvremove.harness.logged.includes('lease.kept'));
});

test('a lease is freed under the VG lock, with the metadata that is without its LV', () => {
  const lvremove = new Command('lvremove');
  for (const name of ['a', 'b']) assert.equal(lvremove.free(name), '0 none');
  assert.equal(lvremove.freed, '');
  assert.equal(lvremove.write(), '0 none');
  assert.equal(lvremove.lockVg('un'), '0 none');
  assert.equal(lvremove.freed, 'free a 1.0.0:a, free b 1.0.0:b, unlock VGLK');
  assert.ok(!lvremove.harness.logged.includes('lease.kept'));
});

test('metadata written before the last LV was given up says nothing about it', () => {
  const lvremove = new Command('lvremove');
  lvremove.free('a');
  lvremove.write();
  lvremove.free('b');
  lvremove.lockVg('un');
  assert.equal(lvremove.freed, 'free a 1.0.0:a, unlock VGLK');
});

test('lvconvert to a pool gives up the lease of a part after it has written the pool', () => {
  const lvconvert = new Command('lvconvert');
  lvconvert.make('pool');
  lvconvert.write();
  lvconvert.free('data');
  lvconvert.lockVg('un');
  assert.equal(lvconvert.freed, 'free data 1.0.0:data, unlock VGLK');
});

test('a new LV that was not written gives its lease back, a written one needs a new write', () => {
  const unwritten = new Command('lvcreate');
  unwritten.make('new');
  unwritten.free('new');
  unwritten.lockVg('un');
  assert.equal(unwritten.freed, 'free new 1.0.0:new, unlock VGLK');

  const written = new Command('lvcreate');
  written.make('new');
  written.write();
  written.free('new');
  written.lockVg('un');
  assert.equal(written.freed, 'unlock VGLK');

  const reverted = new Command('lvcreate');
  reverted.make('new');
  reverted.write();
  reverted.free('new');
  reverted.write();
  reverted.lockVg('un');
  assert.equal(reverted.freed, 'free new 1.0.0:new, unlock VGLK');
});

test('an lvm that frees after the commit is believed without a vg_update', () => {
  const lvremove = new Command('lvremove', { freesAfterCommit: true });
  lvremove.free('a');
  lvremove.lockVg('un');
  assert.equal(lvremove.freed, 'free a 1.0.0:a, unlock VGLK');
  const lvconvert = new Command('lvconvert', { freesAfterCommit: true });
  lvconvert.make('new');
  lvconvert.free('new'); // it leaves the LV in the metadata when it cannot activate it
  lvconvert.lockVg('un');
  assert.equal(lvconvert.freed, 'unlock VGLK');
});

test('a command that dies, and one that is gone from the VG, frees nothing', () => {
  const killed = new Command('lvremove');
  killed.free('a');
  killed.write();
  killed.harness.post({ kind: 'clientClosed', clientId: 1 });
  assert.equal(killed.freed, 'unlock VGLK');
  const dropped = new Command('lvremove');
  dropped.free('a');
  dropped.write();
  dropped.harness.open(2);
  dropped.harness.ask(2, 'request="drop_vg" vg_name="a"');
  assert.equal(dropped.freed, '');
});

test('an LV that gets a lease again under the same lock keeps the one it has', () => {
  const lvconvert = new Command('lvconvert');
  lvconvert.free('a', '1.0.0:81788928');
  assert.equal(lvconvert.make('a'), '0 none');
  lvconvert.write();
  lvconvert.lockVg('un');
  assert.equal(lvconvert.freed, 'unlock VGLK');
});

test('an LV that is locked here keeps its lease', () => {
  const lvremove = new Command('lvremove');
  lvremove.lockLv('a', 'ex');
  assert.equal(lvremove.free('a'), '-16 none');
  lvremove.free('b');
  lvremove.lockLv('b', 'ex');
  lvremove.write();
  lvremove.lockVg('un');
  assert.equal(lvremove.freed, 'unlock VGLK');
});

test('a lease in use elsewhere stays; without storage lvm does not wait for the others', () => {
  const results = (first: number) => {
    const lvremove = new Command('lvremove');
    lvremove.harness.fake.frees = [both(first), OK];
    for (const name of ['a', 'b']) lvremove.free(name);
    lvremove.write();
    assert.equal(lvremove.lockVg('un'), '0 none');
    assert.ok(lvremove.harness.logged.includes('lease.notFreed'));
    return lvremove.freed;
  };
  assert.equal(results(-16), 'free a 1.0.0:a, free b 1.0.0:b, unlock VGLK');
  assert.equal(results(-218), 'free a 1.0.0:a, unlock VGLK');
});

test('a free that sanlock died over is done again before the VG lock ends', () => {
  const lvremove = new Command('lvremove');
  const { harness } = lvremove;
  harness.fake.frees = [{ ...both(-221), interrupted: true }];
  harness.fake.reattached = [{ found: 'attached', lost: [] }];
  lvremove.free('a');
  lvremove.write();
  assert.equal(lvremove.lockVg('un'), '0 none');
  assert.equal(lvremove.freed, 'free a 1.0.0:a, free a 1.0.0:a, unlock VGLK');
});

test('without the VG lock a lease is freed at once, where its last lock was', () => {
  const command = new Command('lvremove');
  command.lockVg('un');
  command.lockLv('a', 'ex');
  command.lockLv('a', 'un');
  assert.equal(command.free('a', 'none'), '0 none');
  assert.equal(command.freed, 'unlock VGLK, free a 1.0.0:a');
  command.lockLv('b', 'ex');
  command.lockLv('b', 'un');
  command.harness.post({ kind: 'clientClosed', clientId: 1 });
  command.harness.open(1);
  assert.equal(command.free('b', 'none'), '-2 none', 'its client has ended');
});

test('vgremove gets no lock of a VG that other hosts have started', () => {
  const lockVg = (cmd: string, otherHosts: Harness['fake']['otherHosts']) => {
    const harness = new Harness();
    harness.open(1);
    harness.start('a');
    harness.fake.otherHosts = otherHosts;
    return harness.ask(1, `request="lock_vg" cmd="${cmd}" mode="ex" ${VG}`);
  };
  const there = { ...both(-16), unknown: false };
  assert.equal(lockVg('vgremove', there), '-11 none');
  assert.equal(lockVg('vgremove', { ...there, unknown: true }), '-11 HOSTS_UNKNOWN,');
  assert.equal(lockVg('lvremove', there), '0 none');
  assert.equal(lockVg('vgremove', { ...OK, unknown: false }), '0 none');
});

test('thousands of LVs leave nothing behind', () => {
  const command = new Command('lvchange');
  command.lockVg('un');
  for (let n = 0; n < 5000; n++) {
    command.lockLv(`lv${n}`, 'ex');
    command.lockLv(`lv${n}`, 'un');
    if (n % 10 !== 9) continue;
    command.harness.post({ kind: 'clientClosed', clientId: 1 });
    command.harness.open(1);
  }
  const [lockspace] = command.harness.state.lockspaces;
  assert.equal(lockspace?.resources.length, 1);
  assert.equal(lockspace?.unlocked.size, 0);
});
