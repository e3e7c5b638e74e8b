import { readdirSync, readFileSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { MIB, SECOND_MS } from '../base/units.ts';
import type { GuestFiles } from '../ports/guest-files.ts';

const SUFFIX = '.xml';
const MAX_BYTES = 8 * MIB;
/** How often a directory is looked for that is not there, was replaced, or cannot be watched. */
const LOOK_MS = SECOND_MS;
/** The kernel drops events where too many wait, and a file may not be readable for a moment. */
const SWEEP_MS = 10 * SECOND_MS;

interface Watcher {
  close(): void;
  on(event: 'error', failed: () => void): unknown;
}

/** @throws where the kernel has no watch left */
export type WatchFolder = (
  dir: string,
  changed: (what: string, name: string | null) => void,
) => Watcher;

/**
 * By inotify, and by a look now and then at what it may have missed: a guest whose status is not
 * seen cannot migrate, or is left as if it migrated. The directory is in memory, and never hangs.
 */
export class NodeGuestFiles implements GuestFiles {
  readonly #dir: string;
  readonly #watchFolder: WatchFolder;
  readonly #sweepMs: number;
  #changed: ((name: string, xml: string | null) => void) | null = null;
  #watcher: Watcher | null = null;
  #inode: number | null = null;
  #timer: NodeJS.Timeout | null = null;
  #sweptMs = Number.NEGATIVE_INFINITY;
  /** Which version of each file was told. */
  readonly #told = new Map<string, string>();

  constructor(dir: string, watchFolder: WatchFolder = watch, sweepMs = SWEEP_MS) {
    this.#dir = dir;
    this.#watchFolder = watchFolder;
    this.#sweepMs = sweepMs;
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
    const isWatched = inode !== null && inode === this.#inode;
    if (!isWatched) this.#watchAgain(inode);
    if (isWatched && performance.now() < this.#sweptMs + this.#sweepMs) return;
    this.#sweptMs = performance.now();
    this.#sweep();
  }

  #watchAgain(inode: number | null): void {
    this.#forget();
    if (inode === null) return;
    try {
      this.#watcher = this.#watchFolder(this.#dir, (_what, name) => this.#tell(name));
      this.#watcher.on('error', () => this.#forget()); // the next look finds it again
      this.#inode = inode;
    } catch {
      this.#forget(); // until it can be watched, it is swept at each look
    }
  }

  #sweep(): void {
    const names = namesIn(this.#dir);
    for (const name of this.#told.keys()) if (!names.has(name)) this.#told.delete(name);
    for (const name of names) {
      if (this.#versionOf(name) !== this.#told.get(name)) this.#tell(name);
    }
  }

  #tell(file: string | null): void {
    if (file === null || !file.endsWith(SUFFIX)) return;
    const version = this.#versionOf(file);
    const xml = version === null ? null : this.#read(file);
    if (version === null || xml === null) this.#told.delete(file);
    else this.#told.set(file, version);
    this.#changed?.(file.slice(0, -SUFFIX.length), xml);
  }

  /** libvirt writes a new file, and puts it in the place of the old one. */
  #versionOf(file: string): string | null {
    try {
      const { ino, mtimeMs, size } = statSync(join(this.#dir, file));
      return size > MAX_BYTES ? null : `${ino} ${mtimeMs} ${size}`;
    } catch {
      return null; // it is gone
    }
  }

  #read(file: string): string | null {
    try {
      return readFileSync(join(this.#dir, file), 'utf8');
    } catch {
      return null;
    }
  }

  #forget(): void {
    this.#watcher?.close();
    this.#watcher = null;
    this.#inode = null;
  }
}

function namesIn(dir: string): ReadonlySet<string> {
  try {
    return new Set(readdirSync(dir).filter((name) => name.endsWith(SUFFIX)));
  } catch {
    return new Set();
  }
}

function inodeOf(path: string): number | null {
  try {
    return statSync(path).ino;
  } catch {
    return null;
  }
}
