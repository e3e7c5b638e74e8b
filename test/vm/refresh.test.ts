import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { until } from '../../src/rig/run.ts';
import { ROOT, whyNoMachines } from './initramfs.ts';
import { type Machine, Machines, SHARED_DISK } from './vm.ts';

/**
 * LVs that two machines have active at once, over sanlock alone. One machine extends them, and the
 * other one's device-mapper has the new size; a mapping of an LV that was removed elsewhere is
 * reported while a process has it open, and removed afterwards; an LV without a lock is reported.
 */
const DISK_BYTES = 1024 * MIB;
/** These machines are slow when the host is busy: a renewal must not be missed. */
const IO_TIMEOUT_S = 10;
const DEADLINE_MS = 240_000;
/** An inspection looks once a minute. */
const MINUTE = { withinMs: 300_000, everyMs: 500 };
/** A notice is in the next renewal, and read by the one after that of the other host. */
const NOTICE = { withinMs: 180_000, everyMs: 500 };
const SECTORS_8M = 16_384;
const missing = whyNoMachines();

test('an LV that is extended on one host has its new size on the other', {
  skip: missing ?? false,
  timeout: 900_000,
}, async (t) => {
  const machines = await Machines.start(2, DISK_BYTES);
  try {
    await scenario(machines.machines as [Machine, Machine]);
    t.diagnostic(`after ${((Date.now() - machines.startedMs) / 1000).toFixed(1)} s`);
  } catch (error) {
    for (const machine of machines.machines) {
      t.diagnostic(`console of ${machine.name}:\n${machine.console().slice(-8000)}`);
    }
    throw error;
  } finally {
    await machines.close();
  }
});

async function scenario([one, two]: [Machine, Machine]): Promise<void> {
  await Promise.all([serves(one, 1), serves(two, 2)]);
  await one.shell(
    `vgcreate --shared vg ${SHARED_DISK} && lvcreate -qan -L 8m -n old vg`,
    DEADLINE_MS,
  );
  await two.shell('vgchange --lockstart vg || vgchange --lockstart vg', DEADLINE_MS);
  const ghost = await leavesGhost(one, two);
  await one.shell('lvcreate -qan -L 8m -n free vg', DEADLINE_MS);
  await two.shell('lvchange -aey --lockopt skiplv vg/free', DEADLINE_MS);
  await one.shell(
    'for lv in data more; do lvcreate -qan -L 8m -n $lv vg; lvchange -asy vg/$lv; done',
    DEADLINE_MS,
  );
  await two.shell('lvchange -asy vg/data vg/more', DEADLINE_MS);
  await hasSize(two, 'data', SECTORS_8M);

  const said = await one.shell('lvextend -L 16m --lockopt shupdate vg/data 2>&1', DEADLINE_MS);
  assert.match(said, /Refreshing LV .*data on other hosts/);
  await hasSize(two, 'data', 2 * SECTORS_8M);
  // Two LVs before one renewal: neither is lost.
  await one.shell(
    'lvextend -L 24m --lockopt shupdate vg/data; lvextend -L 16m --lockopt shupdate vg/more',
    DEADLINE_MS,
  );
  await Promise.all([hasSize(two, 'data', 3 * SECTORS_8M), hasSize(two, 'more', 2 * SECTORS_8M)]);
  // lvm asks nobody to tell other hosts.
  await one.shell('lvextend -L 24m --lockopt skiplv vg/more', DEADLINE_MS);
  await hasSize(two, 'more', 3 * SECTORS_8M);

  const isSaid = (words: RegExp) => async () => words.test(two.console());
  await until('the mapping in use is reported', isSaid(/ghost\.found .*device=vg-old/), MINUTE);
  const unlocked = /lv\.activeUnlocked .*device=vg-free/;
  await until('the LV that is active without a lock is reported', isSaid(unlocked), MINUTE);
  assert.match(await two.shell(`${ROOT}/bin/lvmlockctl -i`, DEADLINE_MS), /ST vg vg-old ghost:/);
  await two.shell(`dmsetup info ${ghost} && kill $(cat /run/user-of-ghost)`, DEADLINE_MS);
  const isGone = async () => (await two.run(['dmsetup', 'info', ghost], DEADLINE_MS)).status !== 0;
  await until('the mapping that nobody uses is removed', isGone, MINUTE);
  assert.match(two.console(), /ghost\.removed/);
  await two.shell('dmsetup info vg-data && dmsetup info vg-more', DEADLINE_MS);
  await two.shell('lvchange -an vg/data vg/more vg/free', DEADLINE_MS);
}

/** Machine two keeps a mapping of an LV, open, which machine one removes. @returns its name */
async function leavesGhost(one: Machine, two: Machine): Promise<string> {
  const uuids = await one.shell('lvs --noheadings -o vg_uuid,lv_uuid vg/old', DEADLINE_MS);
  const uuid = `LVM-${uuids.replace(/[-\s]/g, '')}`;
  const table = `0 ${SECTORS_8M} linear ${SHARED_DISK} 1048576`;
  await two.shell(
    `dmsetup create vg-old --uuid ${uuid} --table '${table}'; dmsetup mknodes vg-old`,
    DEADLINE_MS,
  );
  const user = 'echo $$ >/run/user-of-ghost; exec sleep 100000 </dev/mapper/vg-old';
  two.start(['/bin/sh', '-c', user]);
  const isOpen = '[ "$(dmsetup info -c --noheadings -o open vg-old)" = 1 ]';
  await two.shell(`until ${isOpen}; do sleep 0.2; done`, DEADLINE_MS);
  await one.shell('lvremove -y vg/old', DEADLINE_MS);
  return 'vg-old';
}

async function hasSize(machine: Machine, lv: string, sectors: number): Promise<void> {
  const is = async () => {
    const shown = await machine.shell(
      `blockdev --getsz /dev/mapper/vg-${lv}; dmsetup table vg-${lv} | awk '{ n += $2 } END { print n }'`,
      DEADLINE_MS,
    );
    return shown === `${sectors}\n${sectors}`;
  };
  await until(`vg/${lv} has ${sectors} sectors on ${machine.name}`, is, NOTICE);
}

/** sanlock and lvmlockd of ours, and lvm's configuration. */
async function serves(machine: Machine, hostId: number): Promise<void> {
  await machine.shell(
    `mkdir -p /run/sanlock /run/lvm /run/lock/lvm
    cat >/etc/lvm/lvmlocal.conf <<END
    local { host_id = ${hostId} }
    global { use_lvmlockd = 1 }
    activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
    devices { obtain_device_list_from_udev = 0 use_devicesfile = 0 }
END`,
    DEADLINE_MS,
  );
  const root = ['-U', 'root', '-G', 'root'];
  machine.start([`${ROOT}/bin/sanlock`, 'daemon', '-D', '-w', '0', ...root, '-e', machine.name]);
  await machine.shell(`until ${ROOT}/bin/sanlock client version; do sleep 0.3; done`, DEADLINE_MS);
  machine.start([`${ROOT}/bin/lvmlockd`, '-D', '-g', 'sanlock', '-o', `${IO_TIMEOUT_S}`]);
  await machine.shell(`until ${ROOT}/bin/lvmlockctl -i; do sleep 0.3; done`, DEADLINE_MS);
}
