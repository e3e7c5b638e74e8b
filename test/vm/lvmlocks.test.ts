import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../src/rig/run.ts';
import { DISK_BYTES, SystemdHost, UNITS, whyNoSystemd } from './systemd-host.ts';
import { type Machine, Machines } from './vm.ts';
import { VG, Volume } from './volume.ts';

/**
 * A shared VG from boot to shutdown, under a real systemd, with the units and the drop-in of
 * docs/operations/boot.md: started and activated at boot, and given back before the daemons end.
 */
const IO_TIMEOUT_S = 5;
const DEADLINE_MS = 240_000;
/** What a boot starts, by the units' own `[Install]`: the machine itself boots less. */
const BOOT = 'boot.target';
const missing = whyNoSystemd();
const where = missing === null ? { timeout: 900_000 } : { skip: missing };

test('under systemd: a shared VG is started at boot, and left at shutdown', where, async (t) => {
  const equipment = { withSystemd: [1], memoryMb: 1024 };
  const machines = await Machines.start(1, DISK_BYTES, equipment);
  const [machine] = machines.machines as [Machine];
  try {
    const host = new SystemdHost(machine, 1);
    const volume = await prepare(host, machines.disk);
    const before = volume.hostLease(1);
    assert.equal(before.timestampS, 0n, 'the VG is left before the boot');

    await boot(host);
    const during = volume.hostLease(1);
    assert.equal(during.generation, before.generation + 1n);
    assert.ok(during.timestampS > 0n);
    assert.equal(volume.owner().hostId, 1n);
    await assertServed(host);

    await machine.run(['systemctl', 'poweroff', '--no-block'], DEADLINE_MS);
    const isOff = () => !machine.isAlive;
    await until('the machine is off', isOff, { withinMs: DEADLINE_MS, everyMs: 500 });
    assert.deepEqual(volume.hostLease(1), { ...during, timestampS: 0n }, 'the VG is left in order');
    const resets = machine.events.filter(({ name }) => name === 'WATCHDOG');
    assert.deepEqual(resets, []);
  } catch (error) {
    t.diagnostic(`console of ${machine.name}:\n${machine.console().slice(-12_000)}`);
    throw error;
  } finally {
    await machines.close();
  }
});

/** A VG with an LV on the disk, and a machine on which nothing of ours runs. */
async function prepare(host: SystemdHost, disk: string): Promise<Volume> {
  await host.install(IO_TIMEOUT_S);
  assert.equal(await host.shell('systemd-analyze verify lvmlocks.service 2>&1'), '');
  await host.start();
  await host.createVg();
  const volume = await Volume.create(host.machine, disk, 'lv');
  await host.shell(`vgchange -an ${VG}
    lvmlockctl --stop-lockspaces --wait 1
    systemctl stop ${UNITS.join(' ')}`);
  return volume;
}

async function boot(host: SystemdHost): Promise<void> {
  const units = [...UNITS, 'lvmlocks'];
  const folder = '/etc/systemd/system';
  await host.shell(`mkdir ${folder}/lvmlocks.service.d
    cat >${folder}/lvmlocks.service.d/activate.conf <<-'end'
	[Service]
	ExecStart=/sbin/lvm lvchange -aey ${VG}/lv
	ExecStop=
	ExecStop=/sbin/lvm vgchange -an ${VG}
	ExecStop=lvmlockctl --stop-lockspaces --wait 1
	end
    systemctl enable ${units.join(' ')} 2>&1
    cp -r ${folder}/multi-user.target.wants ${folder}/${BOOT}.wants
    echo '[Unit]' >${folder}/${BOOT}
    systemctl daemon-reload
    systemctl start ${BOOT}`);
  for (const unit of units) assert.equal(await host.property(unit, 'ActiveState'), 'active', unit);
  const shown = await host.shell(`lvmlockctl -i
    lvs --noheadings -o lv_attr ${VG}/lv 2>&1`);
  assert.match(shown, new RegExp(`^VG ${VG} lock_type=sanlock`, 'm'));
  assert.match(shown, /^LK LV ex/m);
  assert.match(shown, /^ *-wi-a-----$/m);
}

/** holdfast serve sees all of it, with the few rights that its unit leaves it. */
async function assertServed(host: SystemdHost): Promise<void> {
  assert.equal(await host.shell('systemd-analyze verify --man=no holdfast-serve.service 2>&1'), '');
  await host.shell('systemctl start holdfast-serve');
  const asks = "fetch('http://localhost:9797/metrics').then((it) => it.text()).then(console.log)";
  const text = await host.shell(`metrics() { node -e "${asks}" >/run/metrics; }
    until metrics && grep -q '^holdfast_look_success 1' /run/metrics; do sleep 1; done
    cat /run/metrics`);
  for (const line of [
    ...UNITS.map((daemon) => `holdfast_daemon_up{daemon="${daemon}"} 1`),
    ...['wdmd', 'sanlock', 'lvmlockd', 'lvm', 'lease', 'lockspace'].map(
      (what) => `holdfast_unread{what="${what}"} 0`,
    ),
    `holdfast_lockspace_joined{lockspace="lvm_${VG}"} 1`,
    `holdfast_hosts{lockspace="lvm_${VG}",state="live"} 1`,
    `holdfast_vg_started{vg="${VG}"} 1`,
    `holdfast_lvs{vg="${VG}",held="ex"} 1`,
    `holdfast_lv_trouble{vg="${VG}",trouble="activeUnlocked"} 0`,
  ]) {
    assert.ok(text.split('\n').includes(line), `${line} in\n${text}`);
  }
  assert.match(text, /^holdfast_daemon_info\{daemon="sanlock",maker="holdfast",/m);
  // What the kernel would not let it do is no part of a look.
  const log = await host.shell('journalctl -q -o cat -u holdfast-serve');
  assert.doesNotMatch(log, /denied|permitted|failed/i);
  await host.shell('systemctl stop holdfast-serve');
  assert.equal(await host.property('holdfast-serve', 'Result'), 'success');
}
