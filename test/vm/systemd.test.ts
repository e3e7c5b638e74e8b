import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  LV,
  type SystemdHost,
  startSystemdHost,
  UNITS,
  type Unit,
  VG,
  whyNoSystemd,
} from './systemd-host.ts';

/**
 * Our units under a real systemd, on a machine whose watchdog really resets it: a volume is active
 * by device-mapper, and on it a guest has a lease. Whatever daemon is restarted, killed or
 * replaced, nothing of that changes.
 */
const missing = whyNoSystemd();
const where = missing === null ? { timeout: 1_200_000 } : { skip: missing };

test('under systemd: no restart, no kill -9 and no upgrade loses anything', where, async (t) => {
  const host = await startSystemdHost();
  try {
    await scenario(t, host);
  } catch (error) {
    t.diagnostic(host.machine.console().slice(-12_000));
    throw error;
  } finally {
    await host.close();
  }
});

async function scenario(t: TestContext, host: SystemdHost): Promise<void> {
  const files = UNITS.map((unit) => `${unit}.service`).join(' ');
  const complaints = await host.shell(`systemd-analyze verify ${files} 2>&1`);
  assert.equal(complaints, '', 'systemd takes every line of the units');
  await timed(t, 'the daemons start', () => host.shell(`systemctl start ${UNITS.join(' ')}`));
  await timed(t, 'the volume is active, and the guest runs', async () => {
    await host.activateVolume();
    await host.startGuest();
  });
  const restart = (unit: Unit) => host.shell(`systemctl restart ${unit}`);
  const kill = (...units: readonly Unit[]) =>
    host.shell(`systemctl kill --kill-whom=main -s KILL ${units.join(' ')}`);
  const steps: readonly (readonly [string, readonly Unit[], () => Promise<string>])[] = [
    ['systemctl restart sanlock', ['sanlock'], () => restart('sanlock')],
    ['systemctl restart lvmlockd', ['lvmlockd'], () => restart('lvmlockd')],
    ['systemctl restart wdmd', ['wdmd'], () => restart('wdmd')],
    ['kill -9 of sanlock', ['sanlock'], () => kill('sanlock')],
    ['kill -9 of wdmd', ['wdmd'], () => kill('wdmd')],
    ['kill -9 of all three', UNITS, () => kill(...UNITS)],
    ['holdfast upgrade', UNITS, () => host.shell('holdfast upgrade 2>&1')],
  ];
  for (const [what, units, act] of steps) await timed(t, what, () => survives(host, units, act));

  await host.endGuest();
  await host.shell(`lvchange -an ${LV}; vgchange --lockstop ${VG}`);
  await host.shell(`systemctl stop ${UNITS.join(' ')}`);
  for (const unit of UNITS) {
    assert.equal(await host.property(unit, 'Result'), 'success', unit);
    assert.equal(await host.property(unit, 'ActiveState'), 'inactive', unit);
  }
  assert.deepEqual(resets(host), []);
}

/** Whatever it is: these daemons are other processes afterwards, and nothing else is other. */
async function survives(
  host: SystemdHost,
  units: readonly Unit[],
  act: () => Promise<string>,
): Promise<void> {
  const before = await host.everything();
  await act();
  await host.untilCarriedOver(units, before.pids);
  const after = await host.everything();
  for (const unit of UNITS) {
    const isOther = after.pids[unit] !== before.pids[unit];
    assert.equal(isOther, units.includes(unit), `${unit} is ${isOther ? 'another' : 'the same'}`);
  }
  assert.deepEqual({ ...after, pids: null }, { ...before, pids: null });
  assert.deepEqual(resets(host), []);
}

function resets(host: SystemdHost) {
  return host.machine.events.filter(({ name }) => name === 'WATCHDOG');
}

async function timed(t: TestContext, what: string, run: () => Promise<unknown>): Promise<void> {
  const startedMs = Date.now();
  await run();
  t.diagnostic(`${((Date.now() - startedMs) / 1000).toFixed(1)} s: ${what}`);
}
