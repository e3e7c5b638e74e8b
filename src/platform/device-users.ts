import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import type { DeviceUserFacts, DeviceUsers } from '../ports/device-users.ts';
import type { Log } from '../ports/log.ts';
import { deviceNumbers } from './block-device.ts';
import { identityOf, KernelProcess } from './kernel-process.ts';

/**
 * Whose end would be worse than I/O errors: those who hold leases and guard them, and the machine's
 * own. `sanlock` has LVs open as lockspaces of guests.
 */
const SPARED = /^(systemd|init|sanlock|wdmd|lvmlockd|lvmlockctl|dmeventd|multipathd|fence_|sanlk-)/;

type Devices = Parameters<DeviceUsers['find']>[0];

/**
 * Files open are told by links and mount ids in /proc, not by a `stat` of the file: that may hang
 * on a file system of another machine. Nor is the memory map read, whose lock a process holds while
 * it waits for a page of the very disk that failed.
 */
export class ProcDeviceUsers implements DeviceUsers {
  readonly #proc: string;
  readonly #log: Log;

  constructor(log: Log, proc = '/proc') {
    this.#log = log;
    this.#proc = proc;
  }

  find(devices: Devices, answer: (users: readonly DeviceUserFacts[] | null) => void): void {
    let pids: string[];
    try {
      pids = readdirSync(this.#proc).filter((name) => /^\d+$/.test(name));
    } catch {
      answer(null);
      return;
    }
    const users: DeviceUserFacts[] = [];
    const look = () => {
      for (const pid of pids.splice(0, AT_ONCE)) {
        const user = this.#userOf(Number(pid), devices);
        if (user !== null) users.push(user);
      }
      if (pids.length === 0) answer(users);
      else setImmediate(look); // many processes: others are served in between
    };
    look();
  }

  signal(users: readonly DeviceUserFacts[], signal: 'SIGTERM' | 'SIGKILL'): void {
    for (const { pid, identity } of users) {
      const found = KernelProcess.find(pid, identity, { deputy: null, log: this.#log });
      found?.signal(signal);
      found?.close();
    }
  }

  #userOf(pid: number, devices: Devices): DeviceUserFacts | null {
    if (pid === process.pid || pid === 1) return null;
    const folder = `${this.#proc}/${pid}`;
    try {
      const command = readFileSync(`${folder}/comm`, 'latin1').trim();
      if (SPARED.test(command)) return null;
      const uses = useOf(folder, devices);
      const identity = uses === null ? null : identityOf(pid);
      return uses === null || identity === null ? null : { pid, identity, command, uses };
    } catch {
      return null; // it has ended
    }
  }
}

const AT_ONCE = 20;

function useOf(folder: string, devices: Devices): string | null {
  const mounts = mountsOf(folder, devices);
  for (const name of ['cwd', 'root', 'exe']) {
    const path = linkOf(`${folder}/${name}`);
    const mount = path === null ? undefined : longestIn(mounts, path);
    if (mount?.isOurs === true) return mount.point;
  }
  for (const fd of readdirSync(`${folder}/fd`)) {
    const path = linkOf(`${folder}/fd/${fd}`);
    if (path === null) continue;
    const device = path.startsWith('/dev/') ? deviceOf(`${folder}/fd/${fd}`, path, devices) : null;
    if (device !== null) return device;
    if (mounts.every(({ isOurs }) => !isOurs) || !path.startsWith('/')) continue;
    const id = /^mnt_id:\s*(\d+)/m.exec(readFileSync(`${folder}/fdinfo/${fd}`, 'latin1'))?.[1];
    const mount = mounts.find((one) => one.id === id);
    if (mount?.isOurs === true) return mount.point;
  }
  return null;
}

interface Mount {
  readonly id: string;
  readonly point: string;
  readonly isOurs: boolean;
}

/** As the process sees them: it may have mounts of its own. */
function mountsOf(folder: string, devices: Devices): readonly Mount[] {
  const numbers = new Set(devices.map(({ number }) => number));
  const lines = readFileSync(`${folder}/mountinfo`, 'latin1').split('\n');
  return lines.flatMap((line) => {
    const [id, , number, , point] = line.split(' ');
    if (id === undefined || number === undefined || point === undefined) return [];
    return [{ id, point: unescaped(point), isOurs: numbers.has(number) }];
  });
}

/** proc(5): blanks and the like are written in octal. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** The mount that the path is in; of several over each other the last one. */
function longestIn(mounts: readonly Mount[], path: string): Mount | undefined {
  let longest: Mount | undefined;
  for (const mount of mounts) {
    const isIn = path === mount.point || path.startsWith(mount.point.replace(/\/?$/, '/'));
    if (isIn && mount.point.length >= (longest?.point.length ?? 0)) longest = mount;
  }
  return longest;
}

/** Files of /dev are in memory: asking them waits for nothing. */
function deviceOf(link: string, path: string, devices: Devices): string | null {
  const named = devices.find(
    ({ kernelName, name }) => path === `/dev/${kernelName}` || path === `/dev/mapper/${name}`,
  );
  if (named !== undefined) return named.name;
  try {
    const found = statSync(link, { bigint: true });
    if (!found.isBlockDevice()) return null;
    const { major, minor } = deviceNumbers(found.rdev);
    return devices.find(({ number }) => number === `${major}:${minor}`)?.name ?? null;
  } catch {
    return null;
  }
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path, 'latin1');
  } catch {
    return null; // closed meanwhile, or a kernel thread's
  }
}
