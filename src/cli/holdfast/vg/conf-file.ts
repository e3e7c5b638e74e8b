import { lstatSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { given } from '../../../base/given.ts';
import { fail, ok, type Result } from '../../../base/result.ts';
import { errnoNameOf, reasonOf } from '../../../platform/system-error.ts';
import {
  createFile,
  makeFolder,
  removeFile,
  replaceFile,
  seeFile,
} from '../../../platform/whole-file.ts';

/** A configuration file that may be edited, as it stands. */
export interface ConfSeen {
  readonly path: string;
  /** '' where there is none. */
  readonly text: string;
  readonly isThere: boolean;
  readonly mode: number;
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Why it may not be edited: a sentence without its full stop; null: it may. */
  readonly trap: string | null;
}

export const CONF_NAMES = ['lvmlocal', 'lvm', 'sanlock'] as const;
export type ConfName = (typeof CONF_NAMES)[number];

const NEW_MODE = 0o644;
const ROOT = { uid: 0, gid: 0 } as const;
const OTHERS_WRITE = 0o022;

export function confPaths(): Readonly<Record<ConfName, string>> {
  const folder = given(process.env['LVM_SYSTEM_DIR']) ?? '/etc/lvm';
  return {
    lvmlocal: join(folder, 'lvmlocal.conf'),
    lvm: join(folder, 'lvm.conf'),
    sanlock: '/etc/sanlock/sanlock.conf',
  };
}

/** A symbolic link is not followed: what it leads to may be anything, and another program's. */
export function seeConf(path: string): ConfSeen {
  const none = { path, text: '', isThere: false, mode: NEW_MODE, owner: ROOT };
  try {
    const seen = seeFile(path);
    const folder = folderTrap(path);
    if (seen.kind === 'absent') return { ...none, trap: folder };
    if (seen.kind === 'other') {
      return {
        ...none,
        trap: `${path} is no plain file (a symbolic link, perhaps): edit it yourself`,
      };
    }
    const { text, mode, uid, gid } = seen;
    const isOpen = (mode & OTHERS_WRITE) !== 0 || uid !== 0;
    const foreign = text.includes('\ufffd') ? `${path} is not in UTF-8: edit it yourself` : folder;
    const trap = isOpen ? `${path} can be written by others than root` : foreign;
    return { path, text, isThere: true, mode, owner: { uid, gid }, trap };
  } catch (thrown) {
    return { ...none, trap: `${path} cannot be read: ${reasonOf(thrown)}` };
  }
}

function folderTrap(path: string): string | null {
  const folder = dirname(path);
  try {
    const stats = lstatSync(folder);
    if (!stats.isDirectory()) return `${folder} is no plain directory`;
    const isOpen = (stats.mode & OTHERS_WRITE) !== 0 || stats.uid !== 0;
    return isOpen ? `${folder} can be written by others than root` : null;
  } catch (thrown) {
    if (errnoNameOf(thrown) === 'ENOENT') return null; // it will be made
    throw thrown;
  }
}

/** What the file was before it was edited for the first time; lvm and sanlock do not read it. */
export function backupPath(path: string): string {
  return `${path}.before-holdfast`;
}

/** Replaces the text whole; the first time the old one is kept beside it. */
export function writeConf(seen: ConfSeen, text: string): Result<string, string> {
  const { path, mode, owner } = seen;
  const backup = backupPath(path);
  makeFolder(dirname(path));
  const isKept =
    seen.isThere &&
    seeConf(path).text === seen.text &&
    createFile({ path: backup, draft: `${backup}.new`, text: seen.text, mode, owner });
  const done = replaceUnchanged(seen, text);
  if (!done.ok) return done;
  return ok(isKept ? `${path} is changed; ${backup} is as it was` : `${path} is changed`);
}

/** Unless it has changed since it was seen. */
function replaceUnchanged(seen: ConfSeen, text: string): Result<null, string> {
  const { path, mode, owner } = seen;
  const now = seeConf(path);
  if (now.trap !== null) return fail(now.trap);
  if (now.isThere !== seen.isThere || now.text !== seen.text) {
    return fail(`${path} has changed since the plan was made`);
  }
  replaceFile({ path, draft: `${path}.holdfast-new`, text, mode, owner });
  return ok(null);
}

/** Puts the text back that was kept, and keeps it no longer. */
export function restoreConf(seen: ConfSeen, text: string): Result<string, string> {
  const done = replaceUnchanged(seen, text);
  if (!done.ok) return done;
  removeFile(backupPath(seen.path));
  return ok(`${seen.path} is as it was before`);
}
