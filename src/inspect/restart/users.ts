import type { DaemonName, HostFacts } from './host-facts.ts';

/** What would be lost, or reset this host, if its daemons ended and no other ones came. */
export type User =
  | {
      readonly kind: 'lockspace';
      readonly lockspace: string;
      /** The volume group whose lockspace it is; null: it is none of lvm's. */
      readonly vg: string | null;
      readonly phase: 'joined' | 'joining' | 'leaving' | 'failing';
      /** Leases that are held in it, orphans among them. */
      readonly leases: number;
    }
  | { readonly kind: 'vg'; readonly vg: string }
  | { readonly kind: 'watchdogClient'; readonly client: string; readonly pid: number }
  /** What it holds is not known. */
  | { readonly kind: 'silent'; readonly daemon: DaemonName; readonly pid: number };

const LVM_LOCKSPACE = /^lvm_(.+)$/;

/** Everything that uses the daemons of this host, ours or the originals; none: they may be stopped. */
export function usersOf({ silent, wdmd, sanlock, lvmlockd }: HostFacts): readonly User[] {
  const lockspaces = (sanlock?.lockspaces ?? []).map(({ name, phase }) => {
    const vg = LVM_LOCKSPACE.exec(name)?.[1] ?? null;
    const leases = sanlock?.leases.filter(({ lockspace }) => lockspace === name).length ?? 0;
    return { kind: 'lockspace', lockspace: name, vg, phase, leases } as const;
  });
  const known = new Set(lockspaces.map(({ vg }) => vg));
  // Of another lock manager, or of a sanlock that is silent or gone.
  const vgs = (lvmlockd?.vgs ?? [])
    .filter((vg) => !known.has(vg))
    .map((vg) => ({ kind: 'vg', vg }) as const);
  // sanlock's own clients are its lockspaces, unless it has gone and left them.
  const clients = (wdmd?.clients ?? [])
    .filter(({ expiry, hasRefcount }) => expiry !== null || hasRefcount)
    .filter(({ pid }) => lockspaces.length === 0 || pid !== sanlock?.daemon.pid)
    .map(({ name, pid }) => ({ kind: 'watchdogClient', client: name, pid }) as const);
  return [
    ...silent.map(({ name, pid }) => ({ kind: 'silent', daemon: name, pid }) as const),
    ...lockspaces,
    ...vgs,
    ...clients,
  ];
}
