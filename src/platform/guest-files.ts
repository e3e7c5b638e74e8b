import { type FSWatcher, readdirSync, readFileSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { MIB, SECOND_MS } from '../base/units.ts';
import type { GuestFiles } from '../ports/guest-files.ts';

const SUFFIX = '.xml';
const MAX_BYTES = 8 * MIB;
/** How often a directory is looked for that is not there, or was replaced. */
const LOOK_MS = SECOND_MS;

/** By inotify; the directory is in memory, and never hangs. */
export class NodeGuestFiles implements GuestFiles {
  readonly #dir: string;
  #changed: ((name: string, xml: string | null) => void) | null = null;
  #watcher: FSWatcher | null = null;
  #inode: number | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(dir: string) {
    this.#dir = dir;
  }

  watch(changed: (name: string, xml: string | null) => void): void {
    this.#changed = changed;
    this.#look();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  close(): void {
    this.#forget();
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#changed = null;
  }

  #look(): void {
    const inode = inodeOf(this.#dir);
    if (inode === this.#inode) return;
    this.#forget();
    if (inode === null) return;
    try {
      this.#watcher = watch(this.#dir, (_what, name) => this.#tell(name));
      this.#watcher.on('error', () => this.#forget()); // the next look finds it again
      this.#inode = inode;
      for (const name of readdirSync(this.#dir)) this.#tell(name);
    } catch {
      this.#forget();
    }
  }

  #tell(file: string | null): void {
    if (file === null || !file.endsWith(SUFFIX)) return;
    this.#changed?.(file.slice(0, -SUFFIX.length), this.#read(file));
  }

  #read(file: string): string | null {
    const path = join(this.#dir, file);
    try {
      return statSync(path).size > MAX_BYTES ? null : readFileSync(path, 'utf8');
    } catch {
      return null; // it is gone
    }
  }

  #forget(): void {
    this.#watcher?.close();
    this.#watcher = null;
    this.#inode = null;
  }
}

function inodeOf(path: string): number | null {
  try {
    return statSync(path).ino;
  } catch {
    return null;
  }
}
