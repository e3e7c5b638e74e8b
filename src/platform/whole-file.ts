import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { errnoNameOf } from './system-error.ts';

const MAX_BYTES = 1024 * 1024;
const FOLDER_MODE = 0o755;

/** What is at a path, as far as it can be a text of ours. */
export type SeenFile =
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'file';
      readonly text: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | { readonly kind: 'other' };

/** A symbolic link is not followed. @throws when the path cannot be looked at */
export function seeFile(path: string): SeenFile {
  try {
    const stats = lstatSync(path);
    if (!stats.isFile() || stats.size > MAX_BYTES) return { kind: 'other' };
    const { mode, uid, gid } = stats;
    return { kind: 'file', text: readFileSync(path, 'utf8'), mode: mode & 0o7777, uid, gid };
  } catch (error) {
    if (errnoNameOf(error) === 'ENOENT') return { kind: 'absent' };
    throw error;
  }
}

interface WholeFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
  /** Absent: the user of this process. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Where it is written first, in the same file system. */
  readonly draft: string;
}

/** The file is there whole, in the place of an older one, or as it was. @throws why it is not */
export function replaceFile(file: WholeFile): void {
  writeDraft(file);
  renameSync(file.draft, file.path);
  syncFolder(file.path);
}

/** As above, unless there is one. @returns false: there is. @throws why it is not made */
export function createFile(file: WholeFile): boolean {
  writeDraft(file);
  try {
    linkSync(file.draft, file.path);
  } catch (error) {
    if (errnoNameOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(file.draft, { force: true });
  }
  syncFolder(file.path);
  return true;
}

/** Also where there is none. @throws why it stays */
export function removeFile(path: string): void {
  rmSync(path, { force: true });
  syncFolder(path);
}

/** And those above it; one that is there stays as it is. */
export function makeFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
}

function writeDraft({ draft, text, mode, owner }: WholeFile): void {
  rmSync(draft, { force: true });
  const fd = openSync(draft, 'wx', 0o600);
  try {
    writeFileSync(fd, text);
    if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid);
    fchmodSync(fd, mode);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function syncFolder(path: string): void {
  const fd = openSync(dirname(path), 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
