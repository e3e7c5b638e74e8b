import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';

/**
 * The mount namespace of a process, held open until it is closed. The kernel gives the number of a
 * namespace that is gone to the next one at once: processes of a host that starts meanwhile would
 * be taken for those of one that ends.
 */
export class MountNamespace {
  readonly #number: string;
  readonly #fd: number;
  #isOpen = true;

  private constructor(number: string, fd: number) {
    this.#number = number;
    this.#fd = fd;
  }

  /** null: it has ended, or is in the namespace of this process. */
  static of(pid: number): MountNamespace | null {
    let fd: number;
    try {
      fd = openSync(`/proc/${pid}/ns/mnt`, 'r');
    } catch {
      return null;
    }
    const number = readlinkSync(`/proc/self/fd/${fd}`);
    if (number !== numberOf(process.pid)) return new MountNamespace(number, fd);
    closeSync(fd);
    return null;
  }

  /** The processes in it. */
  pids(): number[] {
    if (!this.#isOpen) return [];
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .map(Number)
      .filter((pid) => numberOf(pid) === this.#number);
  }

  /** Its mounts go with the last process in it, or now. Safe to repeat. */
  close(): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }
}

function numberOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return null; // ended meanwhile
  }
}
