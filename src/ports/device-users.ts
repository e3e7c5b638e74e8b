/** A process that keeps a device in use. */
export interface DeviceUserFacts {
  readonly pid: number;
  /** With the pid: tells it from a later process of that pid. */
  readonly identity: string;
  readonly command: string;
  /** `vg-lv`, or the mount point of a file system on it. */
  readonly uses: string;
}

/** The processes that use block devices of this host, as /proc shows them. */
export interface DeviceUsers {
  /**
   * Those that have one of these devices open, or a file of a file system on it; without daemons
   * that hold leases, and whoever guards them. Memory that maps a file no longer open is not found.
   * null: /proc cannot be read. Waits for no disk.
   */
  find(
    devices: readonly {
      readonly number: string;
      readonly kernelName: string;
      readonly name: string;
    }[],
    answer: (users: readonly DeviceUserFacts[] | null) => void,
  ): void;
  /** One that has ended is passed over. */
  signal(users: readonly DeviceUserFacts[], signal: 'SIGTERM' | 'SIGKILL'): void;
}
