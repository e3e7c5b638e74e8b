import { ERRNO } from '../base/errno.ts';
import type {
  DriverDevice,
  WatchdogDevice,
  WatchdogDevices,
  WatchdogDrivers,
  WatchdogOpened,
  WatchdogStep,
  WatchdogSupport,
} from '../ports/watchdog-device.ts';

export interface WatchdogKind {
  readonly identity: string;
  /** So many times its timeout passes before the machine is reset. */
  readonly expiries: number;
  readonly reason: string;
}

/**
 * Devices that may take longer than their timeout, by the identity that their driver reports (spec
 * 25 §3 lists those that do not, and why). A device that cannot be known counts as one that does.
 */
export const WATCHDOG_KINDS: readonly WatchdogKind[] = [
  {
    identity: 'iTCO_wdt',
    expiries: 2,
    reason:
      'where the firmware does not reset at the first expiry, the chipset does at the second; ' +
      'only some kernels halve the timeout for that',
  },
];

/** Those that only the magic close stops, though their driver does not say so (spec 25 §3). */
const MAGIC_CLOSE_UNSAID: readonly string[] = ['IPMI'];

/** Devices whose timeout is the time until the reset, whatever the driver means by it. */
export class KnownWatchdogs implements WatchdogDevices {
  readonly #drivers: WatchdogDrivers;
  readonly #found: (path: string, kind: WatchdogKind) => void;

  /** @param found is called for each opened device of a special kind */
  constructor(drivers: WatchdogDrivers, found: (path: string, kind: WatchdogKind) => void) {
    this.#drivers = drivers;
    this.#found = found;
  }

  open(path: string): WatchdogOpened {
    const opened = this.#drivers.openDevice(path);
    if (!opened.ok) return opened;
    const { device } = opened;
    const support = device.support();
    const unfit = support === null ? null : whyUnfit(support);
    if (unfit !== null) {
      device.disarm();
      return { ok: false, step: unfit, errno: ERRNO.EINVAL };
    }
    const kind = WATCHDOG_KINDS.find(({ identity }) => identity === support?.identity);
    if (kind === undefined) return { ok: true, device };
    this.#found(path, kind);
    return { ok: true, device: firesAfter(device, kind.expiries) };
  }
}

/**
 * A device that stops at any close would stop when wdmd is killed or handed over, or closes it
 * because an expiry is near: nothing would reset a host whose leases others take.
 */
function whyUnfit(support: WatchdogSupport): WatchdogStep | null {
  if (support.isAlarmOnly) return 'alarmOnly';
  const goesOn = support.hasMagicClose || support.isNoWayOut;
  return goesOn || MAGIC_CLOSE_UNSAID.includes(support.identity) ? null : 'stopsAtClose';
}

/** Set to a part of the time, so that all its expiries fit into it. */
function firesAfter(device: DriverDevice, expiries: number): WatchdogDevice {
  const whole = (timeoutS: number) => (timeoutS < 0 ? timeoutS : timeoutS * expiries);
  return {
    getTimeout: () => whole(device.getTimeout()),
    changeTimeout: (seconds) => {
      const part = Math.floor(seconds / expiries);
      return part < 1 ? -ERRNO.EINVAL : whole(device.changeTimeout(part));
    },
    keepalive: () => device.keepalive(),
    disarm: () => device.disarm(),
    closeUnclean: () => device.closeUnclean(),
  };
}
