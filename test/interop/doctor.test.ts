import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { originalsInstalled } from '../../src/rig/host.ts';
import { Lun } from '../../src/rig/lun.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { Patient, ROOT } from './doctor-rig.ts';
import { FakeWatchdog, whyNoWdmd } from './wdmd-host.ts';

/**
 * Each fault is caused for real on a host of a rig, found by `holdfast doctor`, and cured: by --fix,
 * or by what its plan says. Host 1 is of ours, the others of the originals; host 3 has no watchdog,
 * and at first the host id of host 1; host 4 crashes at once.
 */
const MIB = 1024 * 1024;
const IO_TIMEOUT_S = 3;
/** Another generation, safe time, and the start of programs. */
const DEAD_MS = (8 * IO_TIMEOUT_S + 60 + 60) * 1000;
const LV_SLOT = 67;
const obstacle = rigObstacle() ?? whyNoWdmd() ?? (originalsInstalled() ? null : 'no originals');
const hasMapper = existsSync('/sys/class/misc/device-mapper');

interface World {
  readonly rig: Rig;
  readonly ours: Patient;
  readonly original: Patient;
  readonly third: Patient;
  /** More LUNs than that of the rig: they are free when its hosts are gone. */
  readonly luns: Lun[];
}

const STAGES = [
  ...[starts, hostIds, configuration, slots, records],
  ...[globalLocks, daemonsOfOriginals, otherDaemons, deadHost, killedDaemons, numberOfDead],
];

test('every fault that a host of a rig can have is found, and its cure is one', {
  skip: obstacle ?? false,
  timeout: 900_000,
}, async (t) => {
  const watchdogs = [await FakeWatchdog.start(), await FakeWatchdog.start()];
  const paths = watchdogs.map(({ path }) => path);
  const rig = await Rig.create({
    hosts: [ALL_OURS, ALL_ORIGINAL, ALL_ORIGINAL, ALL_ORIGINAL],
    hostIds: [1, 2, 1, 4],
    bin: join(ROOT, 'bin'),
    ioTimeoutS: IO_TIMEOUT_S,
    watchdogs: [...paths, null, null],
  });
  const luns: Lun[] = [];
  try {
    const [ours, original, third] = rig.hosts.map((host) => new Patient(rig, host));
    assert.ok(ours !== undefined && original !== undefined && third !== undefined);
    const world = { rig, ours, original, third, luns };
    for (const stage of STAGES) {
      const beganMs = Date.now();
      await stage(world);
      t.diagnostic(`${stage.name}: ${Math.round((Date.now() - beganMs) / 1000)} s`);
    }
  } finally {
    await rig.close();
    for (const lun of luns) await lun.close();
    for (const watchdog of watchdogs) watchdog.close();
  }
});

async function starts({ rig, ours, original }: World): Promise<void> {
  for (const host of rig.hosts) await host.startDaemons();
  await ours.host.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
  const doomed = rig.host(4);
  await Promise.all(
    [original.host, doomed].map((host) => host.mustLvm('vgchange', '--lockstart', rig.vg)),
  );
  for (const name of ['lv1', 'lv2']) {
    await ours.host.mustLvm('lvcreate', '-an', '-L', '8m', '-n', name, rig.vg);
  }
  await doomed.mustLvm('lvchange', '-aey', `${rig.vg}/lv2`);
  doomed.crash();
  await ours.isWell();
  await original.isWell();
}

/** It is used: locked, refused to another host, and given back. */
async function isUsable({ rig, ours, original }: World, lv = 'lv1'): Promise<void> {
  const name = `${rig.vg}/${lv}`;
  await ours.host.mustLvm('lvchange', '-aey', name);
  assert.notEqual((await original.host.lvm('lvchange', '-aey', name)).code, 0, 'it is locked');
  await ours.host.mustLvm('lvchange', '-an', name);
  await original.host.mustLvm('lvchange', '-aey', name);
  await original.host.mustLvm('lvchange', '-an', name);
}

async function hostIds(world: World): Promise<void> {
  const { rig, ours, third } = world;
  const found = await third.finds('hostIdInUse', 'watchdogOff');
  assert.match(found.get('hostIdInUse')?.found ?? '', /host id 1 .*host-1, which is alive/);
  assert.equal(found.has('vgNotStarted'), false, 'nobody is to try it by that number');
  third.editsLvm('lvmlocal.conf', () => 'local { host_id = 3 }\n');
  await third.finds('vgNotStarted');
  await third.fixes('vgNotStarted', /start VG/);
  await third.host.mustLvm('lvchange', '-aey', `${rig.vg}/lv1`);
  await third.host.mustLvm('lvchange', '-an', `${rig.vg}/lv1`);

  for (const [kind, text] of [
    ['hostIdUnset', ''],
    ['hostIdOutOfRange', 'local { host_id = 2001 }\n'],
  ] as const) {
    const restore = ours.editsLvm('lvmlocal.conf', () => text);
    await ours.finds(kind);
    restore();
  }
  await ours.isWell();
}

async function configuration(world: World): Promise<void> {
  const { ours, original } = world;
  for (const [kind, more] of [
    ['lvmConfUnreadable', 'global {'],
    ['lvmConfUnknownKey', 'global/use_lvmlock = 1'],
    ['lvmlockdNotUsed', 'global/use_lvmlockd = 0'],
  ] as const) {
    const restore = original.editsLvm('lvm.conf', (text) => `${text}${more}\n`);
    await original.finds(kind);
    restore();
  }
  if (!hasMapper) {
    const restore = ours.editsLvm('lvm.conf', (text) => `${text}global/activation = 1\n`);
    await ours.finds('deviceMapperAbsent');
    restore();
  }
  const other = `#!/bin/sh
[ "$1" = version ] || exec /usr/sbin/lvm "$@"
echo "  Configuration:   ./configure --prefix=/usr --enable-lvmpolld"
`;
  writeFileSync(original.host.path('/run/lvm/lvm'), other, { mode: 0o755 });
  const told = await original.shell('PATH=/run/lvm:$PATH holdfast doctor || true');
  assert.match(told, /\[lvmWithoutLvmlockd\]/, 'an lvm of another build comes first in PATH');
  await original.shell('rm /run/lvm/lvm');
  await ours.ownsEtc();
  await ours.shell(`mkdir -p /etc/sanlock /etc/wdmd.d
    echo 'io_timeout = 0' >/etc/sanlock/sanlock.conf
    echo 'sh_retrys = 3' >>/etc/sanlock/sanlock.conf
    echo 'export OPTIONS="-g sanlock"' >/etc/default/lvmlockd
    printf '#!/bin/sh\\n' >/etc/wdmd.d/check; chmod 755 /etc/wdmd.d/check`);
  await ours.finds(
    ...(['sanlockConfRefused', 'sanlockConfQuestionable', 'defaultsLineSkipped'] as const),
    'wdmdScriptSkipped',
  );
  await ours.shell(`rm -r /etc/sanlock /etc/wdmd.d /etc/default/lvmlockd`);
  await ours.isWell();
  await isUsable(world);
}

async function atDevice<T>(
  { rig }: World,
  use: (device: Awaited<ReturnType<typeof open>>) => Promise<T>,
): Promise<T> {
  const device = await open(rig.lun.lvmlock, 'r+');
  try {
    const done = await use(device);
    await device.sync();
    return done;
  } finally {
    await device.close();
  }
}

async function slots(world: World): Promise<void> {
  const { ours } = world;
  await atDevice(world, (device) => device.write(new Uint8Array(MIB), 0, MIB, LV_SLOT * MIB));
  await ours.finds('leaseSlotsWrong');
  await ours.fixes('leaseSlotsWrong', /have lvmlockd mend/);
  await isUsable(world);

  const restore = ours.editsLvm('lvm.conf', (text) => `${text}global/sanlock_lv_extend = 0\n`);
  await ours.shell(`python3 ${ROOT}/test/vm/fill-leases.py ${world.rig.lun.lvmlock}`);
  await ours.finds('leaseAreaFull', 'leaseSlotsWrong');
  await ours.fixes('leaseSlotsWrong', /have lvmlockd mend/);
  restore();
  await ours.isWell();
  await isUsable(world);
}

async function records(world: World): Promise<void> {
  const { rig, ours, original } = world;
  const sector = 512;
  const spare = 4 * sector; // the host lease of host id 5, which no host has
  const before = await atDevice(world, async (device) => {
    const { buffer } = await device.read(Buffer.alloc(sector), 0, sector, spare);
    await device.write(Buffer.alloc(sector, 0x55), 0, sector, spare);
    return buffer;
  });
  await ours.finds('hostLeaseDamaged');
  await atDevice(world, (device) => device.write(before, 0, sector, spare));

  // Of a host that has left: the lease is mended without a wait for its end.
  await original.host.mustLvm('lvchange', '-aey', `${rig.vg}/lv1`);
  await original.host.mustLvm('lvchange', '-an', `${rig.vg}/lv1`);
  await original.host.mustLvm('vgchange', '--lockstop', rig.vg);
  const block = LV_SLOT * MIB + (1 + 2) * sector;
  await atDevice(world, (device) => device.write(Buffer.alloc(40, 0x77), 0, 40, block));
  const found = await ours.finds('hostBlockDamaged');
  assert.equal(found.get('hostBlockDamaged')?.about, `${rig.vg}/lv1`);
  await ours.shell(`holdfast repair ${rig.vg}/lv1`);
  await original.fixes('vgNotStarted', /start VG/);
  await ours.isWell();
  await isUsable(world);

  const words = ['-T', '--monotonic', '-90', join(ROOT, 'bin/holdfast'), 'doctor'];
  const ran = await ours.host.run('unshare', words);
  assert.match(ran.stdout, /\[timestampAhead\]/, 'the clock of the one who looks went back');
}

async function globalLocks(world: World): Promise<void> {
  const { rig, ours, third, luns } = world;
  const { vg } = rig;
  await ours.shell(`lvmlockctl --gl-disable ${vg}`);
  await ours.finds('noGlobalLock');
  await ours.shell(`lvmlockctl --gl-enable ${vg}`);
  await ours.isWell();

  // Another VG, made where the first one was not started.
  const lun = await Lun.create(join(rig.dir, 'lun2.img'), 320);
  luns.push(lun);
  const other = `${vg}b`;
  const both = (text: string) =>
    text.replace(/"a\|\^[^"]*"/, (first) => `${first}, "a|^${lun.device}$|"`);
  const restores = [ours, third].map((patient) => patient.editsLvm('lvm.conf', both));
  for (const patient of [ours, third]) {
    await patient.shell(`ln -s ${lun.lvmlock} /dev/mapper/${other}-lvmlock`);
  }
  await third.host.mustLvm('vgchange', '--lockstop', vg);
  // The original answers a moment before it has forgotten the VG: it would not be the first one.
  const isForgotten = async () => !(await third.shell('lvmlockctl -i')).includes(vg);
  await until(`host 3 to forget ${vg}`, isForgotten, SOON);
  await third.host.mustLvm('vgcreate', '--shared', other, lun.device);
  await third.host.mustLvm('vgchange', '--lockstart', vg);
  await ours.host.mustLvm('vgchange', '--lockstart', other);
  await ours.finds('twoGlobalLocks');
  await third.shell(`lvmlockctl --gl-disable ${other}`);
  const isOne = async () =>
    !(await ours.looks()).findings.some((one) => one.kind === 'twoGlobalLocks');
  await until('one global lock', isOne, { withinMs: 60_000, everyMs: 500 });
  await lockTypes(ours, other);
  await ours.host.mustLvm('vgchange', '--lockstop', other);
  await third.host.mustLvm('vgchange', '--lockstop', other);
  for (const undo of restores) undo();
  await ours.isWell();
  await isUsable(world);
}

/** Metadata that were restored from a copy that somebody had changed. */
async function lockTypes(ours: Patient, vg: string): Promise<void> {
  const restore = (file: string) =>
    ours.shell(`vgcfgrestore --config global/use_lvmlockd=0 -f ${file} ${vg} 2>&1`);
  const clustered =
    's/status = .*READ"]/status = ["RESIZEABLE", "READ", "WRITE", "CLUSTERED"]/;/flags = .*WRITE_LOCKED/d;/lock_/d';
  for (const [kind, edit] of [
    ['vgLockArgsWrong', 's/lock_args = .*/lock_args = "lvmlock"/'],
    ['vgClustered', `1,/physical_volumes/{${clustered}}`],
  ] as const) {
    await ours.shell(`vgcfgbackup -f /run/meta ${vg}; sed '${edit}' /run/meta >/run/wrong`);
    await restore('/run/wrong');
    await ours.finds(kind);
    await restore('/run/meta');
  }
}

async function daemonsOfOriginals(world: World): Promise<void> {
  const { rig, original, third } = world;
  await original.host.kill('lvmlockd', 'SIGSTOP');
  await original.finds('daemonSilent');
  await original.host.kill('lvmlockd', 'SIGCONT');
  await original.isWell();

  await original.shell(`rm /dev/mapper/${rig.vg}-lvmlock`);
  await original.finds('leaseDeviceGone');
  await original.shell(`ln -s ${rig.lun.lvmlock} /dev/mapper/${rig.vg}-lvmlock`);
  await original.isWell();

  await third.shell('mount -o remount,size=256k /run; dd if=/dev/zero of=/run/fill bs=4k || true');
  await third.finds('runFolderFull');
  await third.shell('rm /run/fill; mount -o remount,size=64m /run');
  await third.isWell('watchdogOff');
}

/** Daemons that somebody started in another way than the units do. */
async function otherDaemons({ rig, original, third }: World): Promise<void> {
  const { host } = third;
  const first = ['/usr/sbin/sanlock', 'daemon', '-D', '-w', '0', '-U', 'root', '-G', 'root'];
  const second = host.spawn('env', ['SANLOCK_RUN_DIR=/run/second', ...first]);
  await third.comesToFind('daemonTwice');
  second.kill();
  await until('one sanlock', async () => !(await third.tells('daemonTwice')), SOON);

  await host.mustLvm('vgchange', '--lockstop', rig.vg);
  await host.kill('lvmlockd', 'SIGKILL');
  await third.shell('cp /usr/sbin/lvmlockd /run/lvm/lvmlockd');
  const copied = host.spawn('/run/lvm/lvmlockd', ['-D', '-g', 'sanlock']);
  const serves = async () => (await host.run('lvmlockctl', ['-i'])).code === 0;
  await until('the copied lvmlockd', serves, SOON);
  await third.shell('rm /run/lvm/lvmlockd');
  await third.finds('programReplaced');
  copied.kill('SIGKILL');
  await host.startLvmlockd();

  await host.kill('sanlock');
  for (const [kinds, how] of [
    [
      ['priorityLow', 'memoryNotLocked'],
      [
        'setpriv',
        '--bounding-set=-sys_nice,-ipc_lock',
        'prlimit',
        '--memlock=0',
        '--rtprio=0',
        ...first,
        '-h',
        '1',
        '-l',
        '1',
      ],
    ],
  ] as const) {
    const [program = '', ...args] = how;
    await third.shell('rm -rf /run/sanlock; mkdir /run/sanlock');
    const daemon = host.spawn(program, args);
    for (const kind of kinds) await third.comesToFind(kind);
    daemon.kill('SIGKILL');
    await until('its end', () => daemon.exitCode !== null || daemon.signalCode !== null, SOON);
  }
  await third.shell('rm -rf /run/sanlock; mkdir /run/sanlock');
  await host.startSanlock();
  await third.fixes('vgNotStarted', /start VG/);
  await third.isWell('watchdogOff');
  await original.isWell();
}

const SOON = { withinMs: 60_000, everyMs: 200 } as const;

/** What a crash of each of our daemons leaves, found while there is time, and made good. */
async function killedDaemons(world: World): Promise<void> {
  const { rig, ours } = world;
  const { host } = ours;
  const lv = `${rig.vg}/lv1`;
  await host.mustLvm('lvchange', '-aey', lv);

  await host.kill('lvmlockd');
  await ours.finds('daemonAbsent', 'staleRunFile', 'orphanLease');
  await ours.fixes('staleRunFile', /remove/);
  await host.startLvmlockd();
  await ours.isWell();

  await host.kill('sanlock');
  await ours.finds('daemonAbsent', 'watchdogDutyDead', 'vgReturning');
  await host.startSanlock();
  const isBack = async () => (await ours.looks()).findings.length === 0;
  await until('the VG attached again', isBack, { withinMs: 60_000, everyMs: 500 });

  await host.kill('wdmd');
  await ours.finds('daemonAbsent', 'wdmdUncleanEnd', 'watchdogDeviceAbsent');
  // A device that another program has: the kernel's /dev is all hosts', so this one has its own.
  await ours.shell(`mkdir /run/dev /run/dev/upper /run/dev/work
    mount -t overlay overlay -o lowerdir=/dev,upperdir=/run/dev/upper,workdir=/run/dev/work /dev
    touch /dev/watchdog0`);
  const holder = host.spawn('/bin/sh', ['-c', 'exec sleep 60 3>/dev/watchdog0']);
  await ours.comesToFind('watchdogHeld');
  holder.kill('SIGKILL');
  await ours.shell('umount /dev');
  await host.startWdmd();
  await until('wdmd in use again', isBack, { withinMs: 60_000, everyMs: 500 });

  await host.mustLvm('lvchange', '-an', lv);
  await isUsable(world);
}

/** Host 4 has lost power at the beginning, with an LV. */
async function deadHost({ rig, ours }: World): Promise<void> {
  await ours.comesToFind('hostDead', DEAD_MS);
  await ours.host.mustLvm('lvchange', '-aey', `${rig.vg}/lv2`);
  await ours.isWell();
}

/** Host 3, which has left, is given its number. */
async function numberOfDead({ rig, third }: World): Promise<void> {
  await third.host.mustLvm('vgchange', '--lockstop', rig.vg);
  third.editsLvm('lvmlocal.conf', () => 'local { host_id = 4 }\n');
  const found = await third.finds('hostIdUsedBefore');
  assert.match(found.get('hostIdUsedBefore')?.evidence[0] ?? '', /host-4.*not renewed in the/);
  // It waits until that host is surely gone: longer than this test.
  void third.host.lvm('vgchange', '--lockstart', rig.vg);
  await third.comesToFind('lockspaceMoving');
}
