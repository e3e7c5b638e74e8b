/** A logical volume that device-mapper has on this host. */
export interface ActiveLv {
  /** Of the device, as device-mapper names it: `vg-lv`, mangled. */
  readonly deviceName: string;
  /** `LVM-`, the two uuids, and for a hidden layer a suffix (`-real`, `-tpool` …). */
  readonly deviceUuid: string;
  /** 32 characters, without dashes. */
  readonly vgUuid: string;
  /** 32 characters, without dashes. An LV with hidden layers has several devices of one uuid. */
  readonly lvUuid: string;
  /** Of the device as it is used now; null: it cannot be read. */
  readonly sizeBytes: number | null;
  /** Another device lies on it: a mirror, a pool, a crypt device. */
  readonly isHeld: boolean;
}

/** The LVs that are active on this host. */
export interface ActiveLvs {
  /**
   * null: it is not known. There is no device-mapper, as in a container, or it cannot be read.
   * Never opens or waits for a device.
   */
  read(): readonly ActiveLv[] | null;
}
