import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type {
  DriverDevice,
  DriverOpened,
  WatchdogDrivers,
  WatchdogSupport,
} from '../ports/watchdog-device.ts';
import { ioctlPointer, lastErrno } from './system-calls.ts';
import { errnoOf } from './system-error.ts';

// _IOR('W', 5, int), _IOWR('W', 6, int), _IOR('W', 7, int); alike on all our processors
const WDIOC_KEEPALIVE = 0x80045705;
const WDIOC_SETTIMEOUT = 0xc0045706;
const WDIOC_GETTIMEOUT = 0x80045707;
const MAGIC_CLOSE = 'V';

// _IOR('W', 0, struct watchdog_info): u32 options, u32 firmware version, 32 bytes of identity
const WDIOC_GETSUPPORT = 0x80285700;
const INFO_BYTES = 40;
const IDENTITY_AT = 8;
const WDIOF_MAGICCLOSE = 0x0100;
const WDIOF_ALARMONLY = 0x0400;

const DEVICES = '/dev';

export class LinuxWatchdogs implements WatchdogDrivers {
  list(): readonly string[] {
    try {
      const names = readdirSync(DEVICES).filter((name) => /^watchdog\d*$/.test(name));
      return names.sort().map((name) => join(DEVICES, name));
    } catch {
      return []; // the usual ones are tried in any case
    }
  }

  openDevice(path: string): DriverOpened {
    let step: 'stat' | 'open' = 'stat';
    try {
      const { rdev } = statSync(path);
      step = 'open';
      return { ok: true, device: new LinuxWatchdog(openSync(path, constants.O_WRONLY), rdev) };
    } catch (error) {
      return { ok: false, step, errno: errnoOf(error) };
    }
  }
}

class LinuxWatchdog implements DriverDevice {
  #fd: number | null;
  readonly #deviceNumber: number;

  constructor(fd: number, deviceNumber: number) {
    this.#fd = fd;
    this.#deviceNumber = deviceNumber;
  }

  support(): WatchdogSupport | null {
    const info = new Uint8Array(INFO_BYTES);
    if (ioctlPointer(this.#fd ?? -1, WDIOC_GETSUPPORT, info) < 0) return null;
    const options = new DataView(info.buffer).getUint32(0, true);
    const name = info.subarray(IDENTITY_AT);
    const end = name.indexOf(0);
    return {
      identity: Buffer.from(end < 0 ? name : name.subarray(0, end)).toString('latin1'),
      isAlarmOnly: (options & WDIOF_ALARMONLY) !== 0,
      hasMagicClose: (options & WDIOF_MAGICCLOSE) !== 0,
      isNoWayOut: isNoWayOut(this.#deviceNumber),
    };
  }

  getTimeout(): number {
    return this.#ioctl(WDIOC_GETTIMEOUT, 0);
  }

  changeTimeout(seconds: number): number {
    return this.#ioctl(WDIOC_SETTIMEOUT, seconds);
  }

  keepalive(): number {
    const result = this.#ioctl(WDIOC_KEEPALIVE, 0);
    return result < 0 ? -result : 0;
  }

  disarm(): void {
    if (this.#fd === null) return;
    try {
      writeSync(this.#fd, MAGIC_CLOSE);
    } catch {
      // It keeps counting, which resets the machine: the safe side.
    }
    this.closeUnclean();
  }

  closeUnclean(): void {
    if (this.#fd === null) return;
    const fd = this.#fd;
    this.#fd = null;
    closeSync(fd);
  }

  /** @returns the integer the device gave back, or a negative errno. */
  #ioctl(request: number, value: number): number {
    const argument = new Uint8Array(4);
    const view = new DataView(argument.buffer);
    view.setInt32(0, value, true);
    if (ioctlPointer(this.#fd ?? -1, request, argument) < 0) return -lastErrno();
    return view.getInt32(0, true);
  }
}

/** The old name of the first device, a number of its own: misc device 130. */
const FIRST = '10:130';

/** Where sysfs says whether a device can be stopped at all. @param deviceNumber `st_rdev` */
export function noWayOutFile(deviceNumber: number): string {
  const major = (deviceNumber >>> 8) & 0xfff;
  const minor = (deviceNumber & 0xff) | ((deviceNumber >>> 12) & 0xfff00);
  const number = `${major}:${minor}`;
  const device = number === FIRST ? 'class/watchdog/watchdog0' : `dev/char/${number}`;
  return `/sys/${device}/nowayout`;
}

/** Where nobody says so, it can be stopped. */
function isNoWayOut(deviceNumber: number): boolean {
  try {
    return readFileSync(noWayOutFile(deviceNumber), 'ascii').trim() === '1';
  } catch {
    return false;
  }
}
