import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Host, Makers } from '../../src/rig/host.ts';
import { Lun } from '../../src/rig/lun.ts';
import { ALL_OURS, Rig } from '../../src/rig/rig.ts';
import { FakeWatchdog } from '../interop/wdmd-host.ts';
import { HostLeaseWatch, WATCHDOG_TIMEOUT_S } from './checks.ts';
import { Places, sanlock } from './places.ts';
import type { User } from './users.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const STORE_MIB = 128;
/** Of each file, in what a failure shows at once: kept logs go with the machine. */
const LAST_LINES = 25;

/**
 * Two hosts with a volume group, and a second LUN with a lockspace of its own. Host 1 is all ours
 * and has a simulated watchdog, unless it is to have none.
 */
export class SoakWorld {
  readonly rig: Rig;
  readonly places: Places;
  readonly device: FakeWatchdog | null;
  readonly #store: Lun;
  readonly #dir: string;

  private constructor(of: {
    readonly rig: Rig;
    readonly places: Places;
    readonly device: FakeWatchdog | null;
    readonly store: Lun;
    readonly dir: string;
  }) {
    this.rig = of.rig;
    this.places = of.places;
    this.device = of.device;
    this.#store = of.store;
    this.#dir = of.dir;
  }

  static async create(options: {
    readonly second: Makers;
    readonly ioTimeoutS: number;
    readonly leases: readonly string[];
    readonly withWatchdog: boolean;
  }): Promise<SoakWorld> {
    const dir = mkdtempSync('/var/tmp/holdfast-restarts-');
    const device = options.withWatchdog ? await FakeWatchdog.start(WATCHDOG_TIMEOUT_S) : null;
    const rig = await Rig.create({
      hosts: [ALL_OURS, options.second],
      bin: join(ROOT, 'bin'),
      ioTimeoutS: options.ioTimeoutS,
      watchdogs: [device?.path ?? null, null],
    });
    const store = await Lun.create(join(dir, 'store.img'), STORE_MIB);
    const places = new Places({ device: store.device, dir, leases: options.leases });
    return new SoakWorld({ rig, places, device, store, dir });
  }

  /** All daemons run, and both hosts are in the lockspace of the second LUN. */
  async start(): Promise<void> {
    const { rig, places } = this;
    for (const host of rig.hosts) await host.startDaemons();
    await places.format(rig.host(1), rig.ioTimeoutS);
    await Promise.all(rig.hosts.map((host) => places.join(host, rig.ioTimeoutS)));
  }

  /** For a guest, by its pid, as libvirt does it. */
  async acquireFor(guest: User, lease: string, mode: 'exclusive' | 'shared' = 'exclusive') {
    const resource = this.places.resource(lease, mode);
    await sanlock(guest.host, 'acquire', '-r', resource, '-p', `${guest.pid}`);
  }

  hostLeases(host: Host): readonly HostLeaseWatch[] {
    const failS = 8 * this.rig.ioTimeoutS;
    const { lockspace, device } = this.places;
    return [
      new HostLeaseWatch(host, { lockspace, device, failS }),
      new HostLeaseWatch(host, { lockspace: 'lvm', device: this.rig.lun.lvmlock, failS }),
    ];
  }

  /** Copies the logs of all daemons beside those of the users; where they are kept. */
  keepLogs(): string {
    for (const host of this.rig.hosts) {
      const to = join(this.#dir, `${host.name}-log`);
      cpSync(join(this.rig.dir, host.name, 'log'), to, { recursive: true });
    }
    return this.#dir;
  }

  /** What the daemons of host 1 said last, what was done to them, and how busy the machine was. */
  lastWords(): string {
    const log = join(this.rig.dir, this.rig.host(1).name, 'log');
    const own = ['sanlock.err', 'wdmd.err'].map((name) => join(log, name));
    const pressure = ['cpu', 'io', 'memory'].map((kind) => `/proc/pressure/${kind}`);
    return [...own, join(this.#dir, 'rounds.log'), '/proc/loadavg', ...pressure]
      .map((path) => `${path}:\n${lastLines(path)}`)
      .join('\n');
  }

  async close(keep: 'keepLogs' | 'removeAll'): Promise<void> {
    await this.rig.close();
    this.device?.close();
    await this.#store.close();
    if (keep === 'removeAll') rmSync(this.#dir, { recursive: true, force: true });
  }
}

function lastLines(path: string): string {
  try {
    return readFileSync(path, 'latin1').trimEnd().split('\n').slice(-LAST_LINES).join('\n');
  } catch {
    return '(not there)'; // a host without that daemon, a kernel that does not count
  }
}
