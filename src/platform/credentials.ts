import koffi from 'koffi';
import { getpwuid, initgroups, lastErrno, setgid, setuid } from './system-calls.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Gives up root for good, in all threads; supplementary groups first: those that own the disks.
 * By the C library: Node itself refuses where it cannot rule out io_uring, and the Node.js 20 of
 * Debian 13, which has the libuv of Debian, refuses always.
 */
export function becomeUser({ uid, gid }: Owner): void {
  if (process.getuid?.() !== 0 || uid === 0) return;
  const user = nameOf(uid);
  if (user === null) throw new Error(`there is no user of the number ${uid} to become`);
  must('initgroups', initgroups(user, gid));
  must('setgid', setgid(gid));
  must('setuid', setuid(uid));
  const found = { uid: process.geteuid?.(), gid: process.getegid?.() };
  if (found.uid === uid && found.gid === gid) return;
  throw new Error(
    `this process is user ${found.uid} and group ${found.gid}, not ${uid} and ${gid}`,
  );
}

/** Also of a user whom a directory service knows; null: nobody does. */
function nameOf(uid: number): string | null {
  const entry = getpwuid(uid);
  return entry === null ? null : (koffi.decode(entry, 'char *') as string);
}

function must(call: string, result: number): void {
  if (result === 0) return;
  throw new Error(`${call} failed: errno ${lastErrno()}`);
}
