import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { BareCopy } from '../../src/rig/bare-copy.ts';
import { bareObstacle, type Release } from '../../src/rig/bare-root.ts';
import { holdfastDeb, nodeDeb } from '../interop/deb-fixtures.ts';
import { ROOT, whyNoMachines } from './initramfs.ts';
import { DISK_BYTES } from './systemd-host.ts';
import { type Finished, type Machine, Machines } from './vm.ts';

/** Each step installs packages in an emulated machine, beside other tests. */
const STEP_MS = 600_000;
const NEEDED = 'export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 LVM_SUPPRESS_FD_WARNINGS=1';
const APT = 'apt-get -y -q --no-install-recommends';
export const UNITS = ['wdmd', 'sanlock', 'lvmlockd'] as const;
/** Host 1 has Debian 12, host 2 Debian 13. */
export const RELEASES = [12, 13] as const satisfies readonly Release[];

/** Why no machine with a bare Debian can be booted here; null when both can. */
export function whyNoDebians(): string | null {
  const unbuilt = existsSync(`${ROOT}/dist/holdfast.cjs`) ? null : 'not built yet: npm run build';
  const absent = RELEASES.map(bareObstacle).find((obstacle) => obstacle !== null) ?? null;
  return whyNoMachines() ?? unbuilt ?? absent;
}

/** A machine that boots Debian 12 or 13 with systemd, and has our packages in /srv. */
export class DebianHost {
  readonly machine: Machine;
  readonly release: Release;
  readonly hostId: number;

  constructor(machine: Machine, release: Release, hostId: number) {
    this.machine = machine;
    this.release = release;
    this.hostId = hostId;
  }

  /** Runs lines of sh to their end, as somebody would type them. */
  run(script: string): Promise<Finished> {
    return this.machine.run(['/bin/sh', '-c', `${NEEDED}; cd /srv; ${script}`], STEP_MS);
  }

  /** The same, all of which must succeed. @returns what they printed */
  shell(script: string): Promise<string> {
    return this.machine.shell(`${NEEDED}; cd /srv\n${script}`, STEP_MS);
  }

  /** What boot.md has an administrator write, before anything is installed. */
  async configure(): Promise<void> {
    await this.shell(`mkdir -p /etc/sanlock /etc/lvm
      echo 'our_host_name = ${this.machine.name}' >/etc/sanlock/sanlock.conf
      printf 'local { host_id = %s }\\nglobal { use_lvmlockd = 1 }\\n' ${this.hostId} \\
        >/etc/lvm/lvmlocal.conf`);
  }

  install(packages: string): Promise<string> {
    return this.shell(`${APT} install ${packages} </dev/null`);
  }

  /**
   * Starts the VG by the originals. Debian 13's lvmlockd looks for the LV of the leases at once,
   * when udev on a busy machine has not made its device.
   */
  async startByOriginals(vg: string): Promise<void> {
    await this.shell(`for try in 1 2 3 4 5 6 7 8; do
      vgchange --lockstart ${vg} && exit 0
      sleep 2
    done
    exit 1`);
  }

  /** Which program each daemon is: `node`, or the original's own. */
  async programs(): Promise<readonly string[]> {
    const told = await this.shell(`for unit in ${UNITS.join(' ')}; do
      basename "$(readlink /proc/$(systemctl show -P MainPID $unit)/exe)"; done`);
    return told.split('\n');
  }

  async pids(): Promise<string> {
    return this.shell(`systemctl show -P MainPID ${UNITS.join(' ')} | xargs`);
  }
}

/** Two of them, of either release, on one disk. */
export class DebianPair {
  readonly machines: Machines;
  readonly hosts: readonly [DebianHost, DebianHost];
  readonly #copies: readonly BareCopy[];

  private constructor(machines: Machines, copies: readonly BareCopy[]) {
    this.machines = machines;
    this.#copies = copies;
    const [first, second] = machines.machines as [Machine, Machine];
    this.hosts = [new DebianHost(first, RELEASES[0], 1), new DebianHost(second, RELEASES[1], 2)];
  }

  /**
   * @param installed what is in the roots already, beside Node.js, and is not started
   * @param versions of our package in /srv
   */
  static async boot(installed = '', versions: 'one' | 'two' = 'two'): Promise<DebianPair> {
    const copies = await Promise.all(RELEASES.map((release) => BareCopy.make(release)));
    try {
      await furnish(copies, { installed, versions });
      const equipment = {
        withSystemd: [1, 2],
        memoryMb: 1024,
        roots: copies.map(({ folder }) => folder),
      };
      return new DebianPair(await Machines.start(2, DISK_BYTES, equipment), copies);
    } catch (error) {
      await Promise.all(copies.map((copy) => copy.remove()));
      throw error;
    }
  }

  /** What both do at once. */
  both<T>(step: (host: DebianHost) => Promise<T>): Promise<T[]> {
    return Promise.all(this.hosts.map(step));
  }

  async close(): Promise<void> {
    await this.machines.close();
    await Promise.all(this.#copies.map((copy) => copy.remove()));
  }
}

/** Outside of the machines, where it takes a tenth of the time. */
async function furnish(
  copies: readonly BareCopy[],
  { installed, versions }: { readonly installed: string; readonly versions: 'one' | 'two' },
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-debian-'));
  try {
    const next = versions === 'two' ? [holdfastDeb(folder, '+1')] : [];
    const debs = [nodeDeb(folder), holdfastDeb(folder), ...next];
    await Promise.all(
      copies.map(async (copy, at) => {
        for (const deb of debs) await copy.give(deb);
        const node = RELEASES[at] === 12 ? `./${basename(debs[0] ?? '')}` : 'nodejs';
        await copy.forbidDaemons();
        await copy.must(`${APT} install ${node} ${installed}; rm /usr/sbin/policy-rc.d`);
      }),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
