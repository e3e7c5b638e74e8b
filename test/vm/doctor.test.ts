import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { Patient } from './doctor-patient.ts';
import { ROOT } from './initramfs.ts';
import { attachIscsiDisk, ISCSI_DISK, typesIscsi, whyNoIscsi } from './iscsi-disk.ts';
import { DISK_BYTES, SystemdHost, UNITS, whyNoSystemd } from './systemd-host.ts';
import { type Machine, Machines } from './vm.ts';
import { VG } from './volume.ts';

/**
 * What a rig cannot have: units of systemd, watchdog devices, device-mapper, a disk of iSCSI, a
 * user without rights. Each fault is caused in a machine with our daemons, found by `holdfast
 * doctor`, and cured by --fix or by what its plan says; the VG is used afterwards.
 */
const IO_TIMEOUT_S = 10;
const LVS = ['lv', 'cut', 'open', 'size'] as const;
const MORE_DISKS = ['/dev/vdb', '/dev/vdc'] as const;
const UNIT_FILES = '/etc/systemd/system /lib/systemd/system /usr/lib/systemd/system';
/** On a machine that gets no processor time a stop may not end in order: that is no matter here. */
const STOP = `systemctl stop ${UNITS.join(' ')}; systemctl reset-failed`;
const missing = whyNoSystemd();
const where = missing === null ? { timeout: 2_400_000 } : { skip: missing };

test(
  'faults of units, watchdogs, device-mapper and rights are found, and cured',
  where,
  async (t) => {
    const disk = { bytes: 32 * MIB, sectorBytes: 512 } as const;
    const machines = await Machines.start(1, DISK_BYTES, {
      ...{ withSystemd: [1], memoryMb: 1024 },
      moreDisks: MORE_DISKS.map(() => disk),
    });
    const [machine] = machines.machines as [Machine];
    try {
      const patient = new Patient(new SystemdHost(machine, 1));
      for (const stage of STAGES) {
        const whyNot = stage === iscsi ? whyNoIscsi() : null;
        if (whyNot !== null) {
          await t.test('a path of iSCSI', { skip: whyNot });
          continue;
        }
        const beganMs = Date.now();
        await stage(patient);
        t.diagnostic(`${stage.name}: ${Math.round((Date.now() - beganMs) / 1000)} s`);
      }
      const resets = machine.events.filter(({ name }) => name === 'WATCHDOG');
      assert.deepEqual(resets, []);
    } catch (error) {
      t.diagnostic(`console of ${machine.name}:\n${machine.console().slice(-12_000)}`);
      throw error;
    } finally {
      await machines.close();
    }
  },
);

const STAGES = [installs, nothingRuns, mappings, iscsi, multipath, rights] as const;

/** A VG is on the disk, and nothing runs or would at the next boot; no watchdog, no time service. */
async function installs(patient: Patient): Promise<void> {
  const { host } = patient;
  await host.install(IO_TIMEOUT_S);
  // Debian's file says -w 0: that is another finding.
  await patient.shell(`echo >/etc/default/sanlock
    getent passwd sanlock || useradd --system --user-group --groups disk sanlock`);
  await host.start();
  await host.createVg();
  await patient.shell(`for lv in ${LVS.join(' ')}; do lvcreate -qq -aey -L 8m -n $lv ${VG}; done
    dmsetup table ${VG}-lv >/run/table
    uuid() { lvs --noheadings -o $1 ${VG}/lv | tr -d ' -'; }
    echo "LVM-$(uuid vg_uuid)" >/run/vg-uuid
    echo "$(cat /run/vg-uuid)$(uuid lv_uuid)" >/run/lv-uuid
    lvchange -an ${VG}
    lvmlockctl --stop-lockspaces --wait 1
    ${STOP}
    modprobe -r i6300esb
    for folder in ${UNIT_FILES}; do rm -f $folder/lvmlocks.service; done
    systemctl daemon-reload`);
}

/** Beside an LV that is in use --fix starts nothing that could give its lock away. */
async function nothingRuns(patient: Patient): Promise<void> {
  await patient.shell(`dmsetup create ${VG}-lv --uuid $(cat /run/lv-uuid) </run/table
    dmsetup create ghost --uuid $(cat /run/vg-uuid)$(printf 'a%.0s' $(seq 32)) </run/table`);
  const found = await patient.finds(
    ...(['unitAbsent', 'unitDisabled', 'daemonAbsent', 'watchdogDeviceAbsent'] as const),
    ...(['lvMappingGhost', 'clockUnsynchronised'] as const),
  );
  assert.ok(found.isLeftToPeople('daemonAbsent', 'sanlock'), `${VG}/lv is active`);
  assert.ok(found.isLeftToPeople('daemonAbsent', 'lvmlockd'), 'its unit wants that of sanlock');
  await patient.shell(`cp ${ROOT}/packaging/lvmlocks.service /etc/systemd/system
    systemctl daemon-reload
    mkdir -p /run/systemd/timesyncd.conf.d
    printf '[Time]\\nNTP=127.0.0.1\\n' >/run/systemd/timesyncd.conf.d/test.conf
    systemd-run --quiet --unit=time-server python3 ${ROOT}/test/vm/time-server.py
    systemctl restart systemd-timesyncd`);
  const refused = await patient.fixes(
    ['unitDisabled', 'daemonAbsent', 'watchdogDeviceAbsent', 'lvMappingGhost'],
    ['daemonAbsent'],
  );
  assert.equal(refused.of('watchdogSoftware').weight, 'note', 'this machine has no other one');
  assert.match(
    await patient.shell(`systemctl is-active ${UNITS.join(' ')} || true
      ! dmsetup info ghost 2>/dev/null`),
    /^active\ninactive\ninactive$/,
  );
  await patient.shell(`dmsetup remove ${VG}-lv`);
  const started = await patient.fixes(['daemonAbsent'], ['vgNotStarted']);
  assert.ok(!started.has('clockUnsynchronised'), 'a time service runs');
  await patient.shell(`vgchange --lockstart ${VG}`);
}

/** Active without a lock, cut off and unused, cut off and open, resized by another host. */
async function mappings(patient: Patient): Promise<void> {
  await patient.shell(`lvchange -aey ${VG}/cut ${VG}/open ${VG}/size
    lvchange -aey --lockopt skiplv ${VG}/lv
    dmsetup wipe_table ${VG}-cut
    systemd-run --quiet --unit=user sh -c 'exec sleep infinity <$0' /dev/${VG}/open
    until [ "$(dmsetup info -c --noheadings -o open ${VG}-open)" = 1 ]; do sleep 0.2; done
    dmsetup wipe_table ${VG}-open
    lvextend -qq --config global/activation=0 -L 16m ${VG}/size`);
  await patient.finds('lvActiveUnlocked', 'lvCutOff', 'lvOtherSize');
  const left = await patient.fixes(['lvActiveUnlocked'], ['lvCutOff', 'lvOtherSize']);
  const locks = (await patient.shell('lvmlockctl -i')).match(/^LK LV ex /gm) ?? [];
  assert.equal(locks.length, LVS.length);
  assert.match(left.commandOf('lvCutOff', `${VG}/cut`), /^lvchange -an /);
  await patient.follows(left, 'lvCutOff', `${VG}/cut`);
  await patient.follows(left, 'lvCutOff', `${VG}/open`);
  await patient.follows(left, 'lvOtherSize');
  await patient.shell(`systemctl stop user
    [ $(blockdev --getsize64 /dev/${VG}/size) = ${16 * MIB} ]
    for lv in ${LVS.join(' ')}
    do dd if=/dev/zero of=/dev/${VG}/$lv bs=4096 count=1 oflag=direct 2>/dev/null; done`);
}

/**
 * A session that keeps I/O waiting for longer than the lockspace lives, as iSCSI does by default.
 * The look of the next stage finds it no more.
 */
async function iscsi(patient: Patient): Promise<void> {
  await attachIscsiDisk(patient, 32 * MIB);
  await patient.shell(`vgextend -qq ${VG} ${ISCSI_DISK}
    lvcreate -qq -aey -L 4m -n net ${VG} ${ISCSI_DISK}`);
  const found = await patient.finds('pathFailoverTooLong');
  const { about, evidence, plan } = found.of('pathFailoverTooLong');
  assert.equal(about, 'iSCSI session1');
  assert.deepEqual(evidence, [
    '/sys/class/iscsi_session/session1/recovery_tmo: 120',
    `leases on it: lvm_${VG}, lost after ${8 * IO_TIMEOUT_S} s`,
  ]);
  const commands = plan.flatMap((step) => (step.kind === 'manual' ? [step.command ?? ''] : []));
  await typesIscsi(patient, commands.join('\n'));
  assert.match(await typesIscsi(patient, 'iscsiadm -m session -P 2'), /Recovery Timeout: 40$/m);
  const records = await typesIscsi(patient, 'iscsiadm -m node -o show');
  assert.match(records, /replacement_timeout = 40$/m, 'after the next login, too');
  await patient.shell(`dd if=/dev/zero of=/dev/${VG}/net bs=4096 count=1 oflag=direct
    lvchange -an ${VG}/net`);
}

/**
 * A VG that is on two maps of multipath, too, which hold I/O back. What multipathd says of them is
 * said by a script, in the words of multipathd 0.9.4: one that runs is not to be expected on a host
 * of tests.
 */
async function multipath(patient: Patient): Promise<void> {
  const [one, other] = MORE_DISKS;
  await patient.shell(`modprobe -a dm_multipath dm_service_time i6300esb
    map() { dmsetup create $1 --uuid mpath-$1 --table \
      "0 $(blockdev --getsz $2) multipath 1 queue_if_no_path 0 1 1 service-time 0 1 2 $2 1 1"; }
    map mpatha ${one}
    map mpathb ${other}
    echo 'devices { filter = [ "a|^/dev/[sv]da$|", "a|^/dev/mapper/mpath|", "r|.*|" ] }' \
      >>/etc/lvm/lvmlocal.conf
    vgextend -qq ${VG} /dev/mapper/mpatha /dev/mapper/mpathb`);
  await says(patient, 'mpatha on', 'mpathb 24 chk');
  const found = await patient.finds('pathsQueueForever', 'pathRetryTooLong', 'watchdogSoftware');
  assert.equal(found.of('pathsQueueForever').about, 'mpatha');
  assert.equal(found.of('pathRetryTooLong').about, 'mpathb');
  assert.equal(found.of('watchdogSoftware').weight, 'caution', 'hardware is there now');
  await patient.follows(found, 'pathsQueueForever');
  await says(patient, 'mpatha off', 'mpathb 4 chk');
  await patient.shell(`lvcreate -qq -aey -L 4m -n far ${VG} /dev/mapper/mpatha
    echo 'wdmd_opts="-w /dev/watchdog1"' >/etc/default/wdmd`);
}

async function says(patient: Patient, ...maps: readonly string[]): Promise<void> {
  const lines = maps.map((line) => `'${line}'`).join(' ');
  await patient.shell(`cat >/usr/local/sbin/multipathd <<'END'
#!/bin/sh
case "$*" in "show maps raw"*) printf '%s\\n' ${lines};; esac
END
    chmod 755 /usr/local/sbin/multipathd`);
}

/** sanlock may not open the leases; the unit that starts VGs has failed, by a mistake in a file. */
async function rights(patient: Patient): Promise<void> {
  await patient.shell(`vgchange -an ${VG}
    lvmlockctl --stop-lockspaces --wait 1
    ${STOP}
    gpasswd -d sanlock disk
    cp /etc/lvm/lvmlocal.conf /run/lvmlocal.conf
    echo 'global {' >>/etc/lvm/lvmlocal.conf
    systemctl start lvmlocks 2>/dev/null && exit 1
    cp /run/lvmlocal.conf /etc/lvm/lvmlocal.conf
    systemctl is-active ${UNITS.join(' ')}`);
  const found = await patient.finds('leaseNotPermitted', 'unitFailed');
  assert.equal(found.of('unitFailed').about, 'lvmlocks.service');
  assert.ok(!found.has('watchdogSoftware'), 'wdmd has the hardware now');
  await patient.follows(found, 'leaseNotPermitted');
  await patient.fixes(['unitFailed']);
  await patient.shell(`lvchange -aey ${VG}/lv ${VG}/far; lvchange -an ${VG}/lv ${VG}/far`);
}
