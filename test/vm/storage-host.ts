import { ROOT } from './initramfs.ts';
import { type Machine, SHARED_DISK } from './vm.ts';

const DEADLINE_MS = 300_000;
const DRIVER = '/sys/bus/virtio/drivers/virtio_blk';

/** A machine without systemd and udev, with our lvmlockd, whose disk can be pulled out. */
export class StorageHost {
  readonly machine: Machine;
  readonly hostId: number;
  readonly #hasOriginals: boolean;
  readonly #killAction: 'error' | 'stop';
  #ioTimeoutS = 0;
  /** `virtio3`, once the disk was pulled. */
  #disk = '';

  constructor(
    machine: Machine,
    hostId: number,
    how: {
      readonly seats: 'ours' | 'sanlock and wdmd of the originals';
      readonly killAction: 'error' | 'stop';
    },
  ) {
    this.machine = machine;
    this.hostId = hostId;
    this.#hasOriginals = how.seats !== 'ours';
    this.#killAction = how.killAction;
  }

  /** Resolves when all three daemons serve. */
  async start(ioTimeoutS: number): Promise<void> {
    this.#ioTimeoutS = ioTimeoutS;
    await this.shell(`mkdir -p /run/sanlock /run/lvm /run/lock/lvm
      cat >/etc/lvm/lvmlocal.conf <<END
      local { host_id = ${this.hostId} }
      global { use_lvmlockd = 1 }
      activation { udev_sync = 0 udev_rules = 0 }
      devices { obtain_device_list_from_udev = 0 }
END`);
    await this.startDaemons();
  }

  /** Resolves when they serve. */
  async startDaemons(): Promise<void> {
    const folder = this.#hasOriginals ? '/usr/sbin' : `${ROOT}/bin`;
    const root = ['-U', 'root', '-G', 'root'];
    const daemons = [
      { args: [`${folder}/wdmd`, '-D'], asks: 'wdmd -d' },
      {
        args: [`${folder}/sanlock`, 'daemon', '-D', '-w', '1', ...root, '-e', this.machine.name],
        asks: 'sanlock client status',
      },
      {
        args: [
          ...[`${ROOT}/bin/lvmlockd`, '-D', '-g', 'sanlock', '-o', `${this.#ioTimeoutS}`],
          ...['--kill-action', this.#killAction],
        ],
        asks: 'lvmlockctl -i',
      },
    ];
    for (const { args, asks } of daemons) {
      this.machine.start(args);
      await this.shell(`until /usr/sbin/${asks} >/run/answer 2>&1; do sleep 0.2; done`);
    }
  }

  /** As an init system stops them; resolves when each has ended by itself. */
  async stopDaemons(): Promise<void> {
    for (const pidFile of ['lvmlockd.pid', 'sanlock/sanlock.pid', 'wdmd/wdmd.pid']) {
      await this.shell(`pid=$(cat /run/${pidFile}) && kill $pid
        while kill -0 $pid 2>&-; do sleep 0.1; done`);
    }
  }

  /** From now on its I/O fails, and the device is gone. */
  async pullDisk(): Promise<void> {
    if (this.#disk === '') {
      const name = SHARED_DISK.slice('/dev/'.length);
      const link = await this.shell(`readlink /sys/block/${name}/device`);
      this.#disk = link.slice(link.lastIndexOf('/') + 1);
    }
    await this.shell(`echo ${this.#disk} >${DRIVER}/unbind`);
  }

  /** While something still has the old one open, it comes back under another name and number. */
  async returnDisk(): Promise<void> {
    await this.shell(`echo ${this.#disk} >${DRIVER}/bind`);
  }

  /** Runs it to its end, which must be a good one. @returns what it printed */
  shell(script: string): Promise<string> {
    return this.machine.shell(script, DEADLINE_MS);
  }
}
