import { caution, type Finding, problem } from '../../base/finding.ts';
import type { FstabEntry, Mount } from './mounts.ts';

const NFS: ReadonlySet<string> = new Set(['nfs', 'nfs4']);

/** Options of NFS with which a host boots badly, or is told what is not so (spec 60 §6). */
export function nfsFindings(
  mount: Mount | null,
  fstab: FstabEntry | null,
  leaseDir: string,
): readonly Finding[] {
  const mounted = mount !== null && NFS.has(mount.fsType) ? mountFindings(mount) : [];
  const entered = fstab !== null && NFS.has(fstab.fsType) ? fstabFindings(fstab, leaseDir) : [];
  return [...mounted, ...entered];
}

function mountFindings({ mountPoint, options }: Mount): readonly Finding[] {
  const found: Finding[] = [];
  const has = (name: string) => options.includes(name);
  if (has('soft') || has('softerr')) {
    const text =
      `${mountPoint} is mounted soft: a write that its server answers late is reported as failed, ` +
      'and may still be done';
    found.push(caution('nfsSoft', text, 'mount it hard: sanlock bounds its waiting itself'));
  }
  const localLock = options.find((one) => /^local_lock=(?!none$)/.test(one));
  if (has('nolock') || localLock !== undefined) {
    const text =
      `${mountPoint} is mounted with ${localLock ?? 'nolock'}: locks stay on this host, so the ` +
      'image locks of QEMU do not exclude other hosts';
    const cure = 'take it out, if images are there as well; leases do not depend on such locks';
    found.push(caution('nfsLocalLocks', text, cure));
  }
  if (has('ro')) {
    const text = `${mountPoint} is mounted read-only: no lease can be taken`;
    found.push(problem('nfsReadOnly', text, 'mount it read-write'));
  }
  return found;
}

function fstabFindings({ mountPoint, options }: FstabEntry, leaseDir: string): readonly Finding[] {
  const found: Finding[] = [];
  const has = (name: string) => options.includes(name);
  const wait =
    "where libvirt's plugin is used, and let that wait as well: systemctl edit libvirtd, [Unit], " +
    `RequiresMountsFor=${leaseDir}`;
  const late = ['bg', 'nofail'].find(has);
  if (late !== undefined) {
    const text =
      `fstab mounts ${mountPoint} with ${late}: the boot goes on without it; the guard waits for it, ` +
      "but libvirt's plugin uses the directory below it, which is this host's alone";
    found.push(caution('nfsLate', text, `take ${late} out, ${wait}`));
  }
  if (has('noauto') && !has('x-systemd.automount')) {
    const text = `fstab does not mount ${mountPoint} at boot (noauto)`;
    found.push(caution('nfsNoauto', text, `take noauto out, ${wait}`));
  }
  if (!has('_netdev') && has('x-systemd.automount')) {
    const text = `fstab mounts ${mountPoint} on demand without _netdev: at shutdown the network may end first`;
    found.push(caution('nfsNetdev', text, 'add _netdev'));
  }
  if (
    !options.some((one) => /^(retry|x-systemd\.mount-timeout)=/.test(one)) &&
    late === undefined
  ) {
    const text =
      `fstab mounts ${mountPoint} without a limit of time: where its server is down, the boot waits ` +
      'for it, two minutes or longer';
    const cure = 'add x-systemd.mount-timeout=90 (or retry=1), and _netdev';
    found.push({ kind: 'nfsHangsBoot', weight: 'note', found: text, cure });
  }
  return found;
}
