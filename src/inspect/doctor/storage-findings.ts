import { unreachable } from '../../base/assert.ts';
import { shellWord } from '../../base/plain-text.ts';
import { SECOND_MS } from '../../base/units.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import { type Diagnosis, diagnosis, manual, type Step, safe } from './diagnosis.ts';
import type { DoctorFacts, LeaseArea, Multipath, PathAccess, Transport } from './facts.ts';
import { startVg } from './vg-findings.ts';

/** Whether the devices under the leases are there, answer in time, and may be used. */
export function storageFindings(facts: DoctorFacts): readonly Diagnosis[] {
  return [
    ...facts.areas.flatMap((area) => ofArea(facts, area)),
    ...hungProcesses(facts),
    ...fullFolders(facts),
    ...facts.multipaths.flatMap((map) => ofMultipath(map, failsAfterS(facts, map.lockspaces))),
    ...facts.transports.flatMap((path) => ofTransport(path, failsAfterS(facts, path.lockspaces))),
  ];
}

const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ENXIO', 'ENODEV']);

const STORAGE_WHY = 'the storage is not of this program';

function ofArea(facts: DoctorFacts, area: LeaseArea): readonly Diagnosis[] {
  const { lockspace, path, offsetBytes, joined, read, access } = area;
  const where = `${path}:${offsetBytes}`;
  if (read.kind === 'silent') {
    return [
      diagnosis('leaseDeviceHung', {
        about: lockspace,
        found: `${path} does not answer`,
        evidence: [`a read of ${where} has had no answer for ${read.waitedS} s`],
        plan: [
          manual('see to the storage: its paths, its target, its network', null, STORAGE_WHY),
          manual(
            'let it fail instead of hang: replacement_timeout, no_path_retry, fast_io_fail_tmo',
            null,
            'only failing I/O can be given up; until then no process that waits can end',
          ),
        ],
      }),
    ];
  }
  if (read.kind === 'failed') {
    const isGone = GONE.has(read.errno);
    if (isGone && joined === null) return []; // lvm makes it when the VG is started
    const evidence = [`reading ${where}: ${read.errno}`];
    return [isGone ? gone(facts, area, evidence) : unreadable(area, evidence)];
  }
  const hasSpace = read.space.maxHosts !== null;
  return !hasSpace || access === null || access.mayUse ? [] : [notPermitted(area, access)];
}

const OWNER_USES = 0o600;

/** Also where the lockspace is joined: a device or file is opened anew for each lease. */
function notPermitted(
  { lockspace, vg, path, offsetBytes }: LeaseArea,
  access: PathAccess,
): Diagnosis {
  const { uid, gid, mode, byUid, isRegularFile } = access;
  const isOwnersToUse = isRegularFile && (mode & OWNER_USES) === OWNER_USES && uid !== byUid;
  return diagnosis('leaseNotPermitted', {
    about: vg ?? lockspace,
    found: `sanlock may not use ${path}`,
    evidence: [
      `${path}: owner ${uid}, group ${gid}, mode ${(mode & 0o7777).toString(8)}`,
      `sanlock runs as user ${byUid}`,
    ],
    plan: [
      isOwnersToUse
        ? safe(`give ${path} to the user of sanlock`, {
            ...{ kind: 'setOwner', path, offsetBytes, uid: byUid, gid },
          })
        : permitting(path, access),
    ],
  });
}

function permitting(path: string, { isRegularFile, gid }: PathAccess): Step {
  return isRegularFile
    ? manual(
        'let the user of sanlock read and write it, and enter its folders',
        `namei -l ${shellWord(path)}`,
        'who else is to read it, only you can know',
      )
    : manual(
        'let the user of sanlock be in the group of the device, or let it run as root; then restart it',
        `usermod -a -G ${gid} sanlock && systemctl restart sanlock`,
        'who may use your devices is yours to say; udev sets the owner of a device anew',
      );
}

function gone(
  facts: DoctorFacts,
  { lockspace, vg, path }: LeaseArea,
  evidence: readonly string[],
): Diagnosis {
  const start: Step =
    vg === null
      ? manual('join the lockspace again', null, 'who joined it knows how')
      : startVg(facts, vg);
  return diagnosis('leaseDeviceGone', {
    about: lockspace,
    found: `${path}, where the leases of ${lockspace} are, is gone`,
    evidence,
    plan: [manual('bring the device back: rescan the paths', null, STORAGE_WHY), start],
  });
}

function unreadable({ lockspace, path }: LeaseArea, evidence: readonly string[]): Diagnosis {
  return diagnosis('leaseUnreadable', {
    about: lockspace,
    found: `${path} cannot be read`,
    evidence,
    plan: [manual('see to the storage; dmesg names the device', 'dmesg', STORAGE_WHY)],
  });
}

function hungProcesses({ processes }: DoctorFacts): readonly Diagnosis[] {
  return processes
    .filter(({ name, isUninterruptible }) => name === 'sanlock' && isUninterruptible)
    .map(({ pid, commandLine, waitsIn }) =>
      diagnosis('leaseProcessHung', {
        about: `pid ${pid}`,
        found: `a process of sanlock hangs in the kernel (pid ${pid})`,
        evidence: [
          `/proc/${pid}/stat: state D${waitsIn === null ? '' : `, in ${waitsIn}`}`,
          `pid ${pid}: ${commandLine}`,
        ],
        plan: [
          manual('see to the storage; its I/O has to end or to fail', null, STORAGE_WHY),
          manual(
            'leave the process alone',
            null,
            'kill -9 does not end it while it waits; the host id is joined again after its end',
          ),
        ],
      }),
    );
}

/** What the daemons write there is some kilobytes. */
const LEAST_BYTES = 64 * 1024;
const LEAST_FILES = 8;

function fullFolders({ folders }: DoctorFacts): readonly Diagnosis[] {
  return folders
    .filter(({ freeBytes, freeFiles }) => freeBytes < LEAST_BYTES || freeFiles < LEAST_FILES)
    .map(({ path, freeBytes, freeFiles }) =>
      diagnosis('runFolderFull', {
        about: path,
        found: `${path} is full`,
        evidence: [`${path}: ${freeBytes} bytes and ${freeFiles} files are free`],
        plan: [
          manual('see what fills it', `du -xh ${path} | sort -h | tail`, 'they are files of yours'),
          manual(
            'make it larger',
            'mount -o remount,size=SIZE /run',
            'how large it may be depends on the memory of this host',
          ),
        ],
      }),
    );
}

/** The shortest time in which one of these lockspaces is lost; 80 s where they are not joined. */
function failsAfterS({ snapshot }: DoctorFacts, lockspaces: readonly string[]): number {
  const joined = snapshot.lockspaces.filter(({ name }) => lockspaces.includes(name));
  const times = joined.map(({ ioTimeoutS }) => ioTimeoutS).filter((seconds) => seconds > 0);
  const ioTimeoutS = times.length === 0 ? DEFAULT_IO_TIMEOUT_S : Math.min(...times);
  return leaseTimes(ioTimeoutS).renewalFailMs / SECOND_MS;
}

const DEFAULT_IO_TIMEOUT_S = 10;

const QUEUE_WHY = 'guests on other LVs of the map may rely on queued I/O: they get errors instead';

function ofMultipath(map: Multipath, failS: number): readonly Diagnosis[] {
  const { name, lockspaces, queues, retry, paths } = map;
  const evidence = [
    `dmsetup table ${name}: ${queues ? 'queue_if_no_path' : 'no queue_if_no_path'}, ${paths} paths`,
    ...(retry === null ? [] : [`multipathd: queued I/O fails after ${retry} s`]),
    `leases on it: ${lockspaces.join(', ')}, lost after ${failS} s`,
  ];
  const retries = Math.max(1, Math.floor(failS / 2 / POLLING_S));
  const setting = manual(
    `set no_path_retry ${retries} (with polling_interval ${POLLING_S}) or "fail" in multipath.conf`,
    'multipathd reconfigure',
    QUEUE_WHY,
  );
  if (retry === 'never' || (retry === null && queues)) {
    return [
      diagnosis('pathsQueueForever', {
        about: name,
        found: `multipath ${name} queues I/O for ever when its last path is lost`,
        evidence,
        plan: [
          setting,
          manual('at once, until then', `dmsetup message ${name} 0 fail_if_no_path`, QUEUE_WHY),
        ],
      }),
    ];
  }
  if (retry === null || retry < failS) return [];
  return [
    diagnosis('pathRetryTooLong', {
      about: name,
      found: `multipath ${name} queues I/O for ${retry} s, and leases are lost after ${failS} s`,
      evidence,
      plan: [setting],
    }),
  ];
}

/** The usual one of multipathd. */
const POLLING_S = 5;

function ofTransport(path: Transport, failS: number): readonly Diagnosis[] {
  const { name, lockspaces, setting, failsAfterS: afterS } = path;
  if (afterS !== null && afterS < failS) return [];
  const wanted = Math.max(1, Math.floor(failS / 2));
  return [
    diagnosis('pathFailoverTooLong', {
      about: name,
      found: `${name} gives up a lost path ${afterS === null ? 'never' : `after ${afterS} s`}`,
      evidence: [
        `${setting}: ${afterS ?? 'off'}`,
        `leases on it: ${lockspaces.join(', ')}, lost after ${failS} s`,
      ],
      plan: [
        lasting(path, wanted),
        manual('at once, until then', `echo ${wanted} >${setting}`, FAILOVER_WHY),
      ],
    }),
  ];
}

const FAILOVER_WHY = 'a shorter time gives I/O errors where the network was only slow';

/** iscsid reads its file when a target is found, and never again for that target. */
function lasting(path: Transport, wantedS: number): Step {
  switch (path.kind) {
    case 'iscsi': {
      const name = 'node.session.timeo.replacement_timeout';
      return manual(
        `set ${name} to ${wantedS} in iscsid.conf, and for the target as it is known: it counts from the next login`,
        `iscsiadm -m session -r ${path.session} -o update -n ${name} -v ${wantedS}`,
        FAILOVER_WHY,
      );
    }
    case 'fibreChannel':
      return manual(
        `set fast_io_fail_tmo ${wantedS} in multipath.conf`,
        'multipathd reconfigure',
        FAILOVER_WHY,
      );
    default:
      return unreachable(path);
  }
}
