import { createHash } from 'node:crypto';
import { sanlockSocketPath } from '../../../client/sanlock.ts';
import type { SanlockEndpoint } from '../../../client/sanlock-link.ts';
import type { HostSeen } from '../../../guard/check/host-check.ts';
import type { LeaseDirFacts } from '../../../guard/check/lease-dir-findings.ts';
import type { SanlockFacts, SanlockSeen } from '../../../guard/check/sanlock-findings.ts';
import type { ServiceAnswer } from '../../../guard/check/service-findings.ts';
import { type GuardConfig, readGuardConfig } from '../../../guard/config.ts';
import { accountIds } from '../../../platform/accounts.ts';
import type { MonotonicClock } from '../../../platform/clock.ts';
import { seLinuxBooleans } from '../../../platform/confinement.ts';
import { daemonSockets } from '../../../platform/daemon-sockets.ts';
import { findLibvirtDaemons, type RunningLibvirt } from '../../../platform/libvirt-daemons.ts';
import type { PathProbe } from '../../../platform/path-probe.ts';
import { guardConfFiles } from '../../guard/conf-files.ts';
import { GUEST_LOCKSPACE } from '../../guard/paths.ts';
import { daemonPaths, findDaemon, REAL_PROCESSES } from '../../observe/daemons.ts';
import {
  confinedPrograms,
  cronJobs,
  hookFacts,
  leaseDirFacts,
  pathsOfGuests,
  startedPrograms,
} from './host-facts.ts';
import { seeHostLease, seeSanlock } from './lockspace-facts.ts';
import { seeService } from './service-seen.ts';

const DIGEST_DIGITS = 12;

/** By what a host is looked at. */
export interface SeeingWorld {
  /** The folder of this program. */
  readonly beside: string;
  readonly probe: PathProbe;
  readonly clock: MonotonicClock;
  readonly progress: (text: string) => void;
}

export function sanlockEndpoint(clock: MonotonicClock): SanlockEndpoint {
  const socketPath = sanlockSocketPath(process.env['SANLOCK_RUN_DIR']);
  return { sockets: daemonSockets(), clock, socketPath };
}

/** All that is looked at; nothing is changed, and what hangs is waited for some seconds. */
export async function seeHost(world: SeeingWorld): Promise<HostSeen> {
  const { beside, clock, probe } = world;
  const files = guardConfFiles();
  const read = readGuardConfig(files);
  const config = read.ok ? read.value : null;
  const daemons = findLibvirtDaemons();
  const service = await seeService();
  const leaseDir = await leaseDirFacts(probe, files, await sanlockPid(clock));
  const sanlock = await seeSanlock(sanlockEndpoint(clock));
  const { answer } = service;
  const accounts = config === null ? null : accountIds(config);
  return {
    unknownAccount: accounts === null || accounts.ok ? null : accounts.error,
    ...{ files, config, leaseDir, service: answer, hook: hookFacts(beside, daemons) },
    programs: startedPrograms(daemons, service.startedMs),
    guests: answer.kind === 'report' ? pathsOfGuests(answer.report) : [],
    sanlock: await sanlockFactsOf(world, { config, leaseDir, sanlock, answer }),
    confinement: confinement(daemons, config, leaseDir),
    ...{ cronJobs: cronJobs(), namingDigest: config === null ? '' : digestOf(config) },
  };
}

async function sanlockPid(clock: MonotonicClock): Promise<number | null> {
  const paths = daemonPaths(process.env);
  const ports = { sockets: daemonSockets(), clock, paths, processes: REAL_PROCESSES };
  const daemon = await findDaemon(ports, 'sanlock');
  return daemon === null || daemon.pid === 0 ? null : daemon.pid;
}

async function sanlockFactsOf(
  world: SeeingWorld,
  of: {
    readonly config: GuardConfig | null;
    readonly leaseDir: LeaseDirFacts | null;
    readonly sanlock: SanlockSeen;
    readonly answer: ServiceAnswer;
  },
): Promise<SanlockFacts | null> {
  const { config, leaseDir, sanlock, answer } = of;
  if (config === null) return null;
  const { hostId, naming } = config;
  const path = `${config.leaseDir}/${GUEST_LOCKSPACE}`;
  const isAbsent = sanlock.kind === 'answers' && sanlock.lockspace === null;
  const isReadable = leaseDir?.lockspaceFile.kind === 'there' && !world.probe.hangs;
  const { clock, probe, progress } = world;
  const sleep = (forMs: number) => new Promise<void>((resolve) => clock.after(forMs, resolve));
  const hostLease =
    isAbsent && isReadable
      ? await seeHostLease({ probe, progress, sleep }, { path, hostId, ownName: sanlock.hostName })
      : null;
  return {
    ...{ sanlock, hostId, lockspacePath: path, usesPlugin: naming.isBesidePlugin },
    ...{ guardAnswers: answer.kind === 'report', hostLease },
  };
}

function confinement(
  daemons: readonly RunningLibvirt[],
  config: GuardConfig | null,
  leaseDir: LeaseDirFacts | null,
): HostSeen['confinement'] {
  const usesPlugin = config?.naming.isBesidePlugin ?? false;
  const fsType = leaseDir?.mount?.fsType ?? null;
  return { appArmor: confinedPrograms(daemons), seLinux: seLinuxBooleans(), usesPlugin, fsType };
}

/** Equal on hosts that name leases alike. */
function digestOf({ naming }: GuardConfig): string {
  const { network, clusters, readonlyIsShared } = naming;
  const text = JSON.stringify([network, [...clusters].sort(), readonlyIsShared]);
  return createHash('sha256').update(text).digest('hex').slice(0, DIGEST_DIGITS);
}
