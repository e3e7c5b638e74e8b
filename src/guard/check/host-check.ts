import { type Finding, note, problem } from '../../base/finding.ts';
import type { ConfFiles, GuardConfig } from '../config.ts';
import { type CronJob, cleanupFindings } from './cleanup-findings.ts';
import { confFindings } from './conf-findings.ts';
import { type ConfinementFacts, confinementFindings } from './confinement-findings.ts';
import { type HookFacts, hookFindings } from './hook-findings.ts';
import { type LeaseDirFacts, leaseDirFindings } from './lease-dir-findings.ts';
import { nfsFindings } from './nfs-findings.ts';
import { type SanlockFacts, sanlockFindings } from './sanlock-findings.ts';
import {
  bothTakeFindings,
  outdatedFindings,
  type PathsOfGuest,
  type ServiceAnswer,
  type Started,
  serviceFindings,
} from './service-findings.ts';

/** All that is looked at on a host. */
export interface HostSeen {
  readonly files: ConfFiles;
  /** null: it cannot be read, which `files` say. */
  readonly config: GuardConfig | null;
  /** Why user and group of the configuration are not known here; null: they are, or none is set. */
  readonly unknownAccount: string | null;
  readonly hook: HookFacts;
  readonly service: ServiceAnswer;
  readonly programs: readonly Started[];
  readonly guests: readonly PathsOfGuest[];
  readonly sanlock: SanlockFacts | null;
  readonly leaseDir: LeaseDirFacts | null;
  readonly confinement: ConfinementFacts;
  readonly cronJobs: readonly CronJob[];
  /** Of the settings that name the leases: hosts with the same ones have the same. */
  readonly namingDigest: string;
}

/** What is wrong with a host, or may go wrong; the most fundamental first. */
export function hostFindings(seen: HostSeen): readonly Finding[] {
  const { files, config, hook, service, leaseDir, sanlock } = seen;
  const usesPlugin = config?.naming.isBesidePlugin ?? false;
  const both =
    service.kind === 'report' ? bothTakeFindings(service.report, seen.guests, usesPlugin) : [];
  return [
    ...confFindings(files),
    ...(seen.unknownAccount === null ? [] : [accountUnknown(seen.unknownAccount)]),
    ...(leaseDir === null ? [] : leaseDirFindings(leaseDir)),
    ...(leaseDir === null ? [] : nfsFindings(leaseDir.mount, leaseDir.fstab, leaseDir.path)),
    ...(sanlock === null ? [] : sanlockFindings(sanlock)),
    ...hookFindings(hook),
    ...serviceFindings(service, hook.hook.kind === 'file'),
    ...both,
    ...outdatedFindings(seen.programs),
    ...confinementFindings(seen.confinement),
    ...cleanupFindings(seen.cronJobs),
    ...(config === null ? [] : [sameOnAllHosts(config, seen.namingDigest)]),
  ];
}

function accountUnknown(reason: string): Finding {
  const cure = 'set user and group to those that sanlock runs as, or make them on this host';
  return problem('accountUnknown', `the guard cannot start: ${reason}`, cure);
}

/** What cannot be seen from one host. */
function sameOnAllHosts({ naming, leaseDir }: GuardConfig, digest: string): Finding {
  const { network, clusters, readonlyIsShared } = naming;
  const found =
    `hosts exclude each other only with the same network_names (${network === 'uri' ? 'uri' : 'source-name'}), ` +
    `clusters (${clusters.size}) and readonly_disks (${readonlyIsShared ? 'shared' : 'none'}), and ` +
    `the same files in ${leaseDir}; the digest of these settings is ${digest}`;
  return note('sameOnAllHosts', found, 'compare the digest with that of the other hosts');
}
