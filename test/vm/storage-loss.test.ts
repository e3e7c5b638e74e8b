import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { pause, until } from '../../src/rig/run.ts';
import { ROOT } from './initramfs.ts';
import { whyNoOriginals } from './original-host.ts';
import { StorageHost } from './storage-host.ts';
import { DISK_BYTES } from './systemd-host.ts';
import { type Machine, Machines, SHARED_DISK } from './vm.ts';
import { VG } from './volume.ts';

/**
 * Two machines lose the disk of their shared VG while a process writes to a volume: one of them
 * with our sanlock and wdmd, the other with the originals. lvmlockd cuts the volumes off and gives
 * up the locks, no watchdog fires, and when the disk is back, under another number, lvm starts the
 * VG and uses the volumes again. When it is lost once more, the daemons can be stopped.
 */
const IO_TIMEOUT_S = 2;
/** The latest moment at which a watchdog fires that nobody has calmed. */
const FIRED_S = 8 * IO_TIMEOUT_S + 60 + 10;
const DEADLINE_MS = 300_000;
const unbuilt = existsSync(`${ROOT}/dist/lvmlockd.cjs`) ? null : 'not built yet: npm run build';
const missing = whyNoOriginals() ?? unbuilt;
const where = missing === null ? { timeout: 900_000 } : { skip: missing };

test('a lost disk costs I/O errors, no reset, and comes back', where, async (t) => {
  const machines = await Machines.start(2, DISK_BYTES);
  try {
    await scenario(t, machines);
  } catch (error) {
    for (const machine of machines.machines) {
      t.diagnostic(`console of ${machine.name}:\n${machine.console().slice(-8000)}`);
    }
    throw error;
  } finally {
    await machines.close();
  }
});

async function scenario(t: TestContext, machines: Machines): Promise<void> {
  const [one, two] = machines.machines as [Machine, Machine];
  const hosts = [
    new StorageHost(one, 1, { seats: 'ours', killAction: 'error' }),
    new StorageHost(two, 2, { seats: 'sanlock and wdmd of the originals', killAction: 'stop' }),
  ] as const;
  await Promise.all(hosts.map((host) => host.start(IO_TIMEOUT_S)));
  await hosts[0].shell(
    `vgcreate --shared --config global/sanlock_lv_extend=80 ${VG} ${SHARED_DISK}`,
  );
  await startVg(hosts[1]);
  for (const host of hosts) await createUsed(host);
  t.diagnostic(`ready after ${seconds(machines.startedMs)} s`);
  await Promise.all(hosts.map((host) => loses(t, host)));
}

const lvOf = ({ hostId }: StorageHost) => `lv${hostId}`;

/** Without udev, lvm makes the node of the leases' LV only after lvmlockd has looked for it. */
async function startVg(host: StorageHost): Promise<void> {
  await host.shell(`until vgchange --lockstart ${VG} && lvmlockctl -i | grep -q 'VG ${VG} '
    do sleep 1; done`);
}

/** Which host's lvmlockd stops the users of a volume before it cuts the volume off. */
const STOPS = 2;

/** A volume, and a process that writes to it all the time; another one has it open. */
async function createUsed(host: StorageHost): Promise<void> {
  const path = `/dev/${VG}/${lvOf(host)}`;
  await host.shell(`lvcreate -aey -L 8m -n ${lvOf(host)} ${VG}`);
  const writes = `while dd if=/dev/zero of=${path} bs=4096 count=1 oflag=direct conv=notrunc
    do sleep 0.1; done 2>/run/writer; echo ended >>/run/writer`;
  host.machine.start(['/bin/sh', '-c', writes]);
  const holds = `exec 3<${path}
    trap 'echo stopped >/run/holder; exit 0' TERM
    echo $$ >/run/holder.pid
    echo open >/run/holder
    while :; do sleep 0.2; done`;
  host.machine.start(['/bin/sh', '-c', holds]);
  await host.shell('until grep -q open /run/holder; do sleep 0.2; done');
}

async function loses(t: TestContext, host: StorageHost): Promise<void> {
  const { machine } = host;
  const mapped = `${VG}-${lvOf(host)}`;
  assert.match(await host.shell(`dmsetup table ${mapped}`), / linear /);
  assert.match(await host.shell(`${ROOT}/bin/lvmlockctl --kill ${VG} --dry-run`), /error table of/);
  const pulledMs = await cutOff(host, mapped);
  t.diagnostic(`${machine.name}: cut off ${seconds(pulledMs)} s after the loss`);
  await host.shell('until grep -q ended /run/writer; do sleep 0.2; done');
  const holder = await host.shell('cat /run/holder');
  assert.match(holder, host.hostId === STOPS ? /^stopped/ : /^open/);
  await host.shell(`kill $(cat /run/holder.pid) || true
    until grep -q stopped /run/holder; do sleep 0.2; done`);
  await readsGoOn(host);
  await host.returnDisk();
  await startVg(host);
  t.diagnostic(`${machine.name}: started again ${seconds(pulledMs)} s after the loss`);
  await usesAgain(host, mapped);
  await isStopped(host, mapped);
  t.diagnostic(`${machine.name}: stopped, and started again, without its disk`);
  await pause(Math.max(0, pulledMs + FIRED_S * 1000 - Date.now()));
  assert.ok(machine.isAlive);
  assert.deepEqual(
    machine.events.filter(({ name }) => name === 'WATCHDOG'),
    [],
  );
}

/** @returns when the disk was pulled */
async function cutOff(host: StorageHost, mapped: string): Promise<number> {
  await host.pullDisk();
  const pulledMs = Date.now();
  const isDone = async () => (await host.shell(`dmsetup table ${mapped}`)).includes(' error');
  await until(`${host.machine.name} cuts its volume off`, isDone, { withinMs: DEADLINE_MS });
  assert.match(await host.shell(`dmsetup table ${mapped}`), /^0 16384 error/);
  return pulledMs;
}

/** The global lock went with the VG: no lock of a lockspace that is no more is asked for. */
async function readsGoOn(host: StorageHost): Promise<void> {
  await host.shell("until ! lvmlockctl -i | grep -q '^VG '; do sleep 0.2; done");
  assert.doesNotMatch(await host.shell('vgs 2>&1'), /error -\d+/);
}

/**
 * None of them remains running for a VG that is no more; a later start finds the VG usable. The
 * volume has a snapshot meanwhile: no layer of the two reaches the disk any more.
 */
async function isStopped(host: StorageHost, mapped: string): Promise<void> {
  const lv = `${VG}/${lvOf(host)}`;
  const layers = `dmsetup table | grep "^${mapped}" | grep -v "^${VG}-lvmlock"`;
  await host.shell(`until lvcreate -s -L 4m -n ${lvOf(host)}snap ${lv}; do sleep 1; done`);
  assert.equal((await host.shell(layers)).split('\n').length, 4);
  await cutOff(host, mapped);
  assert.doesNotMatch(await host.shell(layers), /linear|snapshot/);
  await host.shell("until ! lvmlockctl -i | grep -q '^VG '; do sleep 0.2; done");
  await host.stopDaemons();
  await host.startDaemons();
  await host.returnDisk();
  await startVg(host);
  await host.shell(`lvchange -an ${lv}; lvchange -aey ${lv}
    dd if=/dev/${lv} of=/dev/null bs=4096 count=1 iflag=direct`);
}

/** First by a new table for the volume as it is, and then after a deactivation. */
async function usesAgain(host: StorageHost, mapped: string): Promise<void> {
  const lv = `${VG}/${lvOf(host)}`;
  const reads = `dd if=/dev/${lv} of=/dev/null bs=4096 count=1 iflag=direct`;
  const isLocked = async () =>
    (await host.machine.shell('lvmlockctl -i', DEADLINE_MS)).includes('LK LV ex');
  await until(`the lock of ${lv} is taken again`, isLocked, { withinMs: DEADLINE_MS });
  await host.shell(`lvchange --refresh ${lv}; dmsetup table ${mapped} | grep linear; ${reads}`);
  await host.shell(`lvchange -an ${lv}; lvchange -aey ${lv}; ${reads}`);
}

function seconds(sinceMs: number): string {
  return ((Date.now() - sinceMs) / 1000).toFixed(1);
}
