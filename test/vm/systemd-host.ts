import { existsSync } from 'node:fs';
import { MIB } from '../../src/base/units.ts';
import { ROOT, whyNoMachines } from './initramfs.ts';
import { type Machine, SHARED_DISK } from './vm.ts';
import { type LeaseOwner, VG, type Volume } from './volume.ts';

/** A daemon starts in three seconds on an idle host; other tests run beside this one. */
const DEADLINE_MS = 240_000;
const SYSTEMD = '/lib/systemd/systemd';
const INSTALLED = '/usr/local/lib/holdfast';
const COUNTER = `${ROOT}/test/vm/counter.py`;
const COUNTER_LOG = '/run/counter';
const ASKER = `${ROOT}/test/vm/asker.py`;
const ASKER_LOG = '/run/asked';
/** The LV of the leases, and some of users'. */
export const DISK_BYTES = 392 * MIB;

export const UNITS = ['wdmd', 'sanlock', 'lvmlockd'] as const;
export type Unit = (typeof UNITS)[number];

export interface Everything {
  readonly pids: Readonly<Record<Unit, string>>;
  readonly guestPid: string;
  /** The volumes that device-mapper has. */
  readonly mapped: readonly string[];
  readonly owners: readonly LeaseOwner[];
  /** In the lockspaces of the VG and of the guest. */
  readonly generations: readonly bigint[];
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

/** A machine whose first process is systemd, with our programs and units. */
export class SystemdHost {
  readonly machine: Machine;
  readonly hostId: number;

  constructor(machine: Machine, hostId: number) {
    this.machine = machine;
    this.hostId = hostId;
  }

  /**
   * Programs as npm installs them, units as docs/operations/exchange.md says; nothing is started.
   * Without the options that Debian's packages gave to this host's daemons: -w 0 is among them.
   */
  async install(ioTimeoutS: number): Promise<void> {
    const programs = 'wdmd sanlock lvmlockd lvmlockctl holdfast';
    // A copy: the units hide /tmp and /home, where this folder may be.
    await this.shell(`cd ${ROOT} && mkdir -p ${INSTALLED}/node_modules /etc/sanlock
      cp -r bin dist package.json ${INSTALLED}
      cp -r node_modules/koffi node_modules/@koromix ${INSTALLED}/node_modules
      for name in ${programs}; do ln -sf ../lib/holdfast/bin/$name /usr/local/bin; done
      cp packaging/*.service packaging/*.slice /etc/systemd/system
      rm -f /etc/default/wdmd /etc/default/sanlock
      sed -i 's/lvmlockd --foreground/& -o ${ioTimeoutS}/' /etc/systemd/system/lvmlockd.service
      systemctl daemon-reload
      echo 'our_host_name = ${this.machine.name}' >/etc/sanlock/sanlock.conf
      echo 'io_timeout = ${ioTimeoutS}' >>/etc/sanlock/sanlock.conf
      echo 'local { host_id = ${this.hostId} } global { use_lvmlockd = 1 }' >/etc/lvm/lvmlocal.conf`);
  }

  async start(): Promise<void> {
    await this.shell(`systemctl start ${UNITS.join(' ')}`);
  }

  /** Its LV of leases has 256 MiB, whatever `sanlock_lv_extend` is: that is for growth alone. */
  async createVg(): Promise<void> {
    await this.shell(`vgcreate --shared ${VG} ${SHARED_DISK}`);
  }

  async startVg(): Promise<void> {
    await this.shell(`vgchange --lockstart ${VG}`);
  }

  /**
   * A process that has a lease in a lockspace on the volume, as a guest has, and counts in a block
   * of the volume.
   */
  async startGuest(volume: Volume): Promise<void> {
    const { guestLease, path, counterOffset } = volume;
    await this.shell(`sanlock client init -s ${volume.guestLockspace(0)}
      sanlock client init -r ${guestLease}
      sanlock client add_lockspace -s ${volume.guestLockspace(this.hostId)}
      systemd-run --quiet --unit=guest sanlock client command -r ${guestLease} -c \\
        /usr/bin/python3 ${COUNTER} ${path} ${counterOffset} ${COUNTER_LOG}
      until [ -s ${COUNTER_LOG} ]; do sleep 0.2; done`);
  }

  /** A process that counts on the volume, and has no other lease than lvm's. */
  async startCounter({ path, counterOffset }: Volume): Promise<void> {
    await this.shell(`systemd-run --quiet --unit=counter \\
        /usr/bin/python3 ${COUNTER} ${path} ${counterOffset} ${COUNTER_LOG}
      until [ -s ${COUNTER_LOG} ]; do sleep 0.2; done`);
  }

  /** A process that asks sanlock for the guest's leases all the time, as libvirt does. */
  async startAsker(): Promise<void> {
    await this.shell(`systemd-run --quiet --unit=asker /usr/bin/python3 ${ASKER} \
      /run/sanlock/sanlock.sock $(systemctl show --property=MainPID --value guest) ${ASKER_LOG}`);
  }

  /** @returns what came of it: each outcome, and how often it came */
  async endAsker(): Promise<readonly string[]> {
    const noted = await this.shell(`systemctl stop asker; cat ${ASKER_LOG}`);
    return noted.split('\n');
  }

  /** Adds these settings to the unit. */
  async dropIn(unit: Unit, ...settings: readonly string[]): Promise<void> {
    const folder = `/run/systemd/system/${unit}.service.d`;
    await this.shell(`mkdir -p ${folder}
      echo '[Service]' >${folder}/test.conf
      for line in ${settings.map((line) => `'${line}'`).join(' ')}
      do echo "$line" >>${folder}/test.conf; done
      systemctl daemon-reload`);
  }

  /** Has the unit run an original, which notifies nobody. */
  exchange(unit: Unit, command: string): Promise<void> {
    const cleared = ['ExecStartPre=', 'ExecStart=', 'ExecStop='];
    return this.dropIn(unit, 'Type=simple', ...cleared, `ExecStart=${command}`);
  }

  /** Kills the daemon, and keeps systemd from starting another one. */
  async keepDown(unit: Unit): Promise<void> {
    await this.dropIn(unit, 'Restart=no');
    await this.shell(`systemctl kill --kill-whom=main -s KILL ${unit}`);
  }

  /** @returns what the guest noted */
  async endGuest(volume: Volume): Promise<string> {
    return await this.shell(`systemctl stop guest
      while /usr/sbin/sanlock client status | grep -q '^r LS:'; do sleep 0.2; done
      sanlock client rem_lockspace -s ${volume.guestLockspace(this.hostId)} >/run/removed
      cat ${COUNTER_LOG}`);
  }

  /** Everything that must not change, and which processes the daemons are. */
  async everything(volume: Volume): Promise<Everything> {
    const told = await this.shell(`for unit in ${UNITS.join(' ')} guest
      do systemctl show --property=MainPID --value $unit; done
      dmsetup info --noheadings -c -o name,open,uuid | sort`);
    const [wdmd = '', sanlock = '', lvmlockd = '', guestPid = '', ...mapped] = told.split('\n');
    return {
      pids: { wdmd, sanlock, lvmlockd },
      guestPid,
      mapped,
      owners: [volume.owner(), volume.guestOwner()],
      generations: [volume.hostLease(this.hostId), volume.guestHostLease(this.hostId)].map(
        ({ generation }) => generation,
      ),
    };
  }

  /**
   * Resolves when other processes than these serve, lvmlockd has the lock of the volume, sanlock
   * its lease and the guest's for their processes, and wdmd no expiry of a client that died. The
   * original's clients ask: they need no time to start. Not often: starting daemons need the
   * processor.
   */
  async untilCarriedOver(units: readonly Unit[], pids: Everything['pids']): Promise<void> {
    const others = units.map(
      (unit) => `[ "$(main ${unit})" != ${pids[unit]} ] && systemctl is-active -q ${unit} &&`,
    );
    await this.shell(`main() { systemctl show --property=MainPID --value $1; }
      has() { grep -q "$1" /run/status; }
      carried() {
        ${others.join(' ')}
        /usr/sbin/lvmlockctl -i | grep -q '^LK LV ex' &&
        /usr/sbin/sanlock client status >/run/status &&
        has "^r lvm_${VG}:.* p $(main lvmlockd)$" && has "^r LS:vm7:.* p $(main guest)$" &&
        /usr/sbin/wdmd -d >/run/dump &&
        grep -q ' dead 0 ref 1 ' /run/dump && ! grep -q ' dead 1 ' /run/dump
      }
      until carried; do sleep 2; done`);
  }

  /** Runs it to its end, which must be a good one. @returns what it printed */
  shell(script: string): Promise<string> {
    return this.machine.shell(script, DEADLINE_MS);
  }

  /** One property of a unit, as systemd tells it. */
  property(unit: string, name: string): Promise<string> {
    return this.shell(`systemctl show --property=${name} --value ${unit}`);
  }
}
