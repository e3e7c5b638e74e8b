import { unreachable } from '../../base/assert.ts';
import { caution, type Finding, note, problem } from '../../base/finding.ts';
import type { Result } from '../../base/result.ts';
import type { DiskSource, Guest, GuestDisk } from '../domain.ts';
import type { DiskLease } from '../lease-names.ts';
import type { Holder } from '../refusal-text.ts';

/** What is known of a lease; null: it could not be found out. */
export interface LeaseSeen extends DiskLease {
  /** Whether it is on the disk already. */
  readonly isMade: boolean | null;
  /** 'nobody': it is free. */
  readonly holder: Holder | 'nobody' | null;
}

export interface DiskSeen {
  readonly disk: GuestDisk;
  /** Of the guard; why the disk has no name, in half a sentence. */
  readonly guard: Result<readonly LeaseSeen[], string>;
  /** Of libvirt's plugin. */
  readonly plugin: readonly LeaseSeen[];
}

export interface GuestSeen {
  readonly guest: Guest;
  /** It runs, or is paused, on this host. */
  readonly isActive: boolean;
  readonly usesPlugin: boolean;
  readonly disks: readonly DiskSeen[];
}

/** A disk, and what keeps other hosts from it. */
export interface DiskVerdict {
  readonly target: string;
  /** 'file /srv/a.img', 'rbd pool/image'. */
  readonly source: string;
  readonly access: GuestDisk['access'];
  readonly by: readonly ('guard' | 'plugin')[];
  /** null: it is protected. */
  readonly whyNot: string | null;
  readonly leases: readonly LeaseSeen[];
}

/** In the order of the disks. */
export function diskVerdicts({ disks }: GuestSeen): readonly DiskVerdict[] {
  return disks.map(({ disk, guard, plugin }) => {
    const own = guard.ok ? guard.value : [];
    const by: ('guard' | 'plugin')[] = [];
    if (own.length > 0) by.push('guard');
    if (plugin.length > 0) by.push('plugin');
    const { target, access } = disk;
    const source = sourceText(disk.source);
    const whyNot = by.length > 0 && guard.ok ? null : whyNotProtected(disk, guard);
    return { target, source, access, by, whyNot, leases: [...plugin, ...own] };
  });
}

function whyNotProtected({ access, source }: GuestDisk, guard: DiskSeen['guard']): string {
  if (!guard.ok) return guard.error;
  if (access === 'readonly') return 'it is read-only, and readonly_disks is "none"';
  if (source.kind === 'local')
    return `a disk of type ${source.type} has no name that other hosts know`;
  return 'no lease is taken for it';
}

function sourceText(source: DiskSource): string {
  switch (source.kind) {
    case 'file':
    case 'block':
    case 'dir':
      return `${source.kind} ${source.path}`;
    case 'network':
      return `${source.protocol} ${source.name}`;
    case 'volume':
      return `volume ${source.volume} of pool ${source.pool}`;
    case 'local':
      return source.type;
    default:
      return unreachable(source);
  }
}

/** With more disks and leases in all, the plugin refuses the guest (spec 60 §1.3). */
const MOST_OF_PLUGIN = 8;
const REFUSED_BY_PLUGIN: ReadonlySet<string> = new Set(['restart', 'ignore']);

/** What an administrator should know of a guest, beside what is shown of its disks. */
export function guestFindings(seen: GuestSeen): readonly Finding[] {
  const { guest, usesPlugin, disks } = seen;
  const { name, onLockFailure } = guest;
  const found: Finding[] = disks.flatMap((disk) => diskFindings(seen, disk));
  const plugins = disks.flatMap(({ plugin }) => plugin).length;
  if (plugins > MOST_OF_PLUGIN) {
    const text = `guest ${name} has ${plugins} disks for libvirt's plugin, which takes ${MOST_OF_PLUGIN} at most`;
    const cure = 'use the guard without the plugin (lock_manager in qemu.conf), or fewer disks';
    found.push(problem('tooManyForPlugin', text, cure));
  }
  if (usesPlugin && REFUSED_BY_PLUGIN.has(onLockFailure ?? '')) {
    const text = `guest ${name} has <on_lockfailure>${onLockFailure}</on_lockfailure>: the plugin refuses it`;
    found.push(problem('lockFailureRefused', text, 'use poweroff, pause or default'));
  }
  return found;
}

function diskFindings(seen: GuestSeen, { disk, guard, plugin }: DiskSeen): readonly Finding[] {
  const what = `disk ${disk.target} of guest ${seen.guest.name}`;
  if (!guard.ok) {
    const text = `${what} has no name: ${guard.error}; the guard refuses the guest`;
    return [problem('diskUnnamed', text, 'mend that; a disk without a name would have no lease')];
  }
  const leases = [...plugin, ...guard.value];
  if (leases.length === 0 && disk.access !== 'readonly') {
    const text = `${what} is not protected: ${whyNotProtected(disk, guard)}`;
    const cure = 'see to it that no other guest is given that device';
    return [caution('diskUnprotected', text, cure)];
  }
  return seen.isActive ? activeFindings(what, leases) : stoppedFindings(what, leases);
}

function activeFindings(what: string, leases: readonly LeaseSeen[]): readonly Finding[] {
  return leases.flatMap(({ holder, key }) => {
    if (holder === null || (holder !== 'nobody' && holder.kind === 'here')) return [];
    if (holder === 'nobody') {
      const text = `nobody has the lease of ${what} (${key}), and the guest is active`;
      const cure =
        'a paused guest of the plugin has none; else restart holdfast-guard, then libvirtd';
      return [caution('leaseFree', text, cure)];
    }
    const text = `${hostText(holder)} has the lease of ${what} (${key}) as well`;
    const cure = 'none while it migrates, or if the disk is shareable; else stop one of the two';
    return [problem('leaseElsewhere', text, cure)];
  });
}

function stoppedFindings(what: string, leases: readonly LeaseSeen[]): readonly Finding[] {
  return leases.flatMap(({ holder, key }) => {
    if (holder === null || holder === 'nobody') return [];
    const text = `${what} (${key}) is in use by ${holderText(holder)}: the guest is refused until then`;
    return [note('leaseInUse', text, 'stop the guest there, or migrate it')];
  });
}

/** 'host beta (host id 2)', 'this host (web, process 12)', 'nobody'. */
export function holderText(holder: Holder | 'nobody' | null): string {
  if (holder === null) return 'not known';
  if (holder === 'nobody') return 'nobody';
  return holder.kind === 'here'
    ? `this host (${holder.name || 'no name'}, process ${holder.pid})`
    : hostText(holder);
}

function hostText({ hostId, hostName }: Extract<Holder, { kind: 'host' }>): string {
  return hostName === null ? `host id ${hostId}` : `host ${hostName} (host id ${hostId})`;
}
