import { type FileHandle, link, lstat, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ERRNO } from '../base/errno.ts';
import { MIB, SECOND_MS } from '../base/units.ts';
import type { PlainFiles } from '../ports/plain-files.ts';
import { errnoOf } from './system-error.ts';

const DEADLINE_MS = 30 * SECOND_MS;
const ZEROS = new Uint8Array(MIB);

/** By Node's threads: a directory that hangs costs one of them for each call, and no more. */
export class NodePlainFiles implements PlainFiles {
  exists(path: string, answer: (code: number) => void): void {
    settle(
      lstat(path).then(
        (stats) => (stats.isFile() ? 1 : -ERRNO.EINVAL),
        (error) => (errnoOf(error) === ERRNO.ENOENT ? 0 : -errnoOf(error)),
      ),
      answer,
    );
  }

  create(
    path: string,
    of: Parameters<PlainFiles['create']>[1],
    answer: (code: number) => void,
  ): void {
    settle(codeOf(createFile(path, of)), answer);
  }

  grow(path: string, bytes: number, answer: (code: number) => void): void {
    settle(codeOf(growFile(path, bytes)), answer);
  }

  link(from: string, to: string, answer: (code: number) => void): void {
    settle(codeOf(linkFile(from, to)), answer);
  }

  remove(path: string, answer: (code: number) => void): void {
    settle(codeOf(rm(path, { force: true })), answer);
  }
}

async function createFile(
  path: string,
  { bytes, mode, uid, gid }: Parameters<PlainFiles['create']>[1],
): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.chmod(mode); // whatever the umask took away
    if (uid !== null || gid !== null) {
      await file.chown(uid ?? process.getuid?.() ?? 0, gid ?? process.getgid?.() ?? 0);
    }
    await fill(file, 0, bytes);
  } finally {
    await file.close();
  }
}

async function growFile(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await fill(file, (await file.stat()).size, bytes);
  } finally {
    await file.close();
  }
}

async function fill(file: FileHandle, from: number, to: number): Promise<void> {
  for (let at = from; at < to; ) {
    const { bytesWritten } = await file.write(ZEROS, 0, Math.min(ZEROS.length, to - at), at);
    at += bytesWritten;
  }
  await file.sync();
}

async function linkFile(from: string, to: string): Promise<void> {
  await link(from, to);
  const folder = await open(dirname(to), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function codeOf(done: Promise<void>): Promise<number> {
  return done.then(
    () => 0,
    (error) => -errnoOf(error),
  );
}

/** At the deadline at the latest; what comes after it is not heard. */
function settle(code: Promise<number>, answer: (code: number) => void): void {
  let isAnswered = false;
  const once = (value: number): void => {
    if (isAnswered) return;
    isAnswered = true;
    clearTimeout(timer);
    answer(value);
  };
  const timer = setTimeout(() => once(-ERRNO.ETIMEDOUT), DEADLINE_MS);
  code.then(once, () => once(-ERRNO.EIO));
}
