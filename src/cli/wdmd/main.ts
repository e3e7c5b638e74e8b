import type { ByteString } from '../../base/bytes.ts';
import { ERRNO } from '../../base/errno.ts';
import { decode } from '../../codec/struct.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Connecting, Connection } from '../../ports/sockets.ts';
import type { WatchdogDevices } from '../../ports/watchdog-device.ts';
import {
  findWatchdog,
  type WatchdogRefusal,
  watchdogPaths,
} from '../../programs/watchdog-search.ts';
import { DEFAULT_FIRE_TIMEOUT_S } from '../../wdmd/state.ts';
import {
  WDMD_CMD,
  WDMD_MESSAGE_BYTES,
  wdmdMessage,
  wdmdMessageBytes,
} from '../../wire/wdmd/socket.ts';
import type { WdmdOptions } from './options.ts';

export const NO_DEVICE = 'no watchdog device, load a watchdog driver';
const IN_USE = 'cannot probe watchdog devices while wdmd is in use.';
const DUMP_DEADLINE_MS = 5000;
const END_OF_DUMP = 'end of the dump';

export interface Printer {
  readonly print: (text: ByteString) => void;
  readonly complain: (line: string) => void;
}

export interface Surroundings {
  /** A wdmd runs, or ended without disarming its device. */
  readonly isGuarded: boolean;
  /** All watchdog devices there are. */
  readonly others: () => readonly string[];
}

const SOFTDOG = 'softdog';

/**
 * --softdog, before the daemon starts: where a device can be used nothing happens. Else the
 * kernel's own watchdog takes its place, which is printed. @returns the exit status.
 */
export function fallBack(
  options: WdmdOptions,
  devices: WatchdogDevices,
  to: Printer & Surroundings & { readonly load: (module: string) => string | null },
): number {
  if (to.isGuarded) {
    to.complain(IN_USE); // probing would disarm what may be about to fire
    return 1;
  }
  const find = (refused: (refusal: WatchdogRefusal) => void) => {
    const paths = watchdogPaths(options.watchdogPath, to.others());
    const found = findWatchdog(devices, { paths, timeoutS: DEFAULT_FIRE_TIMEOUT_S }, refused);
    found?.device.disarm();
    return found;
  };
  const usable = find((refusal) => {
    if (refusal.errno !== ERRNO.ENOENT) to.complain(refusalText(refusal));
  });
  if (usable !== null) return 0;
  const failed = to.load(SOFTDOG);
  const found = failed === null ? find((refusal) => to.complain(refusalText(refusal))) : null;
  if (found === null) {
    to.complain(`wdmd: no watchdog device can be used, nor ${SOFTDOG}: ${failed ?? NO_DEVICE}`);
    return 1;
  }
  to.complain(
    `wdmd: no watchdog device can be used: ${SOFTDOG} was loaded (${found.path}). It is the ` +
      `kernel's own, and resets no machine whose kernel hangs`,
  );
  return 0;
}

/** -p, -t and -F: what the original prints, on the same stream. @returns the exit status. */
export function tryDevice(
  options: WdmdOptions,
  devices: WatchdogDevices,
  to: Printer & Surroundings,
): number {
  if (to.isGuarded) {
    to.complain(IN_USE);
    return 1;
  }
  const want = {
    paths: watchdogPaths(options.watchdogPath, to.others()),
    timeoutS: options.tryTimeoutS ?? DEFAULT_FIRE_TIMEOUT_S,
  };
  const found = findWatchdog(devices, want, (refusal) => to.complain(refusalText(refusal)));
  if (found === null) {
    to.complain(NO_DEVICE);
    return 1;
  }
  if (options.action === 'fire') {
    found.device.closeUnclean();
    to.print(`${found.path} resets this machine in ${want.timeoutS} seconds\n`);
    return 0;
  }
  found.device.disarm();
  to.print(`${found.path}\n`);
  return 0;
}

const WORDS: Readonly<Record<WatchdogRefusal['step'], string>> = {
  stat: 'stat',
  open: 'open',
  getTimeout: 'ioctl gettimeout',
  setTimeout: 'ioctl settimeout',
  timeout: 'invalid timeout',
  alarmOnly: 'resets nothing, it only raises an alarm:',
  stopsAtClose: 'stops when wdmd dies (its driver needs the parameter nowayout=1):',
};

export function refusalText({ path, step, errno }: WatchdogRefusal): string {
  return `error ${errno} ${WORDS[step]} ${path}`;
}

/**
 * -d: the daemon's own words. Nothing announces their length, so a status request follows: its
 * reply, which repeats our name, is the end. @returns the exit status.
 */
export function printDump(
  from: {
    readonly sockets: Connecting;
    readonly clock: Clock;
    readonly socketPath: ByteString;
  },
  print: (text: ByteString) => void,
): Promise<number> {
  return new Promise((resolve) => {
    from.sockets.connect(from.socketPath, DUMP_DEADLINE_MS, (opened) => {
      if (!opened.ok) resolve(1);
      else receiveDump(opened.connection, from.clock, { print, ended: resolve });
    });
  });
}

function receiveDump(
  connection: Connection,
  clock: Clock,
  to: { readonly print: (text: ByteString) => void; readonly ended: (status: number) => void },
): void {
  let text = '';
  const end = (status: number) => {
    deadline.cancel();
    connection.close();
    to.print(text);
    to.ended(status);
  };
  const deadline = clock.after(DUMP_DEADLINE_MS, () => end(1));
  connection.onData((bytes) => {
    for (const byte of bytes) text += String.fromCharCode(byte);
    if (!endsWithReply(text)) return;
    text = text.slice(0, -WDMD_MESSAGE_BYTES);
    end(0);
  });
  connection.onClosed(() => end(1));
  connection.send(wdmdMessageBytes({ cmd: WDMD_CMD.DUMP_DEBUG }));
  connection.send(wdmdMessageBytes({ cmd: WDMD_CMD.STATUS, name: END_OF_DUMP }));
}

function endsWithReply(text: ByteString): boolean {
  if (text.length < WDMD_MESSAGE_BYTES) return false;
  const last = Uint8Array.from(text.slice(-WDMD_MESSAGE_BYTES), (c) => c.charCodeAt(0));
  const message = decode(wdmdMessage, last);
  return message.cmd === WDMD_CMD.STATUS && message.name === END_OF_DUMP;
}
