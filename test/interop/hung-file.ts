import type { ChildProcess } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FuseServer, startFuseServer, whyNoFuse } from './fuse-server.ts';
import { killAtExit } from './sanlock-daemons.ts';

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

/** The way of one host to a LUN, which hangs, fails or is slow on demand; see fuse-way.ts. */
export class FailingWay {
  #server: FuseServer | null = null;

  /** @param image the bytes of the LUN  @returns a file with the same bytes */
  async open(image: string): Promise<string> {
    this.#server = startFuseServer('fuse-way', () => [image]);
    killAtExit(this.#server.process);
    return await firstLine(this.#server.process);
  }

  hang(): void {
    this.#server?.process.kill('SIGSTOP');
  }

  /** From now on each read and write is answered with an error. */
  fail(): void {
    if (this.#server !== null) writeFileSync(mark(this.#server, 'fails'), '');
  }

  /** From now on each write takes that long. */
  slow(ms: number): void {
    if (this.#server !== null) writeFileSync(mark(this.#server, 'slow'), `${ms}`);
  }

  /** It works again, be it that it hung, failed or was slow. */
  recover(): void {
    if (this.#server === null) return;
    for (const fault of ['fails', 'slow'] as const) {
      rmSync(mark(this.#server, fault), { force: true });
    }
    this.#server.process.kill('SIGCONT');
  }

  close(): void {
    this.recover();
    this.#server?.close();
  }
}

function mark({ directory }: FuseServer, fault: 'fails' | 'slow'): string {
  return join(directory, `mount.${fault}`);
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
