/** A watchdog: it resets this machine when nobody has pinged it for its timeout. */
export interface WatchdogDevice {
  /** Seconds, or a negative errno. */
  getTimeout(): number;
  /** Pings too. @returns the timeout now in force, which may be another one; or a negative errno. */
  changeTimeout(seconds: number): number;
  /** Pings. @returns 0 or an errno. */
  keepalive(): number;
  /** The magic close: it stops counting. Safe to repeat. */
  disarm(): void;
  /** It pings once, and goes on counting. Safe to repeat. */
  closeUnclean(): void;
}

export type WatchdogOpened =
  | { readonly ok: true; readonly device: WatchdogDevice }
  | { readonly ok: false; readonly step: 'stat' | 'open'; readonly errno: number };

export interface WatchdogDevices {
  /** Opening a watchdog starts it. */
  open(path: string): WatchdogOpened;
}
