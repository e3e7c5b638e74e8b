import { constants, type Stats } from 'node:fs';
import { access, open, readdir, stat } from 'node:fs/promises';
import { SECOND_MS } from '../base/units.ts';
import { errnoNameOf } from './system-error.ts';

/** A file system that has not answered then is taken for one that hangs. */
const DEADLINE_MS = 5 * SECOND_MS;

/** `silent`: no answer in time; the call goes on, and keeps the process from ending by itself. */
export type Probed<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly errno: string }
  | { readonly kind: 'silent' };

/** Calls to a file system that may hang, as one of NFS does; none waits longer than some seconds. */
export class PathProbe {
  readonly #deadlineMs: number;
  /** Some call hangs: the process can be ended by `exitNow` alone. */
  hangs = false;

  constructor(deadlineMs = DEADLINE_MS) {
    this.#deadlineMs = deadlineMs;
  }

  stat(path: string): Promise<Probed<Stats>> {
    return this.#call(stat(path));
  }

  /** The names in a directory. */
  list(path: string): Promise<Probed<readonly string[]>> {
    return this.#call(readdir(path));
  }

  /** Whether files can be made in a directory. */
  async mayWrite(path: string): Promise<boolean | null> {
    const answer = await this.#call(access(path, constants.W_OK | constants.X_OK));
    if (answer.kind === 'silent') return null;
    return answer.kind === 'done';
  }

  /** As many bytes as there are; the file is opened anew, so that NFS asks its server. */
  read(path: string, at: { readonly offset: number; readonly length: number }) {
    return this.#call(readAt(path, at));
  }

  async #call<T>(call: Promise<T>): Promise<Probed<T>> {
    let timer: NodeJS.Timeout | null = null;
    const late = new Promise<Probed<T>>((resolve) => {
      timer = setTimeout(() => {
        this.hangs = true;
        resolve({ kind: 'silent' });
      }, this.#deadlineMs);
    });
    const answer = call.then(
      (value): Probed<T> => ({ kind: 'done', value }),
      (error): Probed<T> => ({ kind: 'failed', errno: errnoNameOf(error) ?? 'EIO' }),
    );
    try {
      return await Promise.race([answer, late]);
    } finally {
      if (timer !== null) clearTimeout(timer);
    }
  }
}

async function readAt(
  path: string,
  { offset, length }: { readonly offset: number; readonly length: number },
): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const bytes = new Uint8Array(length);
    const { bytesRead } = await file.read(bytes, 0, length, offset);
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
