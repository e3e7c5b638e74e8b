import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { pause, until } from '../../src/rig/run.ts';
import { OriginalHost, whyNoOriginals } from './original-host.ts';
import { DISK_BYTES, SystemdHost, UNITS, type Unit, whyNoSystemd } from './systemd-host.ts';
import { type Machine, Machines, SHARED_DISK } from './vm.ts';
import { VG, Volume } from './volume.ts';

/**
 * Our units under a real systemd, on a machine whose watchdog really resets it: a volume is active
 * by device-mapper, and a guest, which has a lease on it, counts on it. A second machine, of the
 * originals, tries all the time to have the volume. Whatever daemon is restarted, killed or
 * replaced, nothing of that changes.
 */

/** Its leases outlive three daemons that start at once on a machine which has half a core at most. */
const IO_TIMEOUT_S = 20;
const DEADLINE_MS = 240_000;
const COUNTED = '/run/counted';
/** A lockspace behind all volumes. */
const SCRATCH = (hostId: number) => `scratch:${hostId}:${SHARED_DISK}:380M`;
/** A daemon that fails would be started some times meanwhile. */
const WAITS_MS = 8000;
const missing = whyNoSystemd() ?? whyNoOriginals();
const where = missing === null ? { timeout: 1_500_000 } : { skip: missing };

test('under systemd: no restart, no kill -9 and no upgrade loses anything', where, async (t) => {
  const machines = await timed(t, 'the machines boot', () =>
    Machines.start(2, DISK_BYTES, { withSystemd: [1], memoryMb: 1024 }),
  );
  const [first, second] = machines.machines as [Machine, Machine];
  try {
    const hosts = { host: new SystemdHost(first, 1), other: new OriginalHost(second, 2) };
    await scenario(t, { ...hosts, disk: machines.disk });
  } catch (error) {
    for (const machine of machines.machines) {
      t.diagnostic(`console of ${machine.name}:\n${machine.console().slice(-12_000)}`);
    }
    throw error;
  } finally {
    await machines.close();
  }
});

interface World {
  readonly host: SystemdHost;
  readonly other: OriginalHost;
  readonly volume: Volume;
}

async function scenario(
  t: TestContext,
  of: Omit<World, 'volume'> & { readonly disk: string },
): Promise<void> {
  const { host, other } = of;
  const world = { host, other, volume: await prepare(t, of) };
  await host.startAsker();
  for (const { what, units, act } of steps(host)) {
    await timed(t, what, () => survives(world, { units, act }));
  }
  const asked = await host.endAsker();
  t.diagnostic(`a client of sanlock meanwhile: ${asked.join(', ')}`);
  assert.ok(asked.some((outcome) => outcome.startsWith('answered 0: ')));
  assert.ok(!asked.some((outcome) => outcome.startsWith('refused ')), 'who connects is answered');
  await timed(t, 'the volume goes to the other machine', () => givesUp(t, world));
  await host.shell(`vgchange --lockstop ${VG}; systemctl stop ${UNITS.join(' ')}`);
  for (const unit of UNITS) {
    assert.equal(await host.property(unit, 'Result'), 'success', unit);
    assert.equal(await host.property(unit, 'ActiveState'), 'inactive', unit);
  }
  await timed(t, 'a restart is refused', () => refuses(host));
  assert.deepEqual(resets(world), []);
}

async function prepare(
  t: TestContext,
  { host, other, disk }: Omit<World, 'volume'> & { readonly disk: string },
): Promise<Volume> {
  await host.install(IO_TIMEOUT_S);
  const files = UNITS.map((unit) => `${unit}.service`).join(' ');
  const complaints = await host.shell(`systemd-analyze verify ${files} 2>&1`);
  assert.equal(complaints, '', 'systemd takes every line of the units');
  await timed(t, 'the daemons start', () => Promise.all([host.start(), other.start(IO_TIMEOUT_S)]));
  await timed(t, 'the VG is there', () => host.createVg());
  const volume = await Volume.create(host.machine, disk, 'lv');
  await timed(t, 'the guest runs, and the other machine has started the VG', () =>
    Promise.all([host.startGuest(volume), other.startVg()]),
  );
  other.takeVolume(volume);
  return volume;
}

interface Step {
  readonly what: string;
  /** The daemons that are others afterwards. */
  readonly units: readonly Unit[];
  readonly act: () => Promise<string>;
}

function steps(host: SystemdHost): readonly Step[] {
  const restart = (unit: Unit): Step => {
    const what = `systemctl restart ${unit}`;
    return { what, units: [unit], act: () => host.shell(what) };
  };
  const kill = (...units: readonly Unit[]): Step => {
    const command = `systemctl kill --kill-whom=main -s KILL ${units.join(' ')}`;
    return { what: `kill -9 of ${units.join(' and ')}`, units, act: () => host.shell(command) };
  };
  const upgrade = () => host.shell('holdfast upgrade 2>&1');
  return [
    restart('sanlock'),
    restart('lvmlockd'),
    restart('wdmd'),
    kill('sanlock'),
    kill('wdmd'),
    kill('lvmlockd'),
    kill('sanlock', 'lvmlockd'),
    kill('wdmd', 'sanlock'),
    kill('lvmlockd', 'wdmd'),
    kill('wdmd', 'sanlock', 'lvmlockd'),
    { what: 'holdfast upgrade', units: UNITS, act: upgrade },
  ];
}

/** Whatever it is: these daemons are other processes afterwards, and nothing else is other. */
async function survives(world: World, step: Omit<Step, 'what'>): Promise<void> {
  const { host, other, volume } = world;
  const before = await host.everything(volume);
  const tries = await other.tries(volume);
  await step.act();
  await host.untilCarriedOver(step.units, before.pids);
  const counted = volume.counter();
  const goesOn = async () => {
    const { refused, isGranted } = await other.tries(volume);
    assert.ok(!isGranted, 'the other machine got a volume that is active here');
    // One of two that end from now on has begun after the restart.
    return refused >= tries.refused + 2 && volume.counter() > counted;
  };
  await until('the guest counts on', goesOn, { withinMs: DEADLINE_MS, everyMs: 500 });
  const after = await host.everything(volume);
  for (const unit of UNITS) {
    const isOther = after.pids[unit] !== before.pids[unit];
    const wanted = step.units.includes(unit);
    assert.equal(isOther, wanted, `${unit} is ${isOther ? 'another' : 'the same'}`);
  }
  assert.deepEqual({ ...after, pids: null }, { ...before, pids: null });
  assert.deepEqual(resets(world), []);
}

/** No step of the guest is lost on the way, and the other machine gets the volume only now. */
async function givesUp(t: TestContext, { host, other, volume }: World): Promise<void> {
  const noted = await host.endGuest(volume);
  const counted = volume.counter();
  assert.equal(noted, `began 0\nended ${counted}`);
  const tries = await other.tries(volume);
  assert.ok(!tries.isGranted, 'the other machine got a volume that is active here');
  t.diagnostic(`${counted} steps; the other machine was refused ${tries.refused} times`);
  t.diagnostic(`it failed ${tries.failed} times for other reasons`);
  await host.shell(`lvchange -an ${volume.lv}`);
  const isGranted = async () => (await other.tries(volume)).isGranted;
  await until('the other machine has it', isGranted, { withinMs: DEADLINE_MS, everyMs: 500 });
  assert.equal(volume.owner().hostId, BigInt(other.hostId));
  other.count(volume, COUNTED);
  const countsOn = () => volume.counter() > counted;
  await until('it counts on', countsOn, { withinMs: DEADLINE_MS, everyMs: 500 });
  assert.equal(await other.shell(`cat ${COUNTED}`), `began ${counted}`);
}

/**
 * Over an original wdmd sanlock refuses to be restarted. systemd starts the next one in any case:
 * it waits for the one that goes on, and is not started again and again.
 */
async function refuses(host: SystemdHost): Promise<void> {
  const restarts = () => host.property('sanlock', 'NRestarts');
  await host.exchange('wdmd', '/usr/sbin/wdmd -D');
  await host.dropIn('sanlock', 'TimeoutStopSec=30', 'TimeoutStartSec=600');
  await host.shell(`systemctl start wdmd sanlock
    sanlock client init -s ${SCRATCH(0)}
    sanlock client add_lockspace -s ${SCRATCH(host.hostId)} -o 5`);
  const pid = await host.property('sanlock', 'MainPID');
  const before = await restarts();
  await host.shell('systemctl restart --no-block sanlock');
  const waits = `waits for the end of the one that runs (pid ${pid})`;
  const doesWait = async () => (await host.property('sanlock', 'StatusText')) === waits;
  await until('the next sanlock waits', doesWait, { withinMs: DEADLINE_MS, everyMs: 500 });
  await pause(WAITS_MS);
  assert.equal(await restarts(), before, 'it is not started again and again');
  const log = await host.shell(
    `journalctl -o cat -u sanlock | grep '^holdfast stop: ' | tail -n 1`,
  );
  assert.match(log, /sanlock does not end for its successor: the wdmd .* is the original/);
  await host.shell(`sanlock client rem_lockspace -s ${SCRATCH(host.hostId)}
    sanlock client shutdown`);
  const serves = async () => (await host.property('sanlock', 'ActiveState')) === 'active';
  await until('the next sanlock serves', serves, { withinMs: DEADLINE_MS, everyMs: 500 });
  assert.notEqual(await host.property('sanlock', 'MainPID'), pid);
  assert.equal(await restarts(), before);
  await host.shell('systemctl stop sanlock wdmd');
}

function resets({ host, other }: World) {
  const events = [...host.machine.events, ...other.machine.events];
  return events.filter(({ name }) => name === 'WATCHDOG');
}

async function timed<T>(t: TestContext, what: string, run: () => Promise<T>): Promise<T> {
  const startedMs = Date.now();
  const result = await run();
  t.diagnostic(`${((Date.now() - startedMs) / 1000).toFixed(1)} s: ${what}`);
  return result;
}
