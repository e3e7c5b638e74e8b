/** A few sectors of a device, from the device itself and not from a cache. */
export interface SectorPlace {
  readonly path: string;
  /** Multiples of the device's sector size. */
  readonly offset: number;
  readonly length: number;
}

/** Single reads of devices that may hang. Nothing is ever written, and nothing stays open. */
export interface SectorReads {
  /**
   * Calls `answer` once, at the latest at the timeout. null: not read. A device has one read under
   * way at a time, also one that was given up: while that hangs, others time out.
   */
  read(at: SectorPlace, timeoutMs: number, answer: (bytes: Uint8Array | null) => void): void;
}
