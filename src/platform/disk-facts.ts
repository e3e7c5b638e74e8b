import { lstat, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { SECOND_MS } from '../base/units.ts';
import { blockDeviceNumber, keyOfNumber } from './device-key.ts';
import { errnoNameOf } from './system-error.ts';

const DEADLINE_MS = 20 * SECOND_MS;
/**
 * A look that hangs keeps one of the process's threads until its file system answers. Each guest
 * has one look at a time, so that many guests have to hang before one that does not has to wait.
 */
const MOST_AT_ONCE = 32;
/** A guard that is started names the disks of all its guests at once; nobody has more. */
const MOST_WAITING = 20_000;
/** As the kernel allows. */
const MAX_LINKS = 40;

/** What is behind a path of this host. */
export interface DiskFacts {
  /**
   * Absolute and without symbolic links, as far as the path exists. Of a block device without a
   * name of its own it is the path as it was given: its node is named by its turn, which differs
   * from host to host.
   */
  readonly realPath: string;
  /** What a block device is called on every host that sees it; see `device-key.ts`. */
  readonly deviceKey: string | null;
}

export type Look = (path: string) => Promise<DiskFacts>;

/** Looks paths up, of few guests at a time, and within a deadline. */
export class PathLooks {
  readonly #look: Look;
  readonly #deadlineMs: number;
  /** In their order; one whose deadline has passed leaves. */
  readonly #waiting = new Set<() => void>();
  readonly #mostWaiting: number;
  #underWay = 0;

  constructor(look: Look = factsOf, deadlineMs = DEADLINE_MS, mostWaiting = MOST_WAITING) {
    this.#look = look;
    this.#deadlineMs = deadlineMs;
    this.#mostWaiting = mostWaiting;
  }

  /**
   * Looks up the paths of a guest.
   * @returns by path, or why one could not be looked up in time, in half a sentence
   */
  async lookUp(paths: readonly string[]): Promise<ReadonlyMap<string, DiskFacts> | string> {
    if (this.#waiting.size >= this.#mostWaiting) {
      return `${this.#waiting.size} others wait for file systems already`;
    }
    const turn = this.#turn();
    let timer: NodeJS.Timeout | null = null;
    let isLate = false;
    let hangs = '';
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => {
        isLate = true;
        this.#waiting.delete(turn.begin);
        const within = `did not answer within ${this.#deadlineMs / SECOND_MS} s`;
        resolve(hangs === '' ? `file systems of other guests ${within}` : `${hangs} ${within}`);
      }, this.#deadlineMs);
    });
    const all = async (): Promise<ReadonlyMap<string, DiskFacts> | string> => {
      await turn.isMine;
      try {
        const found = new Map<string, DiskFacts>();
        for (const path of new Set(paths)) {
          if (isLate) break;
          hangs = `the file system of ${path}`;
          found.set(path, await this.#look(path));
        }
        return found;
      } catch (error) {
        const where = hangs.replace('the file system of ', '');
        return `${where} cannot be looked up: ${errnoNameOf(error) ?? 'unknown error'}`;
      } finally {
        this.#done();
      }
    };
    try {
      return await Promise.race([all(), late]);
    } finally {
      if (timer !== null) clearTimeout(timer);
    }
  }

  /** It has the place of one that has ended, where there is none at once. */
  #turn(): { readonly isMine: Promise<void>; readonly begin: () => void } {
    let begin = (): void => {};
    const isMine = new Promise<void>((resolve) => {
      begin = resolve;
    });
    if (this.#underWay >= MOST_AT_ONCE) {
      this.#waiting.add(begin);
    } else {
      this.#underWay++;
      begin();
    }
    return { isMine, begin };
  }

  #done(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#underWay--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

/**
 * A path that is not there is followed as far as it is: libvirt itself refuses it, or makes it.
 * @throws as the file system does, but for ENOENT
 */
export async function factsOf(path: string): Promise<DiskFacts> {
  const realPath = await existingPath(path, 0);
  const number = await blockNumber(realPath);
  if (number === null) return { realPath, deviceKey: null };
  const deviceKey = keyOfNumber(number);
  return deviceKey === null ? { realPath: path, deviceKey } : { realPath, deviceKey };
}

async function blockNumber(path: string): Promise<string | null> {
  try {
    return blockDeviceNumber(await stat(path));
  } catch (error) {
    if (errnoNameOf(error) === 'ENOENT') return null;
    throw error;
  }
}

async function existingPath(path: string, links: number): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errnoNameOf(error) !== 'ENOENT' || path === '/') throw error;
  }
  const target = await linkTarget(path);
  if (target !== null && links < MAX_LINKS) return await existingPath(target, links + 1);
  return join(await existingPath(dirname(resolve(path)), links), basename(resolve(path)));
}

/** null: it is no link. */
async function linkTarget(path: string): Promise<string | null> {
  try {
    if (!(await lstat(path)).isSymbolicLink()) return null;
    return resolve(dirname(path), await readlink(path));
  } catch {
    return null;
  }
}
