import type { Seen } from '../lease-steps.ts';
import type { GuardEvent } from '../state.ts';
import { GuardHarness, guestXml, leaseOf, statusXml } from './guard-harness.ts';

/** A guest with one disk, its domain XML, and what is known of it. */

export const WEB = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';
export const XML = guestXml('web', WEB);
export const HOUR_MS = 3_600_000;

/** A guard with this guest, which runs. */
export function running(
  policies: ConstructorParameters<typeof GuardHarness>[0] = {},
): GuardHarness {
  const guard = new GuardHarness(policies);
  guard.call('start', XML);
  guard.status('web', statusXml(XML));
  if (guard.held(WEB) !== 'exclusive') throw new Error('it has no lease');
  return guard;
}

type Found = Extract<GuardEvent, { kind: 'found' }>['guests'][number];

/** What an earlier guard wrote down: it runs, and its keeper has its lease. */
export function recorded(of: Partial<Found> = {}): Found {
  const known = { uuid: WEB, name: 'web', onLoss: 'kill', qemuPid: 100 } as const;
  const holdings = new Map([[leaseOf('web').name, 'exclusive']] as const);
  return {
    ...{ ...known, leases: [leaseOf('web')], holdings, orphans: new Map() },
    ...{ unprotected: new Set<string>(), keeperLives: true, qemuHasEnded: false },
    ...of,
  };
}

/** What sanlock says of a lockspace that is joined. */
export function seenAs(held: Seen['held'], orphans: Seen['orphans'], isRegistered = true): Seen {
  return { held, orphans, byOthers: new Map(), isRegistered, isGone: false };
}
