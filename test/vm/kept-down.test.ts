import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { until } from '../../src/rig/run.ts';
import { OriginalHost, whyNoOriginals } from './original-host.ts';
import { DISK_BYTES, SystemdHost, type Unit, whyNoSystemd } from './systemd-host.ts';
import { type Machine, Machines } from './vm.ts';
import { Volume } from './volume.ts';

/**
 * Daemons that are killed and not started again: the watchdog really resets their machines, and a
 * machine of the originals, which tries all the time, gets their volumes no earlier than at
 * 8·t + 60 s. On each volume a process counts: none of its steps is lost, and none comes later.
 */
const IO_TIMEOUT_S = 5;
const FIRE_S = 60;
const DEAD_S = 8 * IO_TIMEOUT_S + FIRE_S;
/** QEMU's watchdog, and the moment of the kill, as this host sees them. */
const LATE_S = 5;
const POLL_MS = 100;
const DEADLINE_MS = 240_000;
const COUNTED_ON = 20n;
const missing = whyNoSystemd() ?? whyNoOriginals();
const where = missing === null ? { timeout: 1_200_000 } : { skip: missing };

/** A host of ours, one of whose daemons is killed, and what became of its volume. */
interface Lost {
  readonly host: SystemdHost;
  readonly unit: Unit;
  readonly volume: Volume;
}

test('under systemd: a daemon that stays away resets its host in time', where, async (t) => {
  const machines = await Machines.start(3, DISK_BYTES, { withSystemd: [1, 3], memoryMb: 1024 });
  try {
    await scenario(t, machines);
  } catch (error) {
    for (const machine of machines.machines) {
      t.diagnostic(`console of ${machine.name}:\n${machine.console().slice(-6000)}`);
    }
    throw error;
  } finally {
    await machines.close();
  }
});

async function scenario(t: TestContext, { machines, disk, startedMs }: Machines): Promise<void> {
  const [one, two, three] = machines as [Machine, Machine, Machine];
  const [first, other, third] = [
    new SystemdHost(one, 1),
    new OriginalHost(two, 2),
    new SystemdHost(three, 3),
  ];
  const starting = async (host: SystemdHost) => {
    await host.install(IO_TIMEOUT_S);
    await host.start();
  };
  await Promise.all([starting(first), starting(third), other.start(IO_TIMEOUT_S)]);
  await first.createVg();
  await Promise.all([third.startVg(), other.startVg()]);
  const lost: readonly Lost[] = [
    { host: first, unit: 'wdmd', volume: await Volume.create(one, disk, 'lv1') },
    { host: third, unit: 'sanlock', volume: await Volume.create(three, disk, 'lv3') },
  ];
  for (const { host, volume } of lost) await host.startCounter(volume);
  for (const { volume } of lost) other.takeVolume(volume);
  for (const { volume } of lost) {
    const isRefused = async () => (await other.tries(volume)).refused > 0;
    await until('the other machine is refused', isRefused, { withinMs: DEADLINE_MS });
  }
  t.diagnostic(`ready after ${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
  await Promise.all(lost.map((one) => isLost(t, one, other)));
  assert.deepEqual(
    two.events.filter(({ name }) => name === 'WATCHDOG'),
    [],
  );
}

/** Its daemon is killed; then its machine is reset, and only later the other one has its volume. */
async function isLost(t: TestContext, { host, unit, volume }: Lost, other: OriginalHost) {
  const { hostId } = host;
  const renewal = { timestampS: volume.hostLease(hostId).timestampS, seenMs: Date.now() };
  const isTaken = () => {
    const { timestampS } = volume.hostLease(hostId);
    const isRenewed = timestampS !== renewal.timestampS;
    if (isRenewed) Object.assign(renewal, { timestampS, seenMs: Date.now() });
    return volume.owner().hostId !== BigInt(hostId);
  };
  const killing = host.keepDown(unit).then(() => Date.now());
  const within = { withinMs: 2 * (DEAD_S + FIRE_S) * 1000, everyMs: POLL_MS };
  await until(`the other machine has the volume of ${host.machine.name}`, isTaken, within);
  const takenMs = Date.now();
  const counted = volume.counter();
  const killedMs = await killing;
  const reset = host.machine.events.find(({ name }) => name === 'WATCHDOG');
  assert.ok(reset, `no watchdog fired: ${JSON.stringify(host.machine.events)}`);
  const after = (ms: number) => ((ms - renewal.seenMs) / 1000).toFixed(1);
  t.diagnostic(`${unit} killed: since the last renewal, ${after(reset.ms)} s to the reset`);
  t.diagnostic(`and ${after(takenMs)} s until the volume was taken`);
  assert.ok(reset.ms < takenMs, 'it is reset before the other machine has its volume');
  assert.ok(takenMs - renewal.seenMs >= DEAD_S * 1000 - POLL_MS, 'that machine waits long enough');
  const latestMs = unit === 'wdmd' ? killedMs + FIRE_S * 1000 : renewal.seenMs + DEAD_S * 1000;
  assert.ok(reset.ms <= latestMs + LATE_S * 1000, 'it is reset in time');
  assert.equal(volume.owner().hostId, BigInt(other.hostId));
  await countsOn(other, volume, counted);
}

/** From the last value of the machine that was reset; none of its writes comes later. */
async function countsOn(other: OriginalHost, volume: Volume, counted: bigint): Promise<void> {
  const isGranted = async () => (await other.tries(volume)).isGranted;
  await until('the volume is active', isGranted, { withinMs: DEADLINE_MS, everyMs: 500 });
  const log = `/run/counted-${volume.lv.replace('/', '-')}`;
  other.count(volume, log);
  const isFurther = () => volume.counter() >= counted + COUNTED_ON;
  await until('it counts on', isFurther, { withinMs: DEADLINE_MS, everyMs: 500 });
  assert.equal(await other.shell(`cat ${log}`), `began ${counted}`);
}
