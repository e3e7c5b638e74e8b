import { fail, ok, type Result } from '../base/result.ts';
import { type Guest, guestOf } from './domain.ts';
import { attribute, child, parseXml } from './xml.ts';

/** What libvirtd writes into /run/libvirt/qemu/NAME.xml, anew at each change of a guest that runs. */
export interface StatusFile {
  readonly guest: Guest;
  /** Of its QEMU; null: not started yet. */
  readonly pid: number | null;
  /** Its CPUs run. */
  readonly isRunning: boolean;
  /** A migration that is under way. */
  readonly migration: 'out' | 'in' | null;
  /** libvirt starts it here, from its disks or from a file, or has started it so: none brought it. */
  readonly startsHere: boolean;
}

/** Why it runs, as long as it was not paused or booted again since; else: 'migrated'. */
const STARTED: ReadonlySet<string> = new Set(['booted', 'restored']);
const MIGRATIONS = { 'migration out': 'out', 'migration in': 'in' } as const;

/**
 * Reads a status file. A migration is written into it before the other host is asked for anything
 * (phase `begin3`), and taken out when it is over, whatever its end.
 * @returns what it says, or why it is none, in a sentence
 */
export function parseStatusFile(xml: string): Result<StatusFile, string> {
  const tree = parseXml(xml);
  if (!tree.ok) return fail(`the status file cannot be read: ${tree.error}`);
  const root = tree.value;
  if (root.name !== 'domstatus') return fail('the file has no status of a domain');
  const guest = guestOf(root);
  if (!guest.ok) return guest;
  const pid = Number(attribute(root, 'pid') ?? 0);
  const job = attribute(child(root, 'job'), 'async') ?? '';
  const isRunning = attribute(root, 'state') === 'running';
  return ok({
    guest: guest.value,
    pid: Number.isSafeInteger(pid) && pid > 0 ? pid : null,
    isRunning,
    startsHere: job === 'start' || (isRunning && STARTED.has(attribute(root, 'reason') ?? '')),
    migration: Object.hasOwn(MIGRATIONS, job) ? MIGRATIONS[job as keyof typeof MIGRATIONS] : null,
  });
}
