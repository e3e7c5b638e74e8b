import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import koffi from 'koffi';

const MNT_DETACH = 2;

/** A file on a device that hangs and recovers at our word; see fuse-file.ts. */
export interface HungFile {
  readonly path: string;
  hang(): void;
  recover(): void;
  close(): void;
}

/** null, or why this machine cannot have a hanging device. */
export function noHungFile(): string | null {
  if (process.getuid?.() !== 0) return 'mounting needs root';
  try {
    accessSync('/dev/fuse');
    return null;
  } catch {
    return 'the kernel offers no /dev/fuse';
  }
}

export async function startHungFile(bytes: number): Promise<HungFile> {
  const root = process.env['HOLDFAST_ROOT'] ?? process.cwd();
  const directory = mkdtempSync('/tmp/holdfast-hung-');
  const program = join(directory, 'fuse-file.cjs');
  buildSync({
    entryPoints: [join(root, 'test/interop/fuse-file.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    external: ['koffi'],
  });
  const mountPoint = join(directory, 'mount');
  const server = spawn(process.execPath, [program, mountPoint, String(bytes)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_PATH: join(root, 'node_modules') },
  });
  const path = await firstLine(server);
  return {
    path,
    hang: () => server.kill('SIGSTOP'),
    recover: () => server.kill('SIGCONT'),
    close: () => {
      server.kill('SIGCONT');
      server.kill('SIGKILL'); // the kernel then fails whatever still waits
      const umount = koffi.load('libc.so.6').func('int umount2(const char *target, int flags)');
      umount(mountPoint, MNT_DETACH);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function firstLine(server: ChildProcess): Promise<string> {
  return new Promise((done, fail) => {
    const deadline = setTimeout(() => fail(new Error('the file server did not start')), 30_000);
    server.once('exit', (status) => fail(new Error(`the file server ended with ${status}`)));
    server.stdout?.once('data', (text: Buffer) => {
      clearTimeout(deadline);
      done(text.toString().trim());
    });
  });
}
