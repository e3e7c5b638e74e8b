import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { accountIds, nameOfUser } from './accounts.ts';

test('accounts of this machine by name and by number', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-accounts-'));
  try {
    const files = { user: join(folder, 'passwd'), group: join(folder, 'group') };
    writeFileSync(
      files.user,
      'root:x:0:0:root:/root:/bin/sh\n7:x:70:7::/:/bin/false\nbad:x:y:0:\n',
    );
    writeFileSync(files.group, 'root:x:0:\nsanlock:x:114:libvirt-qemu\n');
    const ids = (user: string | null, group: string | null) => {
      const found = accountIds({ user, group }, files);
      return found.ok ? `${found.value.uid}:${found.value.gid}` : found.error;
    };
    assert.equal(ids('root', 'sanlock'), '0:114');
    assert.equal(ids(null, 'sanlock'), 'null:114');
    assert.equal(ids('7', '7'), '70:7', 'a name first');
    assert.equal(ids('+7', '+4294967294'), '7:4294967294');
    const wanted = (kind: 'user' | 'group', name: string) =>
      `there is no ${kind} ${JSON.stringify(name)} in ${files[kind]}: wanted one, or its number`;
    assert.equal(ids('nobody', null), wanted('user', 'nobody'));
    assert.equal(ids('bad', null), wanted('user', 'bad'));
    assert.equal(ids('roo', null), wanted('user', 'roo'));
    assert.equal(ids('root:x', null), wanted('user', 'root:x'));
    assert.equal(ids('root\nforged', null), wanted('user', 'root\nforged'));
    assert.equal(ids('4294967295', null), wanted('user', '4294967295'));
    assert.equal(ids('-1', null), wanted('user', '-1'));
    assert.equal(ids('root', ''), wanted('group', ''));
    assert.deepEqual(
      [0, 70, 7].map((uid) => nameOfUser(uid, files.user)),
      ['root', '7', null],
    );
    truncateSync(files.group, 16 * MIB + 1);
    assert.match(ids('root', 'sanlock'), /^the group "sanlock" cannot be looked up: .* more than/);
    rmSync(files.user);
    assert.match(ids('root', null), /^the user "root" cannot be looked up: ENOENT/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('root is root here as well', () => {
  assert.deepEqual(accountIds({ user: 'root', group: 'root' }), {
    ok: true,
    value: { uid: 0, gid: 0 },
  });
});
