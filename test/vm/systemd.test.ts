import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { LV, type SystemdHost, startSystemdHost, VG, whyNoSystemd } from './systemd-host.ts';

/** Our units under a real systemd, with a volume that device-mapper has active. */
const missing = whyNoSystemd();
const where = missing === null ? { timeout: 900_000 } : { skip: missing };
const UNITS = ['wdmd', 'sanlock', 'lvmlockd'] as const;

test('under systemd: our units start, serve a volume, and end in order', where, async (t) => {
  const host = await startSystemdHost();
  try {
    await scenario(t, host);
  } catch (error) {
    t.diagnostic(host.machine.console().slice(-8000));
    throw error;
  } finally {
    await host.close();
  }
});

async function scenario(t: TestContext, host: SystemdHost): Promise<void> {
  const complaints = await host.shell(
    `systemd-analyze verify ${UNITS.join('.service ')}.service 2>&1`,
  );
  assert.equal(complaints, '', 'systemd takes every line of the units');
  const startedMs = Date.now();
  await host.shell(`systemctl start ${UNITS.join(' ')}`);
  t.diagnostic(`three daemons are up after ${(Date.now() - startedMs) / 1000} s`);
  await host.activateVolume();
  await host.shell(`dd if=/dev/zero of=/dev/${LV} bs=4096 count=1 oflag=direct`);

  const owner = host.volumeOwner();
  const pid = await host.property('lvmlockd', 'MainPID');
  await host.shell('systemctl restart lvmlockd');
  assert.notEqual(await host.property('lvmlockd', 'MainPID'), pid);
  await host.untilLocked();
  assert.deepEqual(host.volumeOwner(), owner, 'the lease on the disk has not changed');
  assert.match(
    await host.property('lvmlockd', 'NRestarts'),
    /^0$/,
    'systemd restarted it as ordered',
  );

  await host.shell(`lvchange -an ${LV}; vgchange --lockstop ${VG}`);
  await host.shell(`systemctl stop ${UNITS.join(' ')}`);
  for (const unit of UNITS) {
    assert.equal(await host.property(unit, 'Result'), 'success', unit);
    assert.equal(await host.property(unit, 'ActiveState'), 'inactive', unit);
  }
  assert.deepEqual(
    host.machine.events.filter(({ name }) => name === 'WATCHDOG'),
    [],
  );
}
