import '../platform/clean-start.ts';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SECOND_MS } from '../base/units.ts';
import { GUARD_RECORDS, GUEST_FILES } from '../cli/guard/paths.ts';
import { decodeRecord, type Mark, type WrittenRecord } from '../guard/record.ts';
import { NodeGuestRecords } from '../platform/guest-records.ts';
import { KernelProcess, type Surroundings } from '../platform/kernel-process.ts';
import { DaemonLog } from '../platform/log.ts';

const LOG_INFO = 6;
/** QEMU writes what it has; then it has had its time, long before another host may have the lease. */
const TERMINATED_WITHIN_MS = 5 * SECOND_MS;
const PAUSED_WITHIN_MS = 10 * SECOND_MS;

const log = new DaemonLog({
  ...{ program: 'guard-lost', file: null, fileSeverity: 0, syslogSeverity: LOG_INFO },
  ...{ stderr: true, utc: false },
});
const around: Surroundings = { deputy: null, log };

/**
 * Run by sanlock for a guest whose lockspace is lost: ends its QEMU, or has libvirt pause it, and
 * then its keeper, for which sanlock waits. The guard need not run. A QEMU that does not end keeps
 * its keeper: then the watchdog resets the host, before another one may have the lease.
 */
async function main(uuid: string, keeperPid: number): Promise<void> {
  const record = recordOf(uuid);
  const qemu = record?.qemu ?? null;
  const process_ = qemu === null ? qemuOf(uuid) : found(qemu);
  const onLoss = record?.onLoss ?? 'kill';
  const fields = { guest: record?.name ?? 'unknown', uuid, pid: process_?.pid ?? 0 };
  if (process_ !== null) {
    log.error('guest.lockspaceLost', { ...fields, action: onLoss });
    const isPaused = onLoss === 'pause' && (await hasPaused(uuid));
    if (!isPaused) await ended(process_);
    log.info(isPaused ? 'guest.paused' : 'guest.ended', fields);
  }
  // It waits for nothing but this signal, so it is still the one that sanlock means.
  KernelProcess.at(keeperPid, around)?.signal('SIGKILL');
}

/** null: nothing is written down of it, or nothing that can be read. */
function recordOf(uuid: string): WrittenRecord | null {
  const json = new NodeGuestRecords(GUARD_RECORDS).load().get(uuid);
  const record = json === undefined ? null : decodeRecord(uuid, json);
  if (record?.ok === true) return record.value;
  log.error('record.unreadable', { uuid, reason: record?.error ?? 'there is none' });
  return null;
}

function found({ pid, identity }: Mark): KernelProcess | null {
  return KernelProcess.find(pid, identity, around);
}

/** Before the guard has seen it: by libvirt's pid files, and what QEMU was started with. */
function qemuOf(uuid: string): KernelProcess | null {
  for (const name of pidFiles()) {
    try {
      const pid = Number(readFileSync(join(GUEST_FILES, name), 'ascii'));
      const process_ = KernelProcess.at(pid, around);
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(uuid)) return process_;
      process_?.close();
    } catch {
      // That one has ended.
    }
  }
  return null;
}

function pidFiles(): readonly string[] {
  try {
    return readdirSync(GUEST_FILES).filter((name) => name.endsWith('.pid'));
  } catch {
    return []; // libvirtd has not run
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
