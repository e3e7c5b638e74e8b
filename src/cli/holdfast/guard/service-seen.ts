import { askGuard, type GuardEndpoint } from '../../../client/guard.ts';
import type { ServiceAnswer } from '../../../guard/check/service-findings.ts';
import { readGuardReport } from '../../../guard/read-report.ts';
import { startedMs } from '../../../platform/libvirt-daemons.ts';
import { guardEndpoint } from './places.ts';

const ANSWER_MS = 10_000;

/** The guard service, and what it says. */
export interface ServiceSeen {
  readonly answer: ServiceAnswer;
  /** When it was started, by the wall clock; null: not known. */
  readonly startedMs: number | null;
}

/** Asks it; one that hangs is waited for some seconds. */
export async function seeService(endpoint: GuardEndpoint = guardEndpoint()): Promise<ServiceSeen> {
  const answer = await askGuard(endpoint, 'status', ANSWER_MS);
  if (!answer.ok) {
    const { kind, text } = answer.error;
    return { answer: kind === 'absent' ? { kind } : { kind, text }, startedMs: null };
  }
  const { line, pid } = answer.value;
  const report = readGuardReport(line);
  const text = report.ok ? '' : `${report.error}: is the guard service of another release?`;
  return {
    answer: report.ok ? { kind: 'report', report: report.value } : { kind: 'silent', text },
    startedMs: pid === null || pid <= 0 ? null : startedMs(pid),
  };
}
