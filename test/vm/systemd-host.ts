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
const DISK_BYTES = 392 * MIB;
export const VG = 'vg';
export const LV = `${VG}/lv`;
const HOST_ID = 1;
const LV_PATH = `/dev/${LV}`;
const GUEST_LEASE = `LS:vm7:${LV_PATH}:1M`;

export const UNITS = ['wdmd', 'sanlock', 'lvmlockd'] as const;
export type Unit = (typeof UNITS)[number];

export interface Everything {
  readonly pids: Readonly<Record<Unit, string>>;
  readonly guestPid: string;
  /** The volumes that device-mapper has, and who has the guest's lease. */
  readonly rest: readonly string[];
  readonly volume: LeaseOwner;
}

interface LeaseOwner {
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
  #volumeOwner(): LeaseOwner {
    const bytes = new Uint8Array(LEADER_BYTES);
    const fd = openSync(this.disk, 'r');
    readSync(fd, bytes, 0, LEADER_BYTES, this.#leaseOffset);
    closeSync(fd);
    const leader = decode(paxosLeader, bytes);
    assert.equal(leader.spaceName, `lvm_${VG}`, 'a lease is there');
    return { hostId: leader.ownerId, generation: leader.ownerGeneration, lver: leader.lver };
  }

  /** A process that has a lease on the volume, in a lockspace of its own, as a guest has. */
  async startGuest(): Promise<void> {
    await this.shell(`sanlock client init -s LS:0:${LV_PATH}:0
      sanlock client init -r ${GUEST_LEASE}
      sanlock client add_lockspace -s LS:${HOST_ID}:${LV_PATH}:0
      systemd-run --quiet --unit=guest sanlock client command -r ${GUEST_LEASE} \\
        -c /bin/sh -c 'touch /run/guest; exec sleep infinity'
      until [ -e /run/guest ]; do sleep 0.2; done`);
  }

  async endGuest(): Promise<void> {
    await this.shell(`systemctl stop guest
      while sanlock client status | grep -q '^r LS:'; do sleep 0.2; done
      sanlock client rem_lockspace -s LS:${HOST_ID}:${LV_PATH}:0`);
  }

  /** Everything that must not change, and which processes the daemons are. */
  async everything(): Promise<Everything> {
    const told = await this.shell(`for unit in ${UNITS.join(' ')} guest
      do systemctl show --property=MainPID --value $unit; done
      dmsetup info --noheadings -c -o name,open,uuid | sort
      sanlock direct read_leader -r ${GUEST_LEASE} | grep -E 'owner_id|owner_gen|lver'`);
    const [wdmd = '', sanlock = '', lvmlockd = '', guestPid = '', ...rest] = told.split('\n');
    return { pids: { wdmd, sanlock, lvmlockd }, guestPid, rest, volume: this.#volumeOwner() };
  }

  /**
   * Resolves when other processes than these serve, lvmlockd has the lock of the volume, sanlock
   * its lease and the guest's for their processes, and wdmd no expiry of a client that died.
   */
  async untilCarriedOver(units: readonly Unit[], pids: Everything['pids']): Promise<void> {
    const others = units.map(
      (unit) => `[ "$(main ${unit})" != ${pids[unit]} ] && systemctl is-active -q ${unit} &&`,
    );
    await this.shell(`main() { systemctl show --property=MainPID --value $1; }
      carried() {
        ${others.join(' ')}
        lvmlockctl -i | grep -q '^LK LV ex' &&
        sanlock client status >/run/status && grep -q "^r lvm_${VG}:.* p $(main lvmlockd)$" /run/status &&
        grep -q "^r LS:vm7:.* p $(main guest)$" /run/status &&
        wdmd -d >/run/dump && grep -q ' dead 0 ref 1 ' /run/dump && ! grep -q ' dead 1 ' /run/dump
      }
      until carried; do sleep 0.5; done`);
  }

  /** Runs it to its end, which must be a good one. @returns what it printed */
  async shell(script: string): Promise<string> {
    const command = [
      '/bin/sh',
      '-ec',
      `export LVM_SUPPRESS_FD_WARNINGS=1 SYSTEMD_BUS_TIMEOUT=120\n${script}`,
    ];
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
