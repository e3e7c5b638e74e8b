import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Diagnosis } from '../../src/inspect/doctor/diagnosis.ts';
import { type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { type Looked, Patient, ROOT } from './doctor-rig.ts';
import { FailingWay, noHungFile } from './hung-file.ts';
import { refused } from './mixture-scenario.ts';
import { FakeWatchdog, whyNoWdmd } from './wdmd-host.ts';

/**
 * Storage of the leases that is slow, fails, hangs and comes back, under a host of ours (1) and one
 * of the originals (2), each by its own way to the LUN. `holdfast doctor` finds it and never hangs
 * with it; what its plan says to type is done, and the VG is used.
 */
const IO_TIMEOUT_S = 2;
/** More than half of the io timeout, and less than all. */
const SLOW_MS = 1300;
const LOST = { withinMs: 90_000, everyMs: 500 } as const;
/** A busy machine has renewals like these too. */
const PUT_UP_WITH = ['renewalSlow', 'renewalTimeouts'] as const;
const obstacle =
  rigObstacle() ?? noHungFile() ?? whyNoWdmd() ?? (originalsInstalled() ? null : 'no originals');

/** A host with its way to the LUN. */
interface Side {
  readonly patient: Patient;
  readonly way: FailingWay;
}

interface World {
  readonly rig: Rig;
  readonly ours: Side;
  readonly original: Side;
}

test('storage that is slow, fails or hangs is told of, and what to do instead of a reboot', {
  skip: obstacle ?? false,
  timeout: 900_000,
}, async (t) => {
  const watchdogs = [await FakeWatchdog.start(), await FakeWatchdog.start()];
  const ways = [new FailingWay(), new FailingWay()] as const;
  const rig = await Rig.create({
    hosts: [ALL_OURS, ALL_ORIGINAL],
    bin: join(ROOT, 'bin'),
    ioTimeoutS: IO_TIMEOUT_S,
    watchdogs: watchdogs.map(({ path }) => path),
    ways: ways.map((way) => (image: string) => way.open(image)),
  });
  try {
    const side = (at: 0 | 1) => ({ patient: new Patient(rig, rig.host(at + 1)), way: ways[at] });
    const world = { rig, ours: side(0), original: side(1) };
    for (const stage of [starts, slow, lost, notPermitted]) {
      const beganMs = Date.now();
      await stage(world);
      t.diagnostic(`${stage.name}: ${Math.round((Date.now() - beganMs) / 1000)} s`);
    }
  } finally {
    for (const way of ways) way.recover();
    await rig.close();
    for (const way of ways) way.close();
    for (const watchdog of watchdogs) watchdog.close();
  }
});

async function starts({ rig, ours, original }: World): Promise<void> {
  for (const host of rig.hosts) await host.startDaemons();
  await ours.patient.host.mustLvm('vgcreate', '--shared', rig.vg, rig.luns[1]?.device ?? '');
  await original.patient.host.mustLvm('vgchange', '--lockstart', rig.vg);
  for (const { patient } of [ours, original]) {
    const { host } = patient;
    await host.mustLvm('lvcreate', '-aey', '-L', '8m', '-n', `lv${host.hostId}`, rig.vg);
    await isWellAgain(patient);
  }
}

async function slow({ ours, original }: World): Promise<void> {
  for (const { way } of [ours, original]) way.slow(SLOW_MS);
  await Promise.all([ours, original].map(({ patient }) => patient.comesToFind('renewalSlow')));
  for (const { way } of [ours, original]) way.recover();
}

/** Both lose their storage, each in its own time. */
async function lost(world: World): Promise<void> {
  const ofOriginal = async () => {
    await failsUnderOriginal(world);
    await hangsUnderOriginal(world);
  };
  await Promise.all([hangsUnderOurs(world), ofOriginal()]);
  await isUsable(world);
}

async function failing({ patient, way }: Side): Promise<void> {
  way.fail();
  await patient.meets('leaseUnreadable', 'lockspaceLate', 'renewalTimeouts');
}

async function hangsUnderOurs({ rig, ours }: World): Promise<void> {
  const { patient, way } = ours;
  await failing(ours);
  way.hang();
  await isLost(patient);
  patient.found(await patient.looksBesideHung(), 'leaseDeviceHung', 'lockspaceFailing', 'vgLost');
  // An administrator who does not wait for the storage: what had its I/O is left behind.
  await patient.host.run('lvmlockctl', ['--drop', rig.vg]);
  await until('the lockspace given up', () => isGivenUp(patient), LOST);
  patient.found(await patient.looksBesideHung(), 'leaseProcessHung');
  way.recover();
  // lvmlockd would start the VG by itself within a minute.
  const isStarted = async () =>
    (await patient.host.lvm('vgchange', '--lockstart', rig.vg)).code === 0;
  await until('the VG to be started again', isStarted, LOST);
  await isWellAgain(patient);
}

async function failsUnderOriginal({ original }: World): Promise<void> {
  const { patient, way } = original;
  await failing(original);
  await patient.comesToFind('vgLost');
  const found = await patient.finds('leaseUnreadable', 'lockspaceFailing', 'vgLost');
  way.recover();
  const vgLost = found.get('vgLost');
  assert.ok(vgLost !== undefined);
  await patient.follows(vgLost);
  await isWellAgain(patient);
}

/** Nothing else is found, nor under way: a machine with much to do may need another look. */
async function isWellAgain(patient: Patient): Promise<void> {
  const isWell = async () => (await patient.looks()).findings.every(isPutUpWith);
  await until(`${patient.host.name} well again`, isWell, LOST);
}

function isPutUpWith({ kind }: Diagnosis): boolean {
  return PUT_UP_WITH.some((one) => one === kind);
}

/** Until sanlock stops its users: lvmlockd is told at the same moment. */
async function isLost({ host, rig }: Patient): Promise<void> {
  const status = async () => (await host.run('sanlock', ['client', 'status', '-D'])).stdout;
  const stops = async () => /\bkilling_pids=1\b/.test(await status());
  await until(`the storage of ${rig.vg} lost on ${host.name}`, stops, LOST);
}

/** Each LV is locked by its host, refused to the other, and given over. */
async function isUsable({ rig, ours, original }: World): Promise<void> {
  for (const [one, other] of [
    [ours.patient.host, original.patient.host],
    [original.patient.host, ours.patient.host],
  ] as const) {
    const lv = `${rig.vg}/lv${one.hostId}`;
    await works(one, '-aey', lv);
    await refused(other, '-aey', lv);
    await works(one, '-an', lv);
    await works(other, '-aey', lv);
    await works(other, '-an', lv);
  }
}

/** lvm gives up when another host has the lock of the VG for some seconds. */
async function works(host: Host, ...args: readonly string[]): Promise<void> {
  const isDone = async () => (await host.lvm('lvchange', ...args)).code === 0;
  await until(`lvchange ${args.join(' ')} on ${host.name}`, isDone, LOST);
}

/** A lease process was killed, and its I/O keeps it: nobody but its parent sees all of those. */
function isGivenUp({ host }: Patient): boolean {
  const pid = host.pid('sanlock');
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'ascii').trim().split(' ');
  return children.some((child) => {
    const status = readFileSync(`/proc/${child}/status`, 'ascii');
    return /^Name:\tslk /m.test(status) && /^State:\t[DZ]/m.test(status);
  });
}

/** The original has one process; that is killed by whoever does not know what it waits for. */
async function hangsUnderOriginal({ rig, original }: World): Promise<void> {
  const { patient, way } = original;
  const { host } = patient;
  const pid = host.pid('sanlock');
  await works(host, '-aey', `${rig.vg}/lv2`);
  way.hang();
  await isLost(patient);
  patient.found(await patient.looksBesideHung(), 'leaseDeviceHung', 'lockspaceFailing', 'vgLost');
  process.kill(pid, 'SIGKILL');
  patient.found(await patient.looksBesideHung(), 'leaseProcessHung');
  way.recover();
  await host.ended('sanlock');
  host.crash(); // as its watchdog has it
  await host.startDaemons();
  await patient.fixes('vgNotStarted', /start VG/);
  await isWellAgain(patient);
}

/** sanlock runs as a user who is in no group of the device. */
async function notPermitted(world: World): Promise<void> {
  const { rig, original } = world;
  const { patient } = original;
  const { host } = patient;
  await host.mustLvm('vgchange', '--lockstop', rig.vg);
  await host.kill('sanlock', 'SIGTERM');
  await patient.shell(`chown root:root $(readlink -f /dev/mapper/${rig.vg}-lvmlock)
    chmod 600 $(readlink -f /dev/mapper/${rig.vg}-lvmlock)
    rm -rf /run/sanlock; mkdir /run/sanlock; chown sanlock:sanlock /run/sanlock`);
  const who = ['--reuid', 'sanlock', '--regid', 'sanlock', '--clear-groups', '--'];
  const how = ['daemon', '-D', '-w', '0', '-U', 'sanlock', '-G', 'sanlock', '-e', host.name];
  const other = host.spawn('setpriv', [...who, '/usr/sbin/sanlock', ...how]);
  const serves = async () => (await host.run('sanlock', ['client', 'status'])).code === 0;
  await until('sanlock as another user', serves, LOST);
  await host.lvm('vgchange', '--lockstart', rig.vg);
  const found = await patient.finds('leaseNotPermitted');
  assert.equal(found.has('vgNotStarted'), false, 'why it cannot be started is told');
  await leaseFileTaken(patient);
  other.kill('SIGTERM');
  await until('its end', () => other.exitCode !== null || other.signalCode !== null, LOST);
  await patient.shell('rm -rf /run/sanlock; mkdir /run/sanlock');
  await host.startSanlock();
  await patient.fixes('vgNotStarted', /start VG/);
  await isWellAgain(patient);
  await isUsable(world);
}

/** A lease file that is in use, and that somebody gives to root: no more leases are had there. */
async function leaseFileTaken(patient: Patient): Promise<void> {
  const { host } = patient;
  const sanlock = `${host.program('sanlock')} client`;
  await patient.shell(`mkdir -m 755 /run/leases; truncate -s 2M /run/leases/file
    chmod 600 /run/leases/file; chown sanlock:sanlock /run/leases/file
    ${sanlock} init -s LS:0:/run/leases/file:0 -o ${IO_TIMEOUT_S}
    ${sanlock} init -r LS:R:/run/leases/file:1048576
    ${sanlock} add_lockspace -s LS:2:/run/leases/file:0 -o ${IO_TIMEOUT_S}`);
  const words = ['client', 'command', '-r', 'LS:R:/run/leases/file:1048576', '-c', '/bin/true'];
  const acquire = async () => (await host.run(host.program('sanlock'), words)).code;
  await patient.shell('chown root:root /run/leases/file');
  assert.notEqual(await acquire(), 0, 'sanlock opens it anew for each lease');
  const ofFile = ({ findings }: Looked) => findings.filter(({ about }) => about === 'LS');
  const found = ofFile(await patient.looks());
  assert.deepEqual(
    found.map(({ kind }) => kind),
    ['leaseNotPermitted'],
  );
  const after = await patient.looks('--fix');
  assert.deepEqual(after.fixed, [
    {
      ...{ kind: 'leaseNotPermitted', about: 'LS', failure: null },
      does: 'give /run/leases/file to the user of sanlock',
    },
  ]);
  assert.deepEqual(ofFile(after), []);
  assert.equal(await acquire(), 0);
  await patient.shell(`${sanlock} rem_lockspace -s LS:2:/run/leases/file:0`);
}
