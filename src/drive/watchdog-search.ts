import type { WatchdogDevice, WatchdogDevices } from '../ports/watchdog-device.ts';

export interface WatchdogFound {
  readonly path: string;
  readonly device: WatchdogDevice;
}

/** Why a candidate was passed over; `errno` 0 where the device answered with another timeout. */
export interface WatchdogRefusal {
  readonly path: string;
  readonly step: 'stat' | 'open' | 'getTimeout' | 'setTimeout' | 'timeout';
  readonly errno: number;
}

const USUAL_PATHS = ['/dev/watchdog0', '/dev/watchdog1', '/dev/watchdog'];

export function watchdogPaths(first: string | null): readonly string[] {
  return first === null ? USUAL_PATHS : [...new Set([first, ...USUAL_PATHS])];
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
  const set = device.changeTimeout(timeoutS);
  if (set < 0) return { step: 'setTimeout', errno: -set };
  return set === timeoutS ? null : { step: 'timeout', errno: 0 };
}
