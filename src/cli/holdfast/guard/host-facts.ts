import { existsSync, statSync } from 'node:fs';
import type { CronJob } from '../../../guard/check/cleanup-findings.ts';
import { type Confined, profileFile } from '../../../guard/check/confinement-findings.ts';
import type { HookFacts } from '../../../guard/check/hook-findings.ts';
import type {
  DaemonUser,
  LeaseDirFacts,
  PathSeen,
} from '../../../guard/check/lease-dir-findings.ts';
import { fstabEntryOf, mountOf, parseFstab, parseMountInfo } from '../../../guard/check/mounts.ts';
import type { PathsOfGuest, Started } from '../../../guard/check/service-findings.ts';
import { type ConfFiles, readGuardConfig } from '../../../guard/config.ts';
import type { GuardReport } from '../../../guard/report.ts';
import { parseStatusFile } from '../../../guard/status-file.ts';
import { nameOfUser } from '../../../platform/accounts.ts';
import { appArmorOf, fileRightsOf } from '../../../platform/confinement.ts';
import type { RunningLibvirt } from '../../../platform/libvirt-daemons.ts';
import type { PathProbe, Probed } from '../../../platform/path-probe.ts';
import { textOf } from '../../../platform/text-file.ts';
import { seeFile } from '../../../platform/whole-file.ts';
import { mountTexts } from '../../guard/lease-mount.ts';
import { GUEST_LOCKSPACE } from '../../guard/paths.ts';
import { hookHere, PLACES } from './places.ts';
import { wasTold } from './told-libvirt.ts';

export function hookFacts(beside: string, daemons: readonly RunningLibvirt[]): HookFacts {
  const wanted = hookHere(beside);
  return {
    ...{ path: PLACES.hook, hook: seeFile(PLACES.hook), wanted: wanted.ok ? wanted.value : null },
    changedMs: changedMs(PLACES.hook),
    daemons: daemons.map((daemon) => ({ ...daemon, wasTold: wasTold(daemon) })),
  };
}

/** @param daemonPid of sanlock; null: it does not run */
export async function leaseDirFacts(
  probe: PathProbe,
  files: ConfFiles,
  daemonPid: number | null,
): Promise<LeaseDirFacts | null> {
  const config = readGuardConfig(files);
  if (!config.ok) return null;
  const { leaseDir: path, user, group } = config.value;
  const dir = seenAs(await probe.stat(path), (stats) => stats.isDirectory());
  const isThere = dir.kind === 'there';
  const { fstab, mountInfo } = mountTexts();
  const file = isThere ? await probe.stat(`${path}/${GUEST_LOCKSPACE}`) : NOTHING;
  return {
    ...{ path, dir, user, group },
    lockspaceFile: seenAs(file, (stats) => stats.isFile()),
    mount: mountOf(path, parseMountInfo(mountInfo)),
    fstab: fstabEntryOf(path, parseFstab(fstab)),
    daemon: daemonPid === null ? null : daemonUser(daemonPid),
    isWritable: isThere ? await probe.mayWrite(path) : null,
  };
}

const NOTHING: Probed<never> = { kind: 'failed', errno: 'ENOENT' };
const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR']);

type Stats = { isDirectory(): boolean; isFile(): boolean; mode: number; uid: number; gid: number };

function seenAs(answer: Probed<Stats>, isRight: (stats: Stats) => boolean): PathSeen {
  if (answer.kind === 'silent') return { kind: 'silent' };
  if (answer.kind === 'failed') return { kind: ABSENT.has(answer.errno) ? 'absent' : 'denied' };
  const { mode, uid, gid } = answer.value;
  return isRight(answer.value)
    ? { kind: 'there', permissions: { mode, uid, gid } }
    : { kind: 'odd' };
}

function daemonUser(pid: number): DaemonUser | null {
  const rights = fileRightsOf(pid);
  if (rights === null) return null;
  return { ...rights, name: nameOfUser(rights.uid) ?? `uid ${rights.uid}` };
}

/** When each was started that reads files of the configuration. @param guardMs wall time */
export function startedPrograms(
  daemons: readonly RunningLibvirt[],
  guardMs: number | null,
): readonly Started[] {
  const file = (path: string) => ({ path, changedMs: changedMs(path) });
  const ofLibvirt = [file(PLACES.qemu), file(PLACES.plugin)];
  return [
    ...daemons.map(({ program: name, startedMs }) => ({ name, startedMs, reads: ofLibvirt })),
    { name: 'holdfast-guard', startedMs: guardMs, reads: [...ofLibvirt, file(PLACES.own)] },
  ];
}

/** Of the guests that the guard knows, by libvirt's own notes. */
export function pathsOfGuests({ guests }: GuardReport): readonly PathsOfGuest[] {
  return guests.flatMap(({ uuid, name }) => {
    if (name.includes('/')) return [];
    const text = textOf(`${PLACES.running}/${name}.xml`);
    const status = text === null ? null : parseStatusFile(text);
    if (status === null || !status.ok) return [];
    const { disks } = status.value.guest;
    return [{ uuid, paths: new Set(disks.flatMap(({ source }) => pathIn(source))) }];
  });
}

function pathIn(source: object): readonly string[] {
  return 'path' in source && typeof source.path === 'string' ? [source.path] : [];
}

export function confinedPrograms(daemons: readonly RunningLibvirt[]): readonly Confined[] {
  return daemons.flatMap(({ program, pid }) => {
    const confined = appArmorOf(pid);
    if (confined === null) return [];
    const file = profileFile(confined.profile);
    const texts = [`/etc/apparmor.d/${file}`, `/etc/apparmor.d/local/${file}`].map(textOf);
    const text = texts[0] === null ? null : texts.join('\n');
    return [{ program, ...confined, text }];
  });
}

/** As Debian 12 and 13 call them. */
const CRON_JOBS = [
  '/etc/cron.weekly/libvirt-sanlock',
  '/etc/cron.weekly/libvirt-daemon-plugin-sanlock',
];

export function cronJobs(): readonly CronJob[] {
  return CRON_JOBS.filter(existsSync).map((path) => ({ path, text: textOf(path) ?? '' }));
}

function changedMs(path: string): number | null {
  try {
    return Math.max(statSync(path).ctimeMs, statSync(path).mtimeMs);
  } catch {
    return null;
  }
}
