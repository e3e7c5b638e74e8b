import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { LeaseEnd } from '../ports/processes.ts';
import { bootId } from './boot-id.ts';
import { identityOf } from './kernel-process.ts';

const NAME = /^lease-process\.\d+\.end(\.new)?$/;
const MODE = 0o600;
const MOST_BYTES = 512;
const { O_RDONLY, O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW, O_NONBLOCK } = constants;

/** As it stands in the file, JSON. */
interface EndRecord extends LeaseEnd {
  readonly boot: string;
  /** Of the process that wrote it: its pid is that of the file's name. */
  readonly identity: string;
}

/**
 * The end records of lease processes: a file each in the run directory, by pid. A record counts for
 * the process of its identity in the same boot alone. One that cannot be read is none.
 */
export class EndRecords {
  readonly #dir: string;
  readonly #boot = bootId();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Of this process. Whole or not at all; what prevents it (no room, no /proc) leaves none. */
  write({ refusedUntilMs }: LeaseEnd): void {
    const identity = identityOf(process.pid);
    if (identity === null) return;
    const record: EndRecord = { boot: this.#boot, identity, refusedUntilMs };
    const path = this.#pathOf(process.pid);
    const draft = `${path}.new`;
    try {
      const fd = openSync(draft, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, MODE);
      try {
        writeFileSync(fd, JSON.stringify(record)); // all of it, or it throws
      } finally {
        closeSync(fd);
      }
      renameSync(draft, path);
    } catch {
      rmSync(draft, { force: true }); // where room is short, it must not take any
    }
  }

  read(pid: number, identity: string): LeaseEnd | null {
    const record = this.#load(this.#pathOf(pid));
    if (record === null || record.boot !== this.#boot || record.identity !== identity) return null;
    return { refusedUntilMs: record.refusedUntilMs };
  }

  /** Those of earlier boots, and what is no record. */
  forgetStale(): void {
    this.#remove((path) => !path.endsWith('.new') && this.#load(path)?.boot !== this.#boot);
  }

  forgetAll(): void {
    this.#remove(() => true);
  }

  #pathOf(pid: number): string {
    return join(this.#dir, `lease-process.${pid}.end`);
  }

  #load(path: string): EndRecord | null {
    try {
      const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      try {
        const stats = fstatSync(fd);
        const isOurs = stats.uid === process.geteuid?.() || stats.uid === 0;
        if (!stats.isFile() || !isOurs || stats.size > MOST_BYTES) return null;
        return recordIn(JSON.parse(readFileSync(fd, 'utf8')));
      } finally {
        closeSync(fd);
      }
    } catch {
      return null; // there is none, or nothing that can be read
    }
  }

  #remove(isUnwanted: (path: string) => boolean): void {
    try {
      for (const name of readdirSync(this.#dir)) {
        const path = join(this.#dir, name);
        if (NAME.test(name) && isUnwanted(path)) rmSync(path, { force: true });
      }
    } catch {
      // It costs room, and no more: a record counts for one process alone.
    }
  }
}

function recordIn(value: unknown): EndRecord | null {
  if (typeof value !== 'object' || value === null) return null;
  const { boot, identity, refusedUntilMs } = value as Partial<Record<keyof EndRecord, unknown>>;
  if (typeof boot !== 'string' || typeof identity !== 'string') return null;
  const isTime = typeof refusedUntilMs === 'number' && Number.isFinite(refusedUntilMs);
  if (!isTime && refusedUntilMs !== null) return null;
  return { boot, identity, refusedUntilMs };
}
