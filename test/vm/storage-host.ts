import { ROOT } from './initramfs.ts';
import { type Machine, SHARED_DISK } from './vm.ts';

const DEADLINE_MS = 300_000;
const DRIVER = '/sys/bus/virtio/drivers/virtio_blk';

/** A machine without systemd and udev, with our lvmlockd, whose disk can be pulled out. */
export class StorageHost {
  readonly machine: Machine;
  readonly hostId: number;
  readonly #hasOriginals: boolean;
  /** `virtio3`, once the disk was pulled. */
  #disk = '';

  constructor(
    machine: Machine,
    hostId: number,
    seats: 'ours' | 'sanlock and wdmd of the originals',
  ) {
    this.machine = machine;
    this.hostId = hostId;
    this.#hasOriginals = seats !== 'ours';
  }

  /** Resolves when all three serve. */
  async start(ioTimeoutS: number): Promise<void> {
    await this.shell(`mkdir -p /run/sanlock /run/lvm /run/lock/lvm
      cat >/etc/lvm/lvmlocal.conf <<END
      local { host_id = ${this.hostId} }
      global { use_lvmlockd = 1 }
      activation { udev_sync = 0 udev_rules = 0 }
      devices { obtain_device_list_from_udev = 0 }
END`);
    const folder = this.#hasOriginals ? '/usr/sbin' : `${ROOT}/bin`;
    const root = ['-U', 'root', '-G', 'root'];
    const daemons = [
      { args: [`${folder}/wdmd`, '-D'], asks: 'wdmd -d' },
      {
        args: [`${folder}/sanlock`, 'daemon', '-D', '-w', '1', ...root, '-e', this.machine.name],
        asks: 'sanlock client status',
      },
      {
        args: [`${ROOT}/bin/lvmlockd`, '-D', '-g', 'sanlock', '-o', `${ioTimeoutS}`],
        asks: 'lvmlockctl -i',
      },
    ];
    for (const { args, asks } of daemons) {
      this.machine.start(args);
      await this.shell(`until /usr/sbin/${asks} >/run/answer 2>&1; do sleep 0.2; done`);
    }
  }

  /** From now on its I/O fails, and the device is gone. */
  async pullDisk(): Promise<void> {
    const link = await this.shell(
      `readlink /sys/block/${SHARED_DISK.slice('/dev/'.length)}/device`,
    );
    this.#disk = link.slice(link.lastIndexOf('/') + 1);
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
