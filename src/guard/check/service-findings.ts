import { unreachable } from '../../base/assert.ts';
import { caution, type Finding, problem } from '../../base/finding.ts';
import type { GuardReport } from '../report.ts';
import { reportFindings } from './report-findings.ts';

/** A configuration file, and when it was changed last, by the wall clock. */
export interface ChangedFile {
  readonly path: string;
  /** null: it is not there. */
  readonly changedMs: number | null;
}

/** A program that reads configuration files when it starts. */
export interface Started {
  readonly name: string;
  /** Wall time; null: not known, or it does not run. */
  readonly startedMs: number | null;
  readonly reads: readonly ChangedFile[];
}

/** What the guard service says; why it says nothing, in a sentence. */
export type ServiceAnswer =
  | { readonly kind: 'report'; readonly report: GuardReport }
  | { readonly kind: 'absent' }
  | { readonly kind: 'silent'; readonly text: string };

/** @param hasHook libvirt asks the guard: where it does not answer, no guest starts */
export function serviceFindings(answer: ServiceAnswer, hasHook: boolean): readonly Finding[] {
  switch (answer.kind) {
    case 'report':
      return reportFindings(answer.report);
    case 'absent': {
      const effect = hasHook ? 'libvirt starts no guest' : 'no guest is guarded';
      const cure =
        'systemctl enable --now holdfast-guard; journalctl -u holdfast-guard says why not';
      return [problem('serviceAbsent', `the guard service does not run: ${effect}`, cure)];
    }
    case 'silent': {
      const cure = 'systemctl restart holdfast-guard: guests and their leases are left alone';
      return [problem('serviceSilent', `the guard service does not answer: ${answer.text}`, cure)];
    }
    default:
      return unreachable(answer);
  }
}

const CLOCKS_DIFFER_MS = 2000;

/**
 * Programs that have not read what stands in their files now. The guard and the plugin would take
 * the lease of one disk, or both leave it, where one of them does not know of the other.
 */
export function outdatedFindings(programs: readonly Started[]): readonly Finding[] {
  return programs.flatMap(({ name, startedMs, reads }) => {
    if (startedMs === null) return [];
    const later = reads.filter(
      ({ changedMs }) => changedMs !== null && changedMs > startedMs + CLOCKS_DIFFER_MS,
    );
    if (later.length === 0) return [];
    const files = later.map(({ path }) => path).join(' and ');
    const found = `${files} changed since ${name} was started, which goes by what stood there before`;
    return [caution('confNotRead', found, `systemctl restart ${name}`)];
  });
}

/** A guest that runs, and its disks by their path as libvirt has it. */
export interface PathsOfGuest {
  readonly uuid: string;
  readonly paths: ReadonlySet<string>;
}

/** Leases of libvirt's plugin that the guard has: the plugin is refused them (−17). */
export function bothTakeFindings(
  report: GuardReport,
  guests: readonly PathsOfGuest[],
  usesPlugin: boolean,
): readonly Finding[] {
  if (!usesPlugin) return [];
  return report.guests.flatMap(({ uuid, name, leases }) => {
    const paths = guests.find((guest) => guest.uuid === uuid)?.paths;
    const both = leases.filter(({ key, held }) => held !== null && paths?.has(key) === true);
    return both.map(({ target, key }) => {
      const found =
        `the guard has the lease of disk ${target} of guest ${name} (${key}), which libvirt's plugin ` +
        'takes as well: the guest cannot be resumed or migrated while it does';
      const cure = 'systemctl restart holdfast-guard, then stop the guest and start it again';
      return problem('bothTake', found, cure);
    });
  });
}
