import { fail, ok, type Result } from '../../base/result.ts';
import {
  type HostReadiness,
  leftover,
  preflight,
  type TargetType,
  type VgFacts,
} from './preflight.ts';

/**
 * How a VG becomes a shared one, or a local one again: steps from what it is now. Each step leaves
 * a state that the plan begins from as well, so the command is run again after an interruption.
 */
export type ConvertStep =
  /** Of clvmd: the flag goes, and lvm shows the VG. It is not locked by anything from then on. */
  | { readonly kind: 'clearClustered' }
  /** Where the leases are given up already: no host can have it. */
  | { readonly kind: 'forceLocal' }
  /** With what lvm shows now: the plan goes on only if nothing is in its way. */
  | { readonly kind: 'checkAgain' }
  /** Of a conversion that was interrupted. */
  | { readonly kind: 'removeLeftover' }
  /** `skipsGlobalLock`: there is no shared VG yet that could carry it. */
  | { readonly kind: 'makeShared'; readonly skipsGlobalLock: boolean }
  | { readonly kind: 'start' }
  /** The only shared VG carries it; one that was made twice may have it disabled. */
  | { readonly kind: 'haveGlobalLock' }
  | { readonly kind: 'makeLocal' };

export interface ConvertPlan {
  readonly steps: readonly ConvertStep[];
  readonly notes: readonly string[];
}

/**
 * @param isInactiveElsewhere the administrator says so of LVs of a VG that nothing locks yet
 * @returns why it is not converted: sentences without their full stops
 */
export function convertPlan(
  vg: VgFacts,
  host: HostReadiness,
  of: { readonly to: TargetType; readonly isInactiveElsewhere: boolean },
): Result<ConvertPlan, readonly string[]> {
  const { to } = of;
  const isLocal = vg.kind === 'local' && leftover(vg) === null;
  const isDone = to === 'none' ? isLocal : isStartedSanlock(vg, host);
  if (isDone) return ok({ steps: [], notes: [] });
  const problems = preflight(vg, host, to).filter(({ weight }) => weight === 'problem');
  // Made by an earlier run, it is only to be started; not beside what is active here unlocked.
  const counts = host.isStarted ? isOfHost : isOfStart;
  const counted = isShared(vg) && to === 'sanlock' ? problems.filter(counts) : problems;
  const refusals = counted.map(({ found, cure }) => `${found}: ${cure}`);
  // A clustered one is made local by force, whoever uses it.
  const isUnlocked = vg.kind === 'clustered' || (to === 'sanlock' && vg.kind !== 'shared');
  if (isUnlocked && !of.isInactiveElsewhere) {
    refusals.push(
      `whether LVs of VG ${vg.name} are active on other hosts cannot be seen from here, and two hosts ` +
        'would write them: see holdfast preflight, and then say --inactive-elsewhere',
    );
  }
  if (refusals.length > 0) return fail(refusals);
  return ok(to === 'none' ? toLocal(vg, host) : toShared(vg, host));
}

function isShared({ kind, lockType }: VgFacts): boolean {
  return kind === 'shared' && lockType === 'sanlock';
}

function isStartedSanlock(vg: VgFacts, host: HostReadiness): boolean {
  return isShared(vg) && host.isStarted && !lacksGlobalLock(host);
}

function lacksGlobalLock({ otherVgs, hasGlobalLock }: HostReadiness): boolean {
  return otherVgs.length === 0 && hasGlobalLock === false;
}

function isOfHost({ kind }: { readonly kind: string }): boolean {
  return kind === 'hostNotReady';
}

function isOfStart(finding: { readonly kind: string }): boolean {
  return isOfHost(finding) || finding.kind === 'lvActive';
}

const FORCED: readonly ConvertStep[] = [{ kind: 'forceLocal' }, { kind: 'removeLeftover' }];

function beforeShared(vg: VgFacts): readonly ConvertStep[] {
  if (vg.kind === 'clustered') return [{ kind: 'clearClustered' }, { kind: 'checkAgain' }];
  if (vg.isLockspaceFreed) return FORCED;
  return leftover(vg) === null ? [] : [{ kind: 'removeLeftover' }];
}

function toShared(vg: VgFacts, host: HostReadiness): ConvertPlan {
  const { name } = vg;
  const make = { kind: 'makeShared', skipsGlobalLock: host.otherVgs.length === 0 } as const;
  const before = isShared(vg) && !vg.isLockspaceFreed ? [] : [...beforeShared(vg), make];
  const notes = [`on each other host, then: holdfast join (or vgchange --lock-start ${name})`];
  if (vg.kind === 'clustered') {
    notes.push(
      `between the first step and the third nothing locks VG ${name}: activate nothing of it anywhere`,
    );
  }
  const start: readonly ConvertStep[] = host.isStarted ? [] : [{ kind: 'start' }];
  const isFirst = host.otherVgs.length === 0 && (before.length > 0 || lacksGlobalLock(host));
  const globalLock: readonly ConvertStep[] = isFirst ? [{ kind: 'haveGlobalLock' }] : [];
  return { steps: [...before, ...start, ...globalLock], notes };
}

function toLocal(vg: VgFacts, host: HostReadiness): ConvertPlan {
  const { name } = vg;
  if (vg.kind === 'clustered') return { steps: [{ kind: 'clearClustered' }], notes: [] };
  if (vg.kind === 'local') return { steps: [{ kind: 'removeLeftover' }], notes: [] };
  if (vg.isLockspaceFreed) return { steps: FORCED, notes: [] };
  const start: readonly ConvertStep[] = host.isStarted ? [] : [{ kind: 'start' }];
  const notes = [`then nothing keeps two hosts from using VG ${name} at once`];
  const globalLock: readonly ConvertStep[] = lacksGlobalLock(host)
    ? [{ kind: 'haveGlobalLock' }]
    : [];
  return { steps: [...start, ...globalLock, { kind: 'makeLocal' }], notes };
}
