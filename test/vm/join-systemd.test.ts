import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DISK_BYTES, SystemdHost, whyNoSystemd } from './systemd-host.ts';
import { type Machine, Machines, SHARED_DISK } from './vm.ts';

// holdfast join on a bare machine: it has units and Debian's lvm.conf, and nothing is configured.

const missing = whyNoSystemd();
const where = missing === null ? { timeout: 900_000 } : { skip: missing };

test(
  'under systemd a bare host joins, has its first VG, and stays while it is used',
  where,
  async (t) => {
    const machines = await Machines.start(1, DISK_BYTES, { withSystemd: [1], memoryMb: 1024 });
    const [machine] = machines.machines as [Machine];
    try {
      await joins(new SystemdHost(machine, 1));
    } catch (error) {
      t.diagnostic(`console of ${machine.name}:\n${machine.console().slice(-12_000)}`);
      throw error;
    } finally {
      await machines.close();
    }
  },
);

async function joins(host: SystemdHost): Promise<void> {
  await host.install(4);
  await host.shell(`rm -rf /etc/sanlock
    printf 'local {\\n\\t# host_id = 0\\n}\\n' >/etc/lvm/lvmlocal.conf`);
  const joined = await host.shell('holdfast join --yes');
  assert.match(joined, /enable and start wdmd sanlock lvmlockd lvmlocks/);
  assert.match(
    joined,
    /This host is host id 1 \(\S+\.[0-9a-f]{8}\), ready for its first shared VG/,
  );
  const units = 'wdmd sanlock lvmlockd lvmlocks';
  await host.shell(`systemctl is-active ${units} && systemctl is-enabled ${units}`);
  const name = await host.shell('sed -n "s/^our_host_name = //p" /etc/sanlock/sanlock.conf');
  assert.match(
    await host.shell('sanlock client status'),
    new RegExp(`^daemon ${name.trim()}$`, 'm'),
  );
  const seen = await host.shell('lvmconfig global/use_lvmlockd local/host_id');
  assert.match(seen, /use_lvmlockd=1\nhost_id=1/);

  await host.shell(`vgcreate --shared vg ${SHARED_DISK} && lvcreate -y -aey -l 1 -n lv vg`);
  assert.match(await host.shell('holdfast join --yes'), /host id 1 \S+ in vg, which can be used/);
  const stays = await host.shell('holdfast leave --yes --stop-daemons 2>&1 || echo refused');
  assert.match(stays, /LV vg\/lv is active here.*\nrefused/);
}
