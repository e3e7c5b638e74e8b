import type {
  DaemonName,
  LeaseFacts,
  LvmlockdFacts,
  SanlockFacts,
  WdmdFacts,
} from './host-facts.ts';

/** What the successor of a daemon has of what its predecessor had, and what it has not. */
export interface Carried {
  readonly kept: readonly Kept[];
  readonly missing: readonly Missing[];
}

export type Kept =
  | {
      readonly kind: 'lockspace';
      readonly lockspace: string;
      readonly leases: number;
      readonly holders: number;
    }
  | { readonly kind: 'vgs'; readonly vgs: number; readonly locks: number }
  | { readonly kind: 'expiries'; readonly clients: number };

export type Missing =
  | { readonly kind: 'silent'; readonly daemon: DaemonName }
  | { readonly kind: 'lockspace'; readonly lockspace: string }
  /** As a new membership: what was held by the one before is lost. */
  | { readonly kind: 'joinedAnew'; readonly lockspace: string; readonly generation: string }
  | { readonly kind: 'lease'; readonly lockspace: string; readonly lease: string }
  | { readonly kind: 'vg'; readonly vg: string }
  /** `LV ex UUID` */
  | { readonly kind: 'lock'; readonly lock: string }
  | { readonly kind: 'client'; readonly client: string };

const key = ({ lockspace, name }: LeaseFacts): string => `${lockspace}:${name}`;

export function carriedBySanlock(before: SanlockFacts, after: SanlockFacts): Carried {
  const kept: Kept[] = [];
  const missing: Missing[] = [];
  const held = new Set(after.leases.filter(({ isHeld }) => isHeld).map(key));
  for (const { name: lockspace, generation } of before.lockspaces) {
    const now = after.lockspaces.find((space) => space.name === lockspace);
    if (now === undefined || now.phase !== 'joined') {
      missing.push({ kind: 'lockspace', lockspace });
    } else if (now.generation !== generation) {
      missing.push({ kind: 'joinedAnew', lockspace, generation: now.generation });
    } else {
      const here = before.leases.filter((lease) => lease.lockspace === lockspace);
      const going = here.filter((lease) => held.has(key(lease)));
      const holders = new Set(going.flatMap(({ holderPid }) => holderPid ?? []));
      const leases = new Set(going.map(key));
      kept.push({ kind: 'lockspace', lockspace, leases: leases.size, holders: holders.size });
    }
  }
  const gone = new Map(
    before.leases.filter((lease) => !held.has(key(lease))).map((lease) => [key(lease), lease]),
  );
  for (const { lockspace, name } of gone.values()) {
    missing.push({ kind: 'lease', lockspace, lease: name });
  }
  return { kept, missing };
}

export function carriedByLvmlockd(before: LvmlockdFacts, after: LvmlockdFacts): Carried {
  const vgs = before.vgs.filter((vg) => after.vgs.includes(vg));
  const locks = before.locks.filter((lock) => after.locks.includes(lock));
  const goneVgs = before.vgs.filter((vg) => !vgs.includes(vg));
  const goneLocks = before.locks.filter((lock) => !locks.includes(lock));
  return {
    kept: [{ kind: 'vgs', vgs: vgs.length, locks: locks.length }],
    missing: [
      ...goneVgs.map((vg): Missing => ({ kind: 'vg', vg })),
      ...goneLocks.map((lock): Missing => ({ kind: 'lock', lock })),
    ],
  };
}

export function carriedByWdmd(before: WdmdFacts, after: WdmdFacts): Carried {
  const back = new Set(
    after.clients
      .filter(({ isDead, expiry }) => !isDead && expiry !== null)
      .map(({ name }) => name),
  );
  const duties = before.clients.filter(({ expiry }) => expiry !== null).map(({ name }) => name);
  const absent = duties.filter((name) => !back.has(name));
  return {
    kept: [{ kind: 'expiries', clients: duties.length - absent.length }],
    missing: absent.map((client) => ({ kind: 'client', client })),
  };
}
