import type { Finding } from '../../base/finding.ts';
import { configFindings } from './config-findings.ts';
import { daemonFindings } from './daemon-findings.ts';
import { type Diagnosis, manual } from './diagnosis.ts';
import type { DoctorFacts } from './facts.ts';
import { hostIdFindings } from './host-id-findings.ts';
import { lockspaceFindings } from './lockspace-findings.ts';
import { lvFindings } from './lv-findings.ts';
import { storageFindings } from './storage-findings.ts';
import { unitFindings } from './unit-findings.ts';
import { vgFindings } from './vg-findings.ts';
import { watchdogFindings } from './watchdog-findings.ts';

/** What is wrong with a host, or may go wrong: problems first, and in each weight the deepest. */
export function doctorFindings(facts: DoctorFacts): readonly Diagnosis[] {
  const all = [
    ...configFindings(facts),
    ...hostIdFindings(facts),
    ...watchdogFindings(facts),
    ...daemonFindings(facts),
    ...unitFindings(facts),
    ...storageFindings(facts),
    ...lockspaceFindings(facts),
    ...vgFindings(facts),
    ...lvFindings(facts),
    ...facts.guests.map(ofGuests),
  ];
  const told = all.filter((one) => !isConsequence(one, all, facts));
  return (['problem', 'caution', 'note'] as const).flatMap((weight) =>
    told.filter((one) => one.weight === weight),
  );
}

/** Why a VG is not started is told; that it is not, and to try it, says nothing more. */
function isConsequence(
  { kind, about }: Diagnosis,
  all: readonly Diagnosis[],
  { snapshot }: DoctorFacts,
): boolean {
  if (kind !== 'vgNotStarted') return false;
  const lockspace = snapshot.vgs.find(({ name }) => name === about)?.lockspace ?? '';
  return all.some((one) => KEEP_FROM_START.has(one.kind) && [about, lockspace].includes(one.about));
}

const KEEP_FROM_START: ReadonlySet<string> = new Set([
  ...['hostIdInUse', 'hostIdUsedBefore', 'hostIdOutOfRange'],
  ...['leaseNotPermitted', 'leaseDeviceHung', 'leaseUnreadable', 'lockspaceMoving'],
]);

function ofGuests({ kind, weight, found, cure }: Finding): Diagnosis {
  return {
    kind: `guest.${kind}`,
    weight,
    about: 'guests',
    found,
    evidence: [],
    cause: '',
    plan: [manual(cure, null, 'it concerns guests: holdfast guard explains it')],
  };
}
