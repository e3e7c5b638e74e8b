import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DebianHost, DebianPair, UNITS, whyNoDebians } from './debian-host.ts';
import { SHARED_DISK } from './vm.ts';
import { VG, Volume } from './volume.ts';

/**
 * The package on bare Debian 12 and 13, with systemd, as docs/operations/install.md has it: a
 * shared VG of two hosts, an upgrade under load, the originals again, and nothing left.
 */
const missing = whyNoDebians();
const where = missing === null ? { timeout: 1_500_000 } : { skip: missing };
const DEB = './holdfast_0.1.0_amd64.deb';
const NEXT = './holdfast_0.1.0+1_amd64.deb';
const active = `systemctl is-active ${UNITS.join(' ')}`;
const ACTIVE = UNITS.map(() => 'active').join('\n');

test('bare Debian 12 and 13: installed, used, upgraded, taken back, purged', where, async (t) => {
  const pair = await DebianPair.boot();
  const startedMs = Date.now();
  const reached = (step: string) =>
    t.diagnostic(`${step} after ${Math.round((Date.now() - startedMs) / 1000)} s`);
  try {
    await pair.both(installFirst);
    reached('installed');
    const volume = await shareVolume(pair);
    reached('a VG is shared');
    await upgradeUnderLoad(pair, volume);
    reached('upgraded');
    await pair.both(removalIsRefused);
    reached('a removal was refused');
    await takeBack(pair);
    reached('the originals are back');
    await pair.both(purged);
    reached('purged');
    for (const { isAlive, events } of pair.machines.machines) {
      assert.ok(isAlive, 'no machine was reset');
      assert.deepEqual(
        events.filter(({ name }) => name === 'WATCHDOG'),
        [],
      );
    }
  } catch (error) {
    for (const machine of pair.machines.machines) {
      t.diagnostic(`console of ${machine.name}:\n${machine.console().slice(-8000)}`);
    }
    throw error;
  } finally {
    await pair.close();
  }
});

async function installFirst(host: DebianHost): Promise<void> {
  await host.configure();
  await host.install(DEB);
  assert.equal(await host.shell(active), ACTIVE, `Debian ${host.release}`);
  assert.deepEqual(await host.programs(), ['node', 'node', 'node']);
}

/** Host 1 has the volume, host 2 is refused. */
async function shareVolume({ hosts, machines }: DebianPair): Promise<Volume> {
  const [first, second] = hosts;
  await first.shell(`vgcreate --shared ${VG} ${SHARED_DISK}`);
  const [volume] = await Promise.all([
    Volume.create(first.machine, machines.disk, 'lv'),
    second.shell(`vgchange --lockstart ${VG}`),
  ]);
  assert.equal(volume.owner().hostId, 1n);
  await refused(second);
  return volume;
}

async function refused(host: DebianHost): Promise<void> {
  const { status, output } = await host.run(`lvchange -aey ${VG}/lv 2>&1`);
  assert.equal(status, 5, output);
  assert.match(output, /LV locked by other host/);
}

/** A daemon of the new release has what the old one had; nobody else sees anything. */
async function upgradeUnderLoad(pair: DebianPair, volume: Volume): Promise<void> {
  const held = () => [
    volume.owner(),
    volume.hostLease(1).generation,
    volume.hostLease(2).generation,
  ];
  const before = held();
  // One after the other, as on a cluster: daemons that start need a processor each.
  const said: string[] = [];
  for (const host of pair.hosts) {
    const pids = await host.pids();
    const text = await host.install(NEXT);
    const now = await host.pids();
    assert.equal(now.split(' ').length, UNITS.length);
    for (const pid of now.split(' ')) assert.ok(!pids.split(' ').includes(pid), `${pids}: ${now}`);
    said.push(text);
  }
  for (const text of said) {
    for (const unit of UNITS) assert.match(text, new RegExp(`^${unit} restarted in .* s`, 'm'));
    assert.match(text, /^ {2}lockspace lvm_vg: \d leases? of \d holders? carried over$/m);
    assert.doesNotMatch(text, /not carried over/);
  }
  assert.deepEqual(held(), before);
  assert.match(await pair.hosts[0].shell('lvmlockctl -i'), /^LK LV ex/m);
  await refused(pair.hosts[1]);
}

/** The watchdog would reset a host whose daemons are gone. */
async function removalIsRefused(host: DebianHost): Promise<void> {
  const pids = await host.pids();
  const { status, output } = await host.run('apt-get -y remove holdfast 2>&1 </dev/null');
  assert.equal(status, 100, output);
  assert.match(output, /lockspace lvm_vg is joined.*: .*vgchange --lockstop vg$/m);
  assert.match(
    output,
    /^holdfast: not removed, as this host would be reset without its daemons\.$/m,
  );
  assert.equal(await host.pids(), pids);
  assert.match(await host.shell('dpkg -s holdfast'), /^Status: install ok installed$/m);
}

/** By one command each, once the VG is left; then the originals of both Debians share it. */
async function takeBack({ hosts: [first, second] }: DebianPair): Promise<void> {
  const back = async (host: DebianHost) => {
    await host.shell(`vgchange -an ${VG}; vgchange --lockstop ${VG}; holdfast unused`);
    await host.install('sanlock lvm2-lockd');
    assert.deepEqual(await host.programs(), [...UNITS]);
    assert.match(await host.shell('cat /etc/sanlock/sanlock.conf'), /^our_host_name = node\d$/);
    // Their lvmlocks may have started it already, or have been too early.
    await host.startByOriginals(VG);
  };
  await Promise.all([back(first), back(second)]);
  await second.shell(`lvchange -aey ${VG}/lv`);
  await refused(first);
}

/** What the originals use stays, and of ours nothing. */
async function purged(host: DebianHost): Promise<void> {
  await host.shell('apt-get -y purge holdfast </dev/null');
  assert.equal(await host.shell(active), ACTIVE);
  assert.match(await host.shell('id sanlock; ls /etc/sanlock'), /\(disk\)\nsanlock\.conf$/);
  const found = await host.shell(`find / -xdev -name '*holdfast*' -not -path '/srv/*'`);
  // By what the roots of these machines are known, and settings of their dpkg.
  assert.deepEqual(found.split('\n').sort(), ['/.holdfast-whole', '/etc/dpkg/dpkg.cfg.d/holdfast']);
}
