import type { WatchdogDevice, WatchdogDevices, WatchdogStep } from '../ports/watchdog-device.ts';

export interface WatchdogFound {
  readonly path: string;
  readonly device: WatchdogDevice;
}

/** Why a candidate was passed over; `errno` 0 where the device answered with another timeout. */
export interface WatchdogRefusal {
  readonly path: string;
  readonly step: WatchdogStep | 'getTimeout' | 'setTimeout' | 'timeout';
  readonly errno: number;
}

/** Beyond, a shorter timeout is not worth having. */
const LONGEST_SHORT_S = 60;
const USUAL_PATHS = ['/dev/watchdog0', '/dev/watchdog1', '/dev/watchdog'];

/** @param others there are; a fallback beside two useless devices is none of the usual ones */
export function watchdogPaths(first: string | null, others: readonly string[]): readonly string[] {
  return [...new Set([...(first === null ? [] : [first]), ...USUAL_PATHS, ...others])];
}

/** The first device that takes the timeout; it is open, and counts from now on (spec 25 §3). */
export function findWatchdog(
  devices: WatchdogDevices,
  want: { readonly paths: readonly string[]; readonly timeoutS: number },
  refused: (refusal: WatchdogRefusal) => void,
): WatchdogFound | null {
  for (const path of want.paths) {
    const opened = devices.open(path);
    if (!opened.ok) {
      refused({ path, step: opened.step, errno: opened.errno });
      continue;
    }
    const { device } = opened;
    const refusal = whyNot(device, want.timeoutS);
    if (refusal === null) return { path, device };
    device.disarm();
    refused({ path, ...refusal });
  }
  return null;
}

function whyNot(
  device: WatchdogDevice,
  timeoutS: number,
): { readonly step: WatchdogRefusal['step']; readonly errno: number } | null {
  const found = device.getTimeout();
  if (found < 0) return { step: 'getTimeout', errno: -found };
  if (found === timeoutS) return null;
  const set = setTimeoutOf(device, timeoutS);
  if (set < 0) return { step: 'setTimeout', errno: -set };
  return set === timeoutS ? null : { step: 'timeout', errno: 0 };
}

/** @returns the timeout that the device reports afterwards, or a negative errno. */
export function setTimeoutOf(device: WatchdogDevice, timeoutS: number): number {
  const set = device.changeTimeout(timeoutS);
  return set === timeoutS ? device.getTimeout() : set;
}

/**
 * Devices have a least timeout of their own: the smallest one that is taken.
 * @returns it, or null when the device refuses all.
 */
export function shortenTimeoutOf(device: WatchdogDevice, wantedS: number): number | null {
  for (let timeoutS = wantedS; timeoutS < LONGEST_SHORT_S; timeoutS *= 2) {
    const set = setTimeoutOf(device, timeoutS);
    if (set > 0) return set;
  }
  return null;
}
