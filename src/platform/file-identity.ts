import { type BigIntStats, fstatSync, lstatSync, unlinkSync } from 'node:fs';

/** Which file a name meant when it was ours: a name alone may mean another file by now. */
export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** Of an open descriptor. */
export function identityOfFd(fd: number): FileIdentity {
  return identity(fstatSync(fd, { bigint: true }));
}

/** Of what has that name now, a link itself included; null when nothing has. */
export function identityOfPath(path: string | Uint8Array): FileIdentity | null {
  const found = lstatSync(asPath(path), { bigint: true, throwIfNoEntry: false });
  return found === undefined ? null : identity(found);
}

export function isSameFile(one: FileIdentity | null, other: FileIdentity | null): boolean {
  if (one === null || other === null) return false;
  return one.device === other.device && one.inode === other.inode;
}

/** Removes the name if it still means that file; a file that has taken its place stays. */
export function removeIfSame(path: string | Uint8Array, ours: FileIdentity): void {
  try {
    if (isSameFile(identityOfPath(path), ours)) unlinkSync(asPath(path));
  } catch {
    // Another process was faster, or the directory is not ours any more: nothing is left to do.
  }
}

function identity({ dev, ino }: BigIntStats): FileIdentity {
  return { device: dev, inode: ino };
}

function asPath(path: string | Uint8Array): string | Buffer {
  return typeof path === 'string' ? path : Buffer.from(path);
}
