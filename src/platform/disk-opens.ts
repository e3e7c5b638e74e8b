import { close as closeFile, constants, fstat, open as openFile, type Stats } from 'node:fs';
import type { ByteString } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import { pathGroup } from '../base/path-group.ts';
import { Share } from '../base/share.ts';
import { FairQueue, type Queued } from './fair-queue.ts';
import { errnoOf } from './system-error.ts';

const OPEN_FLAGS = constants.O_RDWR | constants.O_DIRECT | constants.O_SYNC;
/** Threads for what may hang and cannot be given up: opening and closing. */
const SHARED_THREADS = 12;
/** For the lockspace itself. */
const URGENT_THREADS = 4;
export const OPEN_THREADS = SHARED_THREADS + URGENT_THREADS;
const MAX_WAITING = 4096;

type Opened = { readonly fd: number; readonly stats: Stats } | { readonly errno: number };

interface Task extends Queued {
  /** Whose threads it takes. */
  readonly sharer: ByteString;
  /** null: it opens nothing. */
  readonly path: ByteString | null;
  readonly urgent: boolean;
  readonly begin: (done: () => void) => void;
}

/**
 * Opens and closes devices on threads, of which a path that hangs keeps one, and paths that hang
 * together (`pathGroup`) no more than they leave for the others.
 */
export class DiskOpens {
  readonly #threads = new Share<string>(SHARED_THREADS);
  readonly #queue = new FairQueue<Task>((task) => this.#start(task), MAX_WAITING);
  readonly #opening = new Set<ByteString>();

  /** @param how.wanted false: its caller waits no more, and the device is closed again */
  open(
    path: ByteString,
    how: { readonly urgent: boolean; readonly wanted: () => boolean },
    answer: (opened: Opened) => void,
  ): void {
    const begin = (done: () => void): void => {
      this.#opening.add(path);
      openAndStat(path, (opened) => {
        this.#opening.delete(path);
        if (how.wanted()) answer(opened);
        else if ('fd' in opened) this.close(opened.fd, path);
        done();
      });
    };
    const sharer = pathGroup(path);
    // An open of this path that was given up is waited for, and then the path is tried anew: what
    // that one found may no longer be what the path means.
    const group = this.#opening.has(path) ? `again ${path}` : sharer;
    if (!this.#queue.enter({ group, sharer, path, ...how, begin })) answer({ errno: ERRNO.EAGAIN });
  }

  close(fd: number, path: ByteString): void {
    const sharer = pathGroup(path);
    const begin = (done: () => void) => closeFile(fd, () => done());
    const how = { urgent: false, wanted: () => true };
    this.#queue.enter({ group: sharer, sharer, path: null, ...how, begin });
  }

  #start({ path, sharer, urgent, begin }: Task): boolean {
    if (path !== null && this.#opening.has(path)) return false;
    if (urgent) {
      begin(() => this.#queue.next());
      return true;
    }
    if (!this.#threads.fits(sharer)) return false;
    this.#threads.take(sharer);
    begin(() => {
      this.#threads.give(sharer);
      this.#queue.next();
    });
    return true;
  }
}

function openAndStat(path: ByteString, answer: (opened: Opened) => void): void {
  openFile(Buffer.from(path, 'latin1'), OPEN_FLAGS, (failure, fd) => {
    if (failure !== null) {
      answer({ errno: errnoOf(failure) });
      return;
    }
    fstat(fd, (noStat, stats) => {
      if (noStat === null) {
        answer({ fd, stats });
        return;
      }
      closeFile(fd, () => {});
      answer({ errno: errnoOf(noStat) });
    });
  });
}
