import { ERRNO } from '../base/errno.ts';
import { makeFailure } from '../wire/sanlock/failure.ts';
import type { LeaseRefusal } from './lease-steps.ts';

/** Who has the lease that was refused. */
export type Holder =
  | {
      readonly kind: 'host';
      readonly hostId: number;
      /** null: its host lease does not say. */
      readonly hostName: string | null;
      /** null: not known. */
      readonly heldForS: number | null;
    }
  /** Another guest, or another program, of this host. */
  | { readonly kind: 'here'; readonly name: string; readonly pid: number };

/** It is an orphan. */
export interface Orphaned {
  readonly kind: 'orphan';
  /** The guest of this host that has it; null: nothing is known of that any more. */
  readonly name: string | null;
}

/**
 * What libvirt shows to its user when a guest is refused: one sentence that names the disk, who has
 * it and since when, and what to do.
 * @param holder null: nobody could be found
 */
export function refusalText(
  guest: string,
  { lease, code, during }: LeaseRefusal,
  holder: Holder | Orphaned | null,
): string {
  const disk = `disk ${lease.target} of guest ${guest} (${lease.key})`;
  if (code === -ERRNO.ENOSPC) {
    return (
      `${disk} cannot be leased: this host is not in the lockspace of the guests, or is losing it; ` +
      'holdfast guard status says why'
    );
  }
  if (UNGUARDED.has(during)) {
    return `${disk} has no lease on the host that the guest comes from: is the guard running there?`;
  }
  if (LEASE_FILE.has(during)) {
    return `the lease file of ${disk} cannot be made (${codeText(code)}): holdfast guard check says why`;
  }
  if (holder?.kind === 'here') {
    const user =
      holder.name === '' ? `process ${holder.pid}` : `${holder.name} (process ${holder.pid})`;
    return `${disk} is in use on this host by ${user}: stop that first`;
  }
  if (holder?.kind === 'orphan') return `${disk} ${orphanText(holder.name)}`;
  if (holder !== null) {
    const host = holder.hostName === null ? 'a host without a name' : `host ${holder.hostName}`;
    return (
      `${disk} is in use by ${host} (host id ${holder.hostId}${sinceText(holder)}): ` +
      'stop the guest there, or migrate it'
    );
  }
  if (code === -ERRNO.EAGAIN)
    return `${disk} is shared by other hosts: stop the guests that share it`;
  return `${disk} cannot be leased: ${codeText(code)}`;
}

function orphanText(name: string | null): string {
  if (name !== null) return `is in use on this host by ${name}: stop that first`;
  return (
    'was in use on this host by a guest of which nothing is known any more: see that none runs with ' +
    'it, and release its lease with sanlock client release -O 1'
  );
}

function sinceText({ heldForS }: Extract<Holder, { kind: 'host' }>): string {
  return heldForS === null ? '' : `, for ${durationText(heldForS)}`;
}

/** Steps that make the lease, before it is asked for. */
const LEASE_FILE: ReadonlySet<LeaseRefusal['during']> = new Set(['ensure']);

/** Of a migration from a host that does not guard the guest. */
const UNGUARDED: ReadonlySet<LeaseRefusal['during']> = new Set(['lentByNobody']);

const UNITS = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
] as const;

function durationText(seconds: number): string {
  for (const [size, name] of UNITS) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${name}`;
  }
  return `${Math.max(0, Math.round(seconds))} s`;
}

function codeText(code: number): string {
  const { message } = makeFailure({ code, outcome: 'refused', call: 'acquire', socketPath: '' });
  return message.replace(/^.* refused with /, '');
}
