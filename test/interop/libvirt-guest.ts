import { chmod, writeFile } from 'node:fs/promises';
import type { Host } from '../../src/rig/host.ts';

/** Debian's. */
export const QEMU = '/usr/bin/qemu-system-x86_64';

export interface GuestDisk {
  readonly path: string;
  /** 'file' where it is not said. */
  readonly type?: 'file' | 'block';
  /** 'raw' where it is not said. */
  readonly format?: 'raw' | 'qcow2';
  readonly use?: 'shareable' | 'readonly';
}

/** A disk of another kind. */
export interface OtherDisk {
  /** `<disk …>` */
  readonly xml: string;
}

/** A guest with nothing to boot from its disks. */
export interface Guest {
  readonly name: string;
  /** libvirt chooses one where it is not said; a guest that migrates has the same everywhere. */
  readonly uuid?: string;
  readonly disks: readonly (GuestDisk | OtherDisk)[];
  readonly onLockFailure?: string;
  readonly emulator?: string;
}

/** Its domain XML. */
export function guestXml(guest: Guest): string {
  const { name, uuid, onLockFailure, emulator } = guest;
  return `<domain type='qemu'>
    <name>${name}</name>${uuid === undefined ? '' : `<uuid>${uuid}</uuid>`}
    <memory unit='MiB'>32</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
    ${onLockFailure === undefined ? '' : `<on_lockfailure>${onLockFailure}</on_lockfailure>`}
    <devices>
      <emulator>${emulator ?? QEMU}</emulator>
      ${guest.disks.map(diskXml).join('\n      ')}
      <controller type='usb' model='none'/><memballoon model='none'/>
    </devices>
  </domain>\n`;
}

function diskXml(disk: GuestDisk | OtherDisk, index: number): string {
  if ('xml' in disk) return disk.xml;
  const { path, type = 'file', format = 'raw', use } = disk;
  const source = type === 'file' ? `file='${path}'` : `dev='${path}'`;
  return (
    `<disk type='${type}' device='disk'><driver name='qemu' type='${format}'/>` +
    `<source ${source}/><target dev='vd${'abcdefgh'[index]}' bus='virtio'/>` +
    `${use === undefined ? '' : `<${use}/>`}</disk>`
  );
}

/**
 * QEMU without its own lock on images, as on storage where that lock reaches no other host. All
 * hosts of a rig have one kernel, so there it would refuse a guest before its lease is asked for.
 */
const WITHOUT_IMAGE_LOCK = `#!/bin/bash
words=()
for word; do
  for driver in file host_device; do
    word=\${word//"\\"driver\\":\\"$driver\\","/"\\"driver\\":\\"$driver\\",\\"locking\\":\\"off\\","}
  done
  words+=("$word")
done
exec ${QEMU} "\${words[@]}"
`;

/** Makes such an emulator on a host. @returns its path there */
export async function withoutImageLock(host: Host): Promise<string> {
  const path = '/run/qemu-without-image-lock';
  await writeFile(host.path(path), WITHOUT_IMAGE_LOCK);
  await chmod(host.path(path), 0o755);
  return path;
}
