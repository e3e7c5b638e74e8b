import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRNO } from '../base/errno.ts';
import { missingMount } from '../guard/check/mounts.ts';
import { SimClock } from '../sim/kernel/clock.ts';
import { QUIET } from '../sim/kernel/log.ts';
import { GuardLockspace } from './guard-lockspace.ts';

const FSTAB = 'nas:/leases /srv/leases nfs4 _netdev 0 0';
const ROOT = '22 1 8:1 / / rw - ext4 /dev/sda1 rw';
const SHARE = '30 22 0:40 / /srv/leases rw - nfs4 nas:/leases rw';

function begun(mountInfo: () => string) {
  const clock = new SimClock();
  let made = 0;
  const lockspace = new GuardLockspace({
    ...{ clock, log: QUIET, lockspace: 'LS', leaseDir: '/srv/leases/libvirt', hostId: 1 },
    ioTimeoutS: null,
    sanlock: {
      ...{ clock, socketPath: '/s' },
      sockets: { connect: (_path, _ms, answer) => answer({ ok: false, errno: ERRNO.ENOENT }) },
    },
    files: {
      ensureLockspace: (answer) => {
        made++;
        answer(0);
      },
    },
    whyNotMounted: () =>
      missingMount('/srv/leases/libvirt', { fstab: FSTAB, mountInfo: mountInfo() })?.source ?? null,
  });
  return { clock, lockspace, made: () => made };
}

test('no lockspace is made where its share is not mounted yet', () => {
  let mountInfo = ROOT;
  const { clock, lockspace, made } = begun(() => mountInfo);
  lockspace.begin();
  assert.equal(lockspace.code, -ERRNO.ENOENT);
  clock.runUntil(clock.nowMs() + 60_000);
  assert.equal(made(), 0);
  mountInfo = `${ROOT}\n${SHARE}`;
  clock.runUntil(clock.nowMs() + 60_000);
  assert.ok(made() > 0, 'it is made when the share is there');
});

test('not all hooks wait for a join that takes long', () => {
  const { lockspace } = begun(() => ROOT);
  let settled = 0;
  for (let n = 0; n < 1001; n++) lockspace.whenSettled(() => settled++);
  assert.equal(settled, 1);
  lockspace.begin();
  assert.equal(settled, 1001);
});
