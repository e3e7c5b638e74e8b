import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import koffi from 'koffi';

const MNT_DETACH = 2;
const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();

/** null, or why this kernel has no file systems of user space. */
export function whyNoFuse(): string | null {
  try {
    accessSync('/dev/fuse');
    return null;
  } catch {
    return 'the kernel offers no /dev/fuse';
  }
}

/** A program of this folder that serves a mounted file system of its own. */
export interface FuseServer {
  /** A new folder: `mount` is in it, and room for more. */
  readonly directory: string;
  readonly process: ChildProcess;
  /** Ends it, unmounts, and removes the folder. */
  close(): void;
}

/** @param program its name without `.ts`; its first argument is the mount point */
export function startFuseServer(
  program: string,
  args: (directory: string) => readonly string[],
): FuseServer {
  const directory = mkdtempSync(`/tmp/holdfast-${program}-`);
  const bundle = join(directory, `${program}.cjs`);
  buildSync({
    entryPoints: [join(ROOT, `test/interop/${program}.ts`)],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    external: ['koffi'],
  });
  const mountPoint = join(directory, 'mount');
  const server = spawn(process.execPath, [bundle, mountPoint, ...args(directory)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_PATH: join(ROOT, 'node_modules') },
  });
  const close = () => {
    server.kill('SIGKILL'); // the kernel then fails all requests that still wait
    const umount = koffi.load('libc.so.6').func('int umount2(const char *target, int flags)');
    umount(mountPoint, MNT_DETACH);
    rmSync(directory, { recursive: true, force: true });
  };
  return { directory, process: server, close };
}
