import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { MIB } from '../../src/base/units.ts';
import { decode } from '../../src/codec/struct.ts';
import { LEADER_BYTES, paxosLeader } from '../../src/format/leader.ts';
import { ROOT, whyNoMachines } from './initramfs.ts';
import { type Machine, Machines, SHARED_DISK } from './vm.ts';

/** A daemon starts in three seconds on an idle host; other tests run beside this one. */
export const DEADLINE_MS = 120_000;
const SYSTEMD = '/lib/systemd/systemd';
const INSTALLED = '/usr/local/lib/holdfast';
/** What the VG takes of the disk; behind it is room for leases that are not lvm's. */
const VG_BYTES = 384 * MIB;
const DISK_BYTES = VG_BYTES + 8 * MIB;
export const VG = 'vg';
export const LV = `${VG}/lv`;
export const HOST_ID = 1;
/** Where a test may keep leases of its own. */
export const FREE_OFFSET = VG_BYTES;

export interface LeaseOwner {
  readonly hostId: bigint;
  readonly generation: bigint;
  readonly lver: bigint;
}

/** Why no machine with systemd can be booted here; null when it can. */
export function whyNoSystemd(): string | null {
  const unbuilt = existsSync(`${ROOT}/dist/holdfast.cjs`) ? null : 'not built yet: npm run build';
  const absent = [
    { path: SYSTEMD, of: 'systemd' },
    { path: '/lib/systemd/systemd-udevd', of: 'udev' },
    { path: '/usr/sbin/dmsetup', of: 'dmsetup' },
    { path: '/usr/sbin/lvm', of: 'lvm2' },
  ].find(({ path }) => !existsSync(path));
  const missing = absent === undefined ? null : `${absent.path} is not installed (${absent.of})`;
  return whyNoMachines() ?? unbuilt ?? missing;
}

/**
 * One machine whose first process is systemd. Our programs are installed as npm does it, and our
 * units as docs/operations/exchange.md says; nothing is started yet.
 */
export async function startSystemdHost(): Promise<SystemdHost> {
  const machines = await Machines.start(1, DISK_BYTES, { systemd: true, memoryMb: 1024 });
  const [machine] = machines.machines;
  assert.ok(machine !== undefined);
  const host = new SystemdHost(machines, machine);
  try {
    await host.install();
    return host;
  } catch (error) {
    await host.close();
    throw error;
  }
}

export class SystemdHost {
  readonly #machines: Machines;
  readonly machine: Machine;
  #leaseOffset = 0;

  constructor(machines: Machines, machine: Machine) {
    this.#machines = machines;
    this.machine = machine;
  }

  /** The shared disk, as a file of this host. */
  get disk(): string {
    return this.#machines.disk;
  }

  async install(): Promise<void> {
    const programs = 'wdmd sanlock lvmlockd lvmlockctl holdfast';
    // A copy: the units hide /tmp and /home, where this folder may be.
    await this.shell(`cd ${ROOT} && mkdir -p ${INSTALLED}/node_modules /etc/sanlock
      cp -r bin dist package.json ${INSTALLED}
      cp -r node_modules/koffi node_modules/@koromix ${INSTALLED}/node_modules
      for name in ${programs}; do ln -sf ../lib/holdfast/bin/$name /usr/local/bin; done
      cp packaging/*.service packaging/*.slice /etc/systemd/system
      systemctl daemon-reload
      echo 'our_host_name = node1' >/etc/sanlock/sanlock.conf
      echo 'local { host_id = ${HOST_ID} } global { use_lvmlockd = 1 }' >/etc/lvm/lvmlocal.conf`);
  }

  /** A VG of its own lockspace, with one LV that is active. */
  async activateVolume(): Promise<void> {
    await this.shell(`vgcreate --shared ${VG} ${SHARED_DISK}
      lvcreate -aey -L 8m -n lv ${VG}`);
    // The LV of the leases is the first one, so it begins where extents begin.
    const lockArgs = await this.shell(`lvs --noheadings -o lv_lockargs ${LV}`);
    const start = await this.shell(
      `pvs --noheadings --units b --nosuffix -o pe_start ${SHARED_DISK}`,
    );
    this.#leaseOffset = Number(lockArgs.split(':')[1]) + Number(start);
  }

  /** Who has the lease of the volume, by the disk. */
  volumeOwner(): LeaseOwner {
    const bytes = new Uint8Array(LEADER_BYTES);
    const fd = openSync(this.disk, 'r');
    readSync(fd, bytes, 0, LEADER_BYTES, this.#leaseOffset);
    closeSync(fd);
    const leader = decode(paxosLeader, bytes);
    assert.equal(leader.spaceName, `lvm_${VG}`, 'a lease is there');
    return { hostId: leader.ownerId, generation: leader.ownerGeneration, lver: leader.lver };
  }

  /** Resolves when lvmlockd has the lock of the volume, and sanlock its lease for that process. */
  async untilLocked(): Promise<void> {
    const pid = '$(systemctl show --property=MainPID --value lvmlockd)';
    await this.shell(`until lvmlockctl -i | grep -q '^LK LV ex' &&
      sanlock client status | grep -q "^r lvm_${VG}:.* p ${pid}$"; do sleep 0.5; done`);
  }

  /** Runs it to its end, which must be a good one. @returns what it printed */
  async shell(script: string): Promise<string> {
    const command = ['/bin/sh', '-ec', `export LVM_SUPPRESS_FD_WARNINGS=1\n${script}`];
    const ran = await this.machine.run(command, DEADLINE_MS);
    assert.equal(ran.status, 0, `${script}: ${ran.output}`);
    return ran.output.trim();
  }

  /** One property of a unit, as systemd tells it. */
  property(unit: string, name: string): Promise<string> {
    return this.shell(`systemctl show --property=${name} --value ${unit}`);
  }

  async close(): Promise<void> {
    await this.#machines.close();
  }
}
