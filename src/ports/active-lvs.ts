/** A logical volume that device-mapper has on this host. */
export interface ActiveLv {
  /** Of the device, as device-mapper names it: `vg-lv`, mangled. */
  readonly deviceName: string;
  /** 32 characters, without dashes. */
  readonly vgUuid: string;
  /** 32 characters, without dashes. An LV with hidden layers has several devices of one uuid. */
  readonly lvUuid: string;
}

/** The LVs that are active on this host. */
export interface ActiveLvs {
  /**
   * null: it is not known. There is no device-mapper, as in a container, or it cannot be read.
   * Never opens or waits for a device.
   */
  read(): readonly ActiveLv[] | null;
}
