import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fstabEntryOf, mountOf, parseFstab, parseMountInfo } from './mounts.ts';

const MOUNTINFO = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
40 22 0:35 / /srv rw,relatime shared:9 master:2 - tmpfs tmpfs rw,size=10k
41 40 0:36 / /srv/my\\040leases rw,nosuid - nfs4 store:/a rw,vers=4.2,soft,local_lock=none
42 22 0:37 / /srv rw - xfs /dev/sdb rw
nonsense
`;

test('the file system of a path is the one that is mounted nearest, and last', () => {
  const mounts = parseMountInfo(MOUNTINFO);
  assert.equal(mounts.length, 4);
  const of = (path: string) => mountOf(path, mounts)?.fsType;
  assert.equal(of('/var/lib'), 'ext4');
  assert.equal(of('/srv'), 'xfs');
  assert.equal(of('/srvx'), 'ext4');
  assert.equal(of('/srv/my leases/a'), 'nfs4');
  assert.deepEqual(mounts[2]?.options, [
    ...['rw', 'nosuid', 'vers=4.2', 'soft', 'local_lock=none'],
  ]);
  assert.equal(mountOf('/x', []), null);
});

test('fstab: what should be mounted there, if it is not the root', () => {
  const entries = parseFstab(`# a comment
UUID=1 / ext4 defaults 0 1
store:/a\t/srv/leases/\tnfs\tbg,soft 0 0

broken
/dev/sdc none swap sw 0 0
`);
  assert.equal(entries.length, 3);
  const found = fstabEntryOf('/srv/leases/x', entries);
  assert.deepEqual(found, {
    ...{ source: 'store:/a', mountPoint: '/srv/leases', fsType: 'nfs' },
    options: ['bg', 'soft'],
  });
  assert.equal(fstabEntryOf('/var', entries), null);
});
