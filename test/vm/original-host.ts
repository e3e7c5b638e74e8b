import { existsSync } from 'node:fs';
import { ROOT, whyNoMachines } from './initramfs.ts';
import type { Finished, Machine } from './vm.ts';
import { VG, type Volume } from './volume.ts';

const DEADLINE_MS = 240_000;
const PROGRAMS = ['sanlock', 'wdmd', 'lvmlockd', 'lvmlockctl', 'lvm'] as const;

export function whyNoOriginals(): string | null {
  const absent = PROGRAMS.find((name) => !existsSync(`/usr/sbin/${name}`));
  const missing = absent === undefined ? null : `/usr/sbin/${absent} is not installed`;
  return whyNoMachines() ?? missing;
}

/** What became of one who tries to activate a volume. */
export interface Tries {
  /** Because another host has it. */
  readonly refused: number;
  /** For any other reason, such as a lock that another command has. */
  readonly failed: number;
  readonly isGranted: boolean;
}

/** A machine without systemd, all of whose programs are the originals. */
export class OriginalHost {
  readonly machine: Machine;
  readonly hostId: number;

  constructor(machine: Machine, hostId: number) {
    this.machine = machine;
    this.hostId = hostId;
  }

  /** Resolves when all three serve. */
  async start(ioTimeoutS: number): Promise<void> {
    const io = `${ioTimeoutS}`;
    await this.shell(`mkdir -p /run/sanlock /run/lvm /run/lock/lvm
      cat >/etc/lvm/lvmlocal.conf <<END
      local { host_id = ${this.hostId} }
      global { use_lvmlockd = 1 }
      activation { udev_sync = 0 udev_rules = 0 }
      devices { obtain_device_list_from_udev = 0 }
END`);
    const root = ['-U', 'root', '-G', 'root'];
    const daemons = [
      { args: ['wdmd', '-D'], asks: 'wdmd -d' },
      {
        args: ['sanlock', 'daemon', '-D', '-w', '1', ...root, '-e', this.machine.name],
        asks: 'sanlock client status',
      },
      { args: ['lvmlockd', '-D', '-g', 'sanlock', '-o', io], asks: 'lvmlockctl -i' },
    ];
    for (const { args, asks } of daemons) {
      const [name = '', ...rest] = args;
      this.machine.start([`/usr/sbin/${name}`, ...rest]);
      await this.shell(`until /usr/sbin/${asks} >/run/answer 2>&1; do sleep 0.2; done`);
    }
  }

  /** Without udev, lvm makes the node of the leases' LV only after lvmlockd has looked for it. */
  async startVg(): Promise<void> {
    await this.shell(`vgchange --lockstart ${VG} || vgchange --lockstart ${VG}`);
  }

  /** Tries to have the volume for itself, again and again, until it has it. */
  takeVolume({ lv }: Volume): void {
    const files = tryFiles(lv);
    const script = `export LVM_SUPPRESS_FD_WARNINGS=1
      refused=0 failed=0
      until said=$(lvchange -aey ${lv} 2>&1); do
        case $said in
          *'locked by other host'*) refused=$((refused + 1)) ;;
          *) failed=$((failed + 1)); echo "$said" >&2 ;;
        esac
        echo "$refused $failed" >${files.counts}.next
        mv ${files.counts}.next ${files.counts}
        sleep 1
      done
      touch ${files.granted}`;
    this.machine.start(['/bin/sh', '-c', script]);
  }

  async tries({ lv }: Volume): Promise<Tries> {
    const { counts, granted } = tryFiles(lv);
    const told = await this.shell(
      `cat ${counts} 2>&- || echo 0 0; [ ! -e ${granted} ] || echo granted`,
    );
    const [refused = 0, failed = 0] = told.split(/\s/).map(Number);
    return { refused, failed, isGranted: told.endsWith('granted') };
  }

  /** Counts on where another host ended. @returns when the counter has been killed */
  count(volume: Volume, log: string): Promise<Finished> {
    const words = [`${ROOT}/test/vm/counter.py`, volume.path, `${volume.counterOffset}`, log];
    return this.machine.start(['/usr/bin/python3', ...words]);
  }

  shell(script: string): Promise<string> {
    return this.machine.shell(script, DEADLINE_MS);
  }
}

function tryFiles(lv: string): { readonly counts: string; readonly granted: string } {
  const name = lv.replace('/', '-');
  return { counts: `/run/tries-${name}`, granted: `/run/granted-${name}` };
}
