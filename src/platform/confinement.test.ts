import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { appArmorOf, fileRightsOf, seLinuxBooleans } from './confinement.ts';

function withFolder(use: (dir: string) => void): void {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-confined-'));
  try {
    use(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test('the profile of a process, as the kernel writes it', () => {
  withFolder((dir) => {
    mkdirSync(join(dir, '7/attr'), { recursive: true });
    const of = (text: string) => {
      writeFileSync(join(dir, '7/attr/current'), text);
      return appArmorOf(7, dir);
    };
    assert.deepEqual(of('libvirtd (enforce)\n'), { profile: 'libvirtd', isEnforced: true });
    assert.deepEqual(of('/usr/sbin/x y (complain)\n'), {
      ...{ profile: '/usr/sbin/x y', isEnforced: false },
    });
    assert.equal(of('unconfined\n'), null);
    assert.equal(of('system_u:system_r:virtd_t:s0\n'), null);
    assert.equal(appArmorOf(8, dir), null);
  });
});

test('booleans of SELinux, where it enforces', () => {
  withFolder((dir) => {
    assert.equal(seLinuxBooleans(dir), null);
    mkdirSync(join(dir, 'booleans'));
    writeFileSync(join(dir, 'booleans/virt_use_nfs'), '0 0');
    writeFileSync(join(dir, 'booleans/virt_use_sanlock'), '1 1');
    writeFileSync(join(dir, 'enforce'), '0');
    assert.equal(seLinuxBooleans(dir), null);
    writeFileSync(join(dir, 'enforce'), '1');
    const wanted = new Map([
      ['virt_use_nfs', false],
      ['virt_use_sanlock', true],
    ]);
    assert.deepEqual(seLinuxBooleans(dir), wanted);
  });
});

test('whose files a process may use', () => {
  const own = fileRightsOf(process.pid);
  assert.ok(own !== null);
  assert.equal(own.uid, process.geteuid?.());
  assert.ok(own.gids.includes(process.getegid?.() ?? -1));
  assert.equal(fileRightsOf(99_999_999), null);
  withFolder((dir) => {
    mkdirSync(join(dir, '7'));
    const text =
      'Uid:\t1\t2\t3\t102\nGid:\t1\t2\t3\t109\nGroups:\t6 109 \nCapEff:\t0000000000000002\n';
    writeFileSync(join(dir, '7/status'), text);
    assert.deepEqual(fileRightsOf(7, dir), { uid: 102, gids: [109, 6, 109], overrides: true });
    writeFileSync(
      join(dir, '7/status'),
      text.replace('2\nG', '4\nG').replace(/2\n$/, '4\n').replace('6 109', ''),
    );
    assert.deepEqual(fileRightsOf(7, dir), { uid: 104, gids: [109], overrides: false });
  });
});
