import { spawn } from 'node:child_process';
import { constants, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type ByteString, nameToText, textToName } from '../base/bytes.ts';
import type { RunningScript, TestScripts } from '../ports/test-scripts.ts';

const NOT_STARTED = 127; // as a shell reports it

export class DirectoryScripts implements TestScripts {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  list(): readonly ByteString[] {
    try {
      return readdirSync(this.#directory)
        .filter((name) => !name.startsWith('.') && isProgram(join(this.#directory, name)))
        .sort()
        .map(textToName);
    } catch {
      return []; // no directory, no scripts
    }
  }

  start(name: ByteString, ended: (status: number | null) => void): RunningScript | null {
    const path = join(this.#directory, nameToText(name));
    if (!isProgram(path)) return null;
    const child = spawn(path, [], { stdio: 'ignore' });
    let isEnded = false;
    const end = (status: number | null) => {
      if (isEnded) return;
      isEnded = true;
      ended(status);
    };
    child.on('error', () => end(NOT_STARTED));
    child.on('exit', end);
    return { pid: child.pid ?? 0, kill: () => child.kill('SIGKILL') };
  }
}

/** Follows links, as stat does. */
function isProgram(path: string): boolean {
  try {
    const found = statSync(path);
    return found.isFile() && (found.mode & constants.S_IXUSR) !== 0;
  } catch {
    return false;
  }
}
