import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startFuseServer, whyNoFuse } from './fuse-server.ts';

/** A file on a device that hangs and recovers on demand; see fuse-file.ts. */
export interface HungFile {
  readonly path: string;
  hang(): void;
  recover(): void;
  /** From now on it answers each write with an error. */
  refuse(): void;
  close(): void;
}

/** null, or why this machine cannot have a hanging device. */
export function noHungFile(): string | null {
  return process.getuid?.() === 0 ? whyNoFuse() : 'mounting needs root';
}

export async function startHungFile(bytes: number): Promise<HungFile> {
  const server = startFuseServer('fuse-file', () => [String(bytes)]);
  const path = await firstLine(server.process);
  return {
    path,
    hang: () => server.process.kill('SIGSTOP'),
    recover: () => server.process.kill('SIGCONT'),
    refuse: () => writeFileSync(join(server.directory, 'mount.refuses'), ''),
    close: () => {
      server.process.kill('SIGCONT');
      server.close();
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
