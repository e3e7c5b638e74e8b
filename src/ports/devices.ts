/** What a block device says about itself, without being opened. */
export interface DeviceFacts {
  readonly exists: boolean;
  /** Bytes; null when the system does not say (no block device, no sysfs). */
  readonly physicalBytes: number | null;
  readonly logicalBytes: number | null;
  /** Of the whole device, in bytes; null as above. */
  readonly sizeBytes: number | null;
}

/** Facts of block devices, read from the system and not from the device. */
export interface Devices {
  /** Follows links. Never waits for the device itself. */
  probe(path: string): DeviceFacts;
}
