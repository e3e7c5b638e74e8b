/** A watchdog: it resets this machine when it was not pinged for its timeout. */
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

/**
 * Where opening failed: `alarmOnly` means that the device resets nothing, `stopsAtClose` that it
 * stops when whoever has it open dies.
 */
export type WatchdogStep = 'stat' | 'open' | 'alarmOnly' | 'stopsAtClose';

/** An opened watchdog with true timeouts, or why not: `errno` is positive. */
export type WatchdogOpened =
  | { readonly ok: true; readonly device: WatchdogDevice }
  | { readonly ok: false; readonly step: WatchdogStep; readonly errno: number };

/** Their timeouts are true: after so long without a ping this machine is reset. */
export interface WatchdogDevices {
  /** Opening a watchdog starts it. */
  open(path: string): WatchdogOpened;
}

/** What the driver says of a device. */
export interface WatchdogSupport {
  readonly identity: string;
  /** It raises an alarm somewhere, and resets nothing. */
  readonly isAlarmOnly: boolean;
  /** Only a close behind the magic character stops it. */
  readonly hasMagicClose: boolean;
  /** Nothing stops it, until a reboot. */
  readonly isNoWayOut: boolean;
}

/** As the driver has it: what its timeout means depends on the device (programs/watchdog-kinds). */
export interface DriverDevice extends WatchdogDevice {
  /** null: the driver does not say. */
  support(): WatchdogSupport | null;
}

/** An opened watchdog as its driver has it, or why not: `errno` is positive. */
export type DriverOpened =
  | { readonly ok: true; readonly device: DriverDevice }
  | { readonly ok: false; readonly step: WatchdogStep; readonly errno: number };

/** The watchdog devices of this machine, as their drivers have them. */
export interface WatchdogDrivers {
  openDevice(path: string): DriverOpened;
  /** Paths of all devices there are. */
  list(): readonly string[];
}
