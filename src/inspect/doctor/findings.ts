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
  return (['problem', 'caution', 'note'] as const).flatMap((weight) =>
    all.filter((one) => one.weight === weight),
  );
}

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
