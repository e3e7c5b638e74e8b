import { closeSync, openSync, statSync, unlinkSync } from 'node:fs';
import { errnoOf } from './system-error.ts';

/**
 * An empty file in shared memory, present while a daemon runs that must not be replaced after a
 * crash: an orderly end or a reboot removes it.
 */
export class CrashGuard {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** null, or the errno: EEXIST when there is one already. */
  take(): number | null {
    try {
      closeSync(openSync(this.#path, 'wx', 0o644));
      return null;
    } catch (error) {
      return errnoOf(error);
    }
  }

  /** Of the file that is there: another one, made later, has another. null: there is none. */
  identity(): string | null {
    try {
      const { dev, ino, mtimeNs } = statSync(this.#path, { bigint: true });
      return `${dev}:${ino}:${mtimeNs}`;
    } catch {
      return null;
    }
  }

  release(): void {
    try {
      unlinkSync(this.#path);
    } catch {
      // It is removed already.
    }
  }
}
