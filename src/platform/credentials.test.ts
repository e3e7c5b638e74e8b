import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { test } from 'node:test';
import { becomeUser } from './credentials.ts';

/** This process is no root afterwards: nothing else may be tested in it. */
const asRoot = { skip: process.getuid?.() === 0 ? false : 'only root can become another user' };

/** The real, effective, saved and file-system id of each thread, and their groups. */
function ofThreads(field: 'Uid' | 'Gid' | 'Groups'): ReadonlySet<string> {
  const threads = readdirSync('/proc/self/task');
  assert.ok(threads.length > 1, 'Node has more than one');
  return new Set(
    threads.map((id) => {
      const status = readFileSync(`/proc/self/task/${id}/status`, 'utf8');
      return new RegExp(`^${field}:\\s*(.*?)\\s*$`, 'm').exec(status)?.[1] ?? '';
    }),
  );
}

/** `name:x:id` of a file of accounts. */
function idIn(file: string, name: string): number {
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${name}:`));
  return Number(line?.split(':')[2]);
}

test('every thread is that user for good, with the groups of the user', asRoot, async () => {
  await access('/'); // starts the threads that do I/O
  const [uid, gid] = [idIn('/etc/passwd', 'nobody'), idIn('/etc/group', 'nogroup')];
  assert.throws(() => becomeUser({ uid: 3_999_999_999, gid }), /no user of the number 3999999999/);
  assert.equal(process.getuid?.(), 0);
  becomeUser({ uid: 0, gid: 0 });
  assert.equal(process.getuid?.(), 0, 'root stays root');

  becomeUser({ uid, gid });
  assert.deepEqual([...ofThreads('Uid')], [`${uid}\t${uid}\t${uid}\t${uid}`]);
  assert.deepEqual([...ofThreads('Gid')], [`${gid}\t${gid}\t${gid}\t${gid}`]);
  assert.deepEqual([...ofThreads('Groups')], [`${gid}`]);
  assert.throws(() => process.setuid?.(0), /EPERM|disabled/);
});
