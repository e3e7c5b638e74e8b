import type { LeaseFacts, LvmlockdFacts, SanlockFacts, WdmdFacts } from './facts.ts';

/** What the successor of a daemon has of what its predecessor had. */
export interface Carried {
  /** One line each, for the reader. */
  readonly lines: readonly string[];
  /** What it does not have; each one sentence. */
  readonly missing: readonly string[];
}

const key = ({ lockspace, name }: LeaseFacts): string => `${lockspace}:${name}`;

export function carriedBySanlock(before: SanlockFacts, after: SanlockFacts): Carried {
  const lines: string[] = [];
  const missing: string[] = [];
  const held = new Set(after.leases.filter(({ isHeld }) => isHeld).map(key));
  for (const { name, generation } of before.lockspaces) {
    const now = after.lockspaces.find((space) => space.name === name);
    if (now === undefined || now.phase !== 'joined') {
      missing.push(`lockspace ${name} is not joined any more`);
    } else if (now.generation !== generation) {
      missing.push(`lockspace ${name} was joined anew (generation ${now.generation})`);
    } else {
      const here = before.leases.filter(({ lockspace }) => lockspace === name);
      const kept = here.filter((lease) => held.has(key(lease)));
      const holders = new Set(kept.flatMap(({ holderPid }) => holderPid ?? []));
      const leases = new Set(kept.map(key)).size;
      lines.push(
        `lockspace ${name}: ${counted(leases, 'lease')} of ${counted(holders.size, 'holder')}`,
      );
    }
  }
  const gone = new Set(before.leases.filter((lease) => !held.has(key(lease))).map(key));
  for (const lease of gone) missing.push(`the lease ${lease} is not held any more`);
  return { lines, missing };
}

export function carriedByLvmlockd(before: LvmlockdFacts, after: LvmlockdFacts): Carried {
  const vgs = before.vgs.filter((vg) => after.vgs.includes(vg));
  const locks = before.locks.filter((lock) => after.locks.includes(lock));
  return {
    lines: [`${counted(vgs.length, 'VG')} with ${counted(locks.length, 'LV lock')}`],
    missing: [
      ...before.vgs
        .filter((vg) => !vgs.includes(vg))
        .map((vg) => `VG ${vg} is not started any more`),
      ...before.locks
        .filter((lock) => !locks.includes(lock))
        .map((lock) => `the lock ${lock} is gone`),
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
    lines: [expiriesText(duties.length - absent.length)],
    missing: absent.map((name) => `its client ${name} has not come back`),
  };
}

function expiriesText(count: number): string {
  return `the ${count === 1 ? 'expiry' : 'expiries'} of ${counted(count, 'client')}`;
}

function counted(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}
