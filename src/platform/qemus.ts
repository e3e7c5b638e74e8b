import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Qemus } from '../ports/qemus.ts';
import { KernelProcess, type Surroundings } from './kernel-process.ts';
import { isOfThisHost } from './network-of.ts';

/** libvirt writes the pid down before its child has become QEMU. */
const PARENTS: ReadonlySet<string> = new Set(['libvirtd', 'virtqemud']);

/** By /proc, and libvirt's run directory: libvirt starts each QEMU with the guest's UUID. */
export class NodeQemus implements Qemus {
  readonly #dir: string;
  readonly #around: Surroundings;

  /** @param dir libvirt's, of QEMU */
  constructor(dir: string, around: Surroundings) {
    this.#dir = dir;
    this.#around = around;
  }

  at(uuid: string, pid: number): KernelProcess | null {
    return this.#at(pid, (words) => !isOther(words, uuid));
  }

  find(uuid: string): KernelProcess | null {
    for (const pid of this.#candidates(uuid)) {
      const found = this.#at(pid, (words) => words?.includes(uuid) === true);
      if (found !== null) return found;
    }
    return null;
  }

  /** The pid files first: all processes of a host take a while. */
  *#candidates(uuid: string): Generator<number> {
    for (const name of this.#pidFiles()) {
      const pid = this.#pidIn(name);
      if (pid !== null) yield pid;
    }
    for (const one of this.running()) if (one.uuid === uuid) yield one.pid;
  }

  running(): readonly { readonly uuid: string; readonly pid: number }[] {
    const pids = readdirSync('/proc').map(Number).filter(Number.isSafeInteger);
    return pids.flatMap((pid) => {
      const proc = threadOf(pid);
      const words = proc === null ? [] : (wordsIn(proc) ?? []);
      const uuid = words.find((_, n) => words[n - 1] === '-uuid');
      return proc === null || uuid === undefined || !isOfThisHost(proc) ? [] : [{ uuid, pid }];
    });
  }

  /** Bound first: what /proc shows then is this process, or it has ended. */
  #at(pid: number, isIt: (words: readonly string[] | null) => boolean): KernelProcess | null {
    const process_ = KernelProcess.at(pid, this.#around);
    if (process_ === null || isIt(wordsOf(pid))) return process_;
    process_.close();
    return null;
  }

  #pidFiles(): readonly string[] {
    try {
      return readdirSync(this.#dir).filter((name) => name.endsWith('.pid'));
    } catch {
      return []; // libvirtd has not run
    }
  }

  #pidIn(name: string): number | null {
    try {
      const pid = Number(readFileSync(join(this.#dir, name), 'ascii'));
      return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
    } catch {
      return null; // that one has ended
    }
  }
}

/** null: they cannot be read; none: it has ended. */
function wordsOf(pid: number): readonly string[] | null {
  const proc = threadOf(pid);
  return proc === null ? [] : wordsIn(proc);
}

/**
 * The folder of a thread that shows what the process is. Of a QEMU that was killed while a disk
 * hangs the first thread has ended, and shows nothing; null: no thread does, or it has ended.
 */
function threadOf(pid: number): string | null {
  const first = `/proc/${pid}`;
  if (wordsIn(first)?.length !== 0) return first;
  const threads = foldersIn(`${first}/task`);
  return threads.find((thread) => (wordsIn(thread)?.length ?? 0) > 0) ?? null;
}

function foldersIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).map((name) => `${folder}/${name}`);
  } catch {
    return []; // it has ended
  }
}

function wordsIn(proc: string): readonly string[] | null {
  try {
    return readFileSync(`${proc}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return null;
  }
}

function isOther(words: readonly string[] | null, uuid: string): boolean {
  const [program] = words ?? [];
  return program !== undefined && !words?.includes(uuid) && !PARENTS.has(basename(program));
}
