import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import { lastRenewalS } from '../interop/sanlock-daemons.ts';
import { ROOT, whyNoMachines } from './initramfs.ts';
import { makeOwnRoot, PROGRAMS } from './own-root.ts';
import { type Finished, inTime, type Machine, Machines, OWN_DISK, SHARED_DISK } from './vm.ts';

/**
 * A machine of 1 GiB whose memory is full of pages that wait to be written, then one whose root
 * disk answers nothing: daemons that have to read a page of their program again stop there,
 * for tens of seconds or for ever, and lose their lockspaces.
 */
/** An emulated machine is slow, and other things run beside it. */
const IO_TIMEOUT_S = 4;
const EXPIRY_S = 8 * IO_TIMEOUT_S;
/** An emulated machine under such load does all else so much later. */
const LATE_S = 15;
const DISK_BYTES = 4 * MIB;
const DEADLINE_MS = 180_000;
/** What is left for everybody in the end, beside what is locked. */
const FREE_MB = 60;
/** The daemon would have lost its lockspace twice over. */
const CUT_S = 2 * EXPIRY_S;
const NEW_ROOT = '/run/own';

const unbuilt = existsSync(`${ROOT}/dist/sanlock.cjs`) ? null : 'not built yet: npm run build';
const noMkfs = existsSync('/usr/sbin/mkfs.ext4') ? null : 'mkfs.ext4 is not installed (e2fsprogs)';
const missing = whyNoMachines() ?? unbuilt ?? noMkfs;
const where = missing === null ? { timeout: 900_000 } : { skip: missing };

test(
  'full memory and a cut root disk: no page has to be read, no lockspace is lost',
  where,
  async (t) => {
    const directory = mkdtempSync('/var/tmp/holdfast-own-');
    const ownDisk = join(directory, 'root.img');
    let machines: Machines | null = null;
    try {
      makeOwnRoot(ownDisk);
      machines = await Machines.start(1, DISK_BYTES, { memoryMb: 1024, ownDisk });
      await scenario(t, machines);
    } catch (error) {
      t.diagnostic(machines?.machines[0]?.console().slice(-6000) ?? 'no machine');
      throw error;
    } finally {
      await machines?.close();
      rmSync(directory, { recursive: true, force: true });
    }
  },
);

async function scenario(t: TestContext, machines: Machines): Promise<void> {
  const [machine] = machines.machines as [Machine];
  const renewedS = () => lastRenewalS(machines.disk, 1);
  await enterOwnRoot(machine);
  await sanlock(machine, 'init', '-s', `LS:0:${SHARED_DISK}:0`, '-o', String(IO_TIMEOUT_S));
  await sanlock(machine, 'init', '-r', `LS:R:${SHARED_DISK}:1M`);
  await sanlock(
    machine,
    'add_lockspace',
    '-s',
    `LS:1:${SHARED_DISK}:0`,
    '-o',
    String(IO_TIMEOUT_S),
  );
  const command = ['client', 'command', '-r', `LS:R:${SHARED_DISK}:1M`, '-c'];
  const sleeper = ['/bin/sh', '-c', 'touch /run/holds; exec sleep 1000'];
  const user = machine.start([`${ROOT}/bin/sanlock`, ...command, ...sleeper]);
  await shell(machine, 'until [ -e /run/holds ]; do sleep 0.2; done');
  const before = await majorFaults(machine);
  t.diagnostic(`major faults before: ${before}`);

  // As lvm's own tests do: more than the machine has, to a disk that cannot keep up.
  await shell(machine, `dd if=/dev/zero of=${NEW_ROOT}/fill bs=1M count=1200 2>&1`);
  await shell(machine, fillMemory());
  const longest = await longestSilence(renewedS, EXPIRY_S);
  t.diagnostic(`longest time between renewals with full memory: ${longest} s`);
  assert.equal(await majorFaults(machine), before, 'pages that were read again');

  await machine.cutOwnDisk();
  machine.start(['/bin/sh', '-c', `cat ${NEW_ROOT}/fill >/dev/null; touch /run/answered`]);
  machine.start(['/bin/sh', '-c', `dd if=/dev/zero of=${NEW_ROOT}/more bs=1M count=300`]);
  await shell(machine, 'echo 3 >/proc/sys/vm/drop_caches');
  const cutLongest = await longestSilence(renewedS, CUT_S);
  t.diagnostic(`longest time between renewals with the root disk cut: ${cutLongest} s`);
  await shell(machine, '[ ! -e /run/answered ]');
  assert.equal(await majorFaults(machine), before, 'pages that would have been read again');
  await sanlock(machine, 'inquire', '-p', await holderOf(machine));

  await isStoppedInTime(t, machine, user, renewedS);
}

/** The lease's disk is cut as well: even now its user is stopped in time. */
async function isStoppedInTime(
  t: TestContext,
  machine: Machine,
  user: Promise<Finished>,
  renewedS: () => number,
): Promise<void> {
  await machine.cutDisk();
  const last = renewedS();
  const cutMs = Date.now();
  const ended = await inTime(user, DEADLINE_MS, () => 'the user of the lost lease is not stopped');
  const afterS = (ended.endedMs - cutMs) / 1000;
  t.diagnostic(`stopped ${afterS} s after the lease's disk was cut (last renewal at ${last})`);
  assert.ok(afterS <= EXPIRY_S + LATE_S, `stopped ${afterS} s after the disk was cut`);
}

async function enterOwnRoot(machine: Machine): Promise<void> {
  const bind = (name: string) => `mount --bind /${name} ${NEW_ROOT}/${name}`;
  const mounts = ['proc', 'sys', 'dev', 'run'].map(bind).join(' && ');
  await shell(machine, `mkdir -p ${NEW_ROOT} && mount ${OWN_DISK} ${NEW_ROOT} && ${mounts}`);
  const daemon = [process.execPath, `${PROGRAMS}/dist/sanlock.cjs`, 'daemon', '-D'];
  const options = ['-w', '0', '-U', 'root', '-G', 'root', '-e', 'small'];
  // As its unit has it: the kernel never kills it for want of memory.
  const exempt = ['/bin/sh', '-c', 'echo -1000 >/proc/self/oom_score_adj; exec "$@"', 'sh'];
  machine.start([...exempt, 'chroot', NEW_ROOT, ...daemon, ...options]);
  await shell(machine, 'until [ -S /run/sanlock/sanlock.sock ]; do sleep 0.2; done');
}

/** Pages that cannot be evicted take the rest of the memory. */
function fillMemory(): string {
  const left = `$(awk '/^MemAvailable/ { print int($2 / 1024) - ${FREE_MB} }' /proc/meminfo)`;
  const place = 'mkdir /run/full && mount -t tmpfs -o size=2G full /run/full';
  return `${place} && dd if=/dev/zero of=/run/full/fill bs=1M count=${left} 2>&1`;
}

/** Of the daemon and its lease process: field 12 of proc(5), counted behind the name. */
function majorFaults(machine: Machine): Promise<string> {
  const count = `sed 's/.*) //' "/proc/$p/stat" | awk '{ print $10 }'`;
  const pids = '$(cat /run/sanlock/sanlock.pid) $(pgrep -x "slk LS")';
  return shell(machine, `for p in ${pids}; do cat "/proc/$p/comm"; ${count}; done`);
}

function holderOf(machine: Machine): Promise<string> {
  return shell(machine, 'pgrep -xf "sleep 1000"');
}

/** Seconds of the machine's clock, in so many seconds of ours. */
async function longestSilence(renewedS: () => number, forS: number): Promise<number> {
  let [last, longest] = [renewedS(), 0];
  const endMs = Date.now() + forS * 1000;
  while (Date.now() < endMs) {
    await sleep(100);
    const now = renewedS();
    longest = Math.max(longest, now - last);
    last = now;
  }
  assert.ok(longest > 0, 'it renews');
  return longest;
}

async function shell(machine: Machine, script: string): Promise<string> {
  const ran = await machine.run(['/bin/sh', '-c', script], DEADLINE_MS);
  assert.equal(ran.status, 0, `${script}: ${ran.output}`);
  return ran.output.trim();
}

async function sanlock(machine: Machine, ...args: string[]): Promise<void> {
  const ran = await machine.run([`${ROOT}/bin/sanlock`, 'client', ...args], DEADLINE_MS);
  assert.equal(ran.status, 0, `${args.join(' ')}: ${ran.output}`);
}
