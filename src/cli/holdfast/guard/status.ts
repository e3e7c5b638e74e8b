import { type Finding, needsAttention } from '../../../base/finding.ts';
import { plainJson } from '../../../base/plain-text.ts';
import type { GuardEndpoint } from '../../../client/guard.ts';
import { reportFindings } from '../../../guard/check/report-findings.ts';
import type { GuardReport, GuestReport, LeaseReport } from '../../../guard/report.ts';
import { readWords } from '../../frame/words.ts';
import { STATUS_PAGE } from './pages.ts';
import { seeService } from './service-seen.ts';
import { findingsText, table } from './texts.ts';

const START_IT = 'start it with "systemctl start holdfast-guard"';

export interface StatusWorld {
  readonly endpoint: GuardEndpoint;
  readonly print: (text: string) => void;
  readonly complain: (sentence: string) => void;
}

/** @returns the exit status: 0 all is well, 1 something needs attention, 2 there is no answer */
export async function guardStatus(args: readonly string[], world: StatusWorld): Promise<number> {
  const words = readWords(STATUS_PAGE, args);
  if (!words.ok) {
    world.complain(words.error);
    return 2;
  }
  const { answer } = await seeService(world.endpoint);
  if (answer.kind !== 'report') {
    const isAbsent = answer.kind === 'absent';
    world.complain(isAbsent ? `the guard service does not run: ${START_IT}` : answer.text);
    return 2;
  }
  const { report } = answer;
  const findings = reportFindings(report);
  world.print(
    words.value.has('json') ? statusJson(report, findings) : statusText(report, findings),
  );
  return needsAttention(findings) ? 1 : 0;
}

function statusJson(report: GuardReport, findings: readonly Finding[]): string {
  const { schema } = STATUS_PAGE;
  return `${plainJson({ schema, ...report, findings })}\n`;
}

export function statusText(report: GuardReport, findings: readonly Finding[]): string {
  const { hostId, leaseDir, lockspaceCode, guests } = report;
  const member = lockspaceCode === 0 ? 'joined' : 'not joined';
  const head = `host id ${hostId}, lockspace in ${leaseDir}: ${member}\n`;
  const sorted = [...guests].sort((a, b) => (a.name < b.name ? -1 : 1));
  const rows = sorted.flatMap(rowsOf);
  const body = rows.length === 0 ? 'no guests\n' : table([HEADINGS, ...rows]);
  const more = findings.length === 0 ? '' : `\n${findingsText(findings)}`;
  return `${head}\n${body}${more}`;
}

const HEADINGS = ['GUEST', 'STATE', 'QEMU', 'KEEPER', 'DISK', 'MODE', 'HELD', 'LEASE', 'DISK IS'];

function rowsOf(guest: GuestReport): readonly (readonly string[])[] {
  const { name, qemuPid, keeperPid, leases } = guest;
  const own = [name, stateOf(guest), pid(qemuPid), pid(keeperPid)];
  if (leases.length === 0) return [[...own, '-', '-', '-', '-', 'no disk that needs a lease']];
  return leases.map((lease, index) => [...(index === 0 ? own : ['', '', '', '']), ...cells(lease)]);
}

function cells({ target, mode, held, name, key }: LeaseReport): readonly string[] {
  return [target, mode, held ?? 'no', name, key];
}

function stateOf({ isRunning, migration, waitsFor }: GuestReport): string {
  if (waitsFor !== null) return `waits (${waitsFor})`;
  if (migration !== null) return migration === 'out' ? 'migrates out' : 'migrates in';
  if (isRunning === null) return 'starting';
  return isRunning ? 'running' : 'paused';
}

function pid(value: number | null): string {
  return value === null ? '-' : `${value}`;
}
