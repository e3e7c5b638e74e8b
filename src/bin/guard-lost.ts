import '../platform/clean-start.ts';
import { spawn } from 'node:child_process';
import { fail, ok, type Result } from '../base/result.ts';
import { SECOND_MS } from '../base/units.ts';
import { GUARD_RECORDS, GUEST_FILES } from '../cli/guard/paths.ts';
import { decodeRecord, encodeRecord, type Mark, type WrittenRecord } from '../guard/record.ts';
import { NodeGuestRecords } from '../platform/guest-records.ts';
import { KernelProcess, type Surroundings } from '../platform/kernel-process.ts';
import { DaemonLog } from '../platform/log.ts';
import { NodeQemus } from '../platform/qemus.ts';
import { reasonOf } from '../platform/system-error.ts';

const LOG_INFO = 6;
/** QEMU writes what it has; then it has had its time, long before another host may have the lease. */
const TERMINATED_WITHIN_MS = 5 * SECOND_MS;
const PAUSED_WITHIN_MS = 10 * SECOND_MS;
/** Of a guest whose start hook was granted: with the times above before the watchdog resets the host. */
const STARTED_WITHIN_MS = 20 * SECOND_MS;
const LOOK_MS = 500;

const log = new DaemonLog({
  ...{ program: 'guard-lost', file: null, fileSeverity: 0, syslogSeverity: LOG_INFO },
  ...{ stderr: true, utc: false },
});
const around: Surroundings = { deputy: null, log };
const qemus = new NodeQemus(GUEST_FILES, around);

/**
 * Run by sanlock for a guest whose lockspace is lost: ends its QEMU, or has libvirt pause it, and
 * then its keeper, for which sanlock waits. The guard need not run. A QEMU that does not end keeps
 * its keeper: then the watchdog resets the host, before another one may have the lease. The guard
 * runs it where there is no keeper (pid 0).
 */
async function main(uuid: string, keeperPid: number): Promise<void> {
  const keeper = KernelProcess.at(keeperPid, around); // bound while it is surely the one
  const record = recordOf(uuid);
  const process_ =
    found(record?.qemu ?? null) ?? qemus.find(uuid) ?? (await starting(uuid, record));
  const onLoss = record?.onLoss ?? 'kill';
  const fields = { guest: record?.name ?? 'unknown', uuid, pid: process_?.pid ?? 0 };
  if (process_ !== null) {
    log.error('guest.lockspaceLost', { ...fields, action: onLoss });
    const isPaused = onLoss === 'pause' && (await hasPaused(uuid));
    if (isPaused) recordLoss(uuid);
    else await ended(process_);
    log.info(isPaused ? 'guest.paused' : 'guest.ended', fields);
  }
  keeper?.signal('SIGKILL');
}

/** null: nothing is written down of it, or nothing that can be read. */
function recordOf(uuid: string): WrittenRecord | null {
  const json = jsonOf(uuid);
  const record = json.ok ? decodeRecord(uuid, json.value) : json;
  if (record.ok) return record.value;
  log.error('record.unreadable', { uuid, reason: record.error });
  return null;
}

function jsonOf(uuid: string): Result<string, string> {
  try {
    const json = new NodeGuestRecords(GUARD_RECORDS).load().get(uuid);
    return json === undefined ? fail('there is none') : ok(json);
  } catch (error) {
    return fail(reasonOf(error));
  }
}

/** For a guard that does not run now: such a guest may not go on without what it had. */
function recordLoss(uuid: string): void {
  const record = recordOf(uuid);
  if (record === null) return;
  const { holdings, orphans } = record;
  const unprotected = new Set([...record.unprotected, ...holdings.keys(), ...orphans.keys()]);
  try {
    new NodeGuestRecords(GUARD_RECORDS).save(uuid, encodeRecord({ ...record, unprotected }));
  } catch (error) {
    log.error('record.notWritten', { guest: record.name, uuid, reason: reasonOf(error) });
  }
}

/** null: it is not known, or has ended. */
function found(mark: Mark | null): KernelProcess | null {
  return mark === null ? null : KernelProcess.find(mark.pid, mark.identity, around);
}

/** libvirt was let start it, and has not come so far: it would run without its lease. */
async function starting(uuid: string, record: WrittenRecord | null): Promise<KernelProcess | null> {
  if (record !== null && record.qemuPid !== null) return null;
  const untilMs = performance.now() + STARTED_WITHIN_MS;
  for (;;) {
    const process_ = qemus.find(uuid);
    if (process_ !== null || performance.now() >= untilMs) return process_;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** libvirt alone can pause a guest so that it is resumed later. */
function hasPaused(uuid: string): Promise<boolean> {
  const child = spawn('virsh', ['-q', '-c', 'qemu:///system', 'suspend', uuid], {
    stdio: 'ignore',
  });
  return new Promise((resolve) => {
    const late = setTimeout(() => child.kill('SIGKILL'), PAUSED_WITHIN_MS);
    const answer = (isPaused: boolean): void => {
      clearTimeout(late);
      resolve(isPaused);
    };
    child.once('error', () => answer(false));
    child.once('exit', (code) => answer(code === 0));
  });
}

function ended(process_: KernelProcess): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(() => process_.signal('SIGKILL'), TERMINATED_WITHIN_MS);
    process_.onEnded(() => {
      clearTimeout(late);
      resolve();
    });
    process_.signal('SIGTERM');
  });
}

const [uuid = '', keeperPid = ''] = process.argv.slice(2);
void main(uuid, Number(keeperPid));
