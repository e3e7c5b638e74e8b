/** A device that device-mapper has on this host, as sysfs shows it. */
export interface MappedDevice {
  /** `dm-3`. */
  readonly kernelName: string;
  /** `253:3`. */
  readonly number: string;
  /** Mangled, as device-mapper has it. */
  readonly name: string;
  /** `LVM-`, the VG's uuid, the LV's, and for a hidden layer a suffix; '' where there is none. */
  readonly uuid: string;
  /** In sectors of 512 bytes. */
  readonly sectors: bigint;
  /** Kernel names of the block devices below and above it, of any kind. */
  readonly slaves: readonly string[];
  readonly holders: readonly string[];
}

/** One line of a table. `start` and `length` in sectors of 512 bytes. */
export interface MappedTarget {
  readonly start: bigint;
  readonly length: bigint;
  /** `linear`, `error` … */
  readonly type: string;
  readonly parameters: string;
}

/** The table that a device uses now. */
export interface MappedTable {
  /** Empty: it has none, and every I/O fails. */
  readonly targets: readonly MappedTarget[];
  readonly isSuspended: boolean;
  readonly isReadOnly: boolean;
  /** How often it is open, by devices above it too. */
  readonly openCount: number;
}

/**
 * The kernel's device-mapper. Its devices are named by uuid: no other one ever gets that. Nothing
 * here opens or reads a device, and no program is started: it works without any disk. The kernel
 * may let a call wait for I/O of a device that does not answer; so all answers come later, and none
 * is sure to come.
 */
export interface DeviceMapper {
  /** null: it is not known. There is no device-mapper, or sysfs cannot be read. Never waits. */
  list(): readonly MappedDevice[] | null;
  /** An errno: ENXIO where no such device is left. */
  table(uuid: string, answer: (table: MappedTable | number) => void): void;
  /**
   * Gives it a table of one error target, and waits for the I/O of the old one. Nothing is flushed
   * to the disks below. `answer`: 0, or an errno.
   */
  fail(device: FailedDevice, answer: (errno: number) => void): void;
  /** Removes a device that nobody has open. `answer`: 0, or an errno. */
  remove(uuid: string, answer: (errno: number) => void): void;
  /** Whether a block device of this number (`8:16`) is there. Never waits. */
  hasDevice(number: string): boolean;
}

/** What `fail` needs to know. */
export interface FailedDevice {
  readonly uuid: string;
  readonly sectors: bigint;
  readonly isReadOnly: boolean;
}
