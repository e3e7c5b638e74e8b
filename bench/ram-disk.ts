import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { MIB } from '../src/base/units.ts';

/** Block devices in memory: what a lease costs where storage answers at once. */
export interface RamDisks {
  /** How the table names them. */
  readonly label: string;
  readonly paths: readonly string[];
  /** Why not better ones. */
  readonly remark: string | null;
  close(): void;
}

interface Size {
  readonly count: number;
  readonly mebibytes: number;
}

/**
 * Devices of the module brd; where it is missing, loop devices over tmpfs.
 * @returns a reason where there is neither.
 */
export function ramDisks(size: Size): RamDisks | string {
  if (process.getuid?.() !== 0) return 'block devices need root';
  const ram = brdDisks(size);
  if (typeof ram !== 'string') return ram;
  const loop = loopDisks(size, ram);
  return typeof loop === 'string' ? `${ram}; ${loop}` : loop;
}

function brdDisks({ count, mebibytes }: Size): RamDisks | string {
  const paths = Array.from({ length: count }, (_, n) => `/dev/ram${n}`);
  const wasLoaded = paths.some(existsSync);
  if (!wasLoaded) {
    const options = [`rd_nr=${count}`, `rd_size=${mebibytes * 1024}`];
    const failure = run('modprobe', ['brd', ...options]);
    if (failure !== null) return `no module brd (${failure})`;
  }
  const refusal = paths.map((path) => whyNot(path, mebibytes)).find((reason) => reason !== null);
  if (refusal !== undefined) return refusal;
  return {
    label: 'RAM block device',
    paths,
    remark: null,
    close: () => {
      if (wasLoaded) for (const path of paths) wipe(path, mebibytes);
      else run('rmmod', ['brd']);
    },
  };
}

function loopDisks({ count, mebibytes }: Size, reason: string): RamDisks | string {
  const made: { readonly file: string; readonly device: string }[] = [];
  const close = () => {
    for (const { file, device } of made.splice(0)) {
      run('losetup', ['--detach', device]);
      rmSync(file, { force: true });
    }
  };
  for (let n = 0; n < count; n++) {
    const file = join('/dev/shm', `holdfast-bench-${process.pid}-${n}`);
    writeFileSync(file, new Uint8Array(mebibytes * MIB));
    const set = spawnSync('losetup', ['--find', '--show', '--direct-io=on', file], {
      encoding: 'utf8',
    });
    if (set.status !== 0) {
      rmSync(file, { force: true });
      close();
      return `no loop device (${(set.stderr ?? 'losetup is missing').trim()})`;
    }
    made.push({ file, device: set.stdout.trim() });
  }
  const label = 'loop device over tmpfs';
  return { label, paths: made.map(({ device }) => device), remark: reason, close };
}

/** A device of the machine's may be somebody's: it must be idle, large enough, and empty. */
function whyNot(path: string, mebibytes: number): string | null {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_EXCL);
  } catch (error) {
    return `${path} is in use or missing (${(error as NodeJS.ErrnoException).code})`;
  }
  try {
    const part = Buffer.alloc(MIB);
    for (let at = 0; at < mebibytes * MIB; at += MIB) {
      if (readSync(fd, part, 0, MIB, at) < MIB) return `${path} is too small`;
      if (part.some((byte) => byte !== 0)) return `${path} holds data`;
    }
    return null;
  } finally {
    closeSync(fd);
  }
}

function wipe(path: string, mebibytes: number): void {
  writeFileSync(path, new Uint8Array(mebibytes * MIB), { flag: 'r+' });
}

function run(program: string, args: readonly string[]): string | null {
  const { status, error, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status === 0) return null;
  return error?.message ?? (stderr.trim() || `status ${status}`);
}
