import { guestXml } from '../interop/libvirt-guest.ts';
import type { LifeHost } from './life-host.ts';

const SECTOR = 512;
const LOADED_AT = 0x7c00;
const COUNTER_AT = 0x7e00;
const REQUEST_AT = LOADED_AT + 0x40;

/**
 * A guest's boot sector: with each tick of its clock it adds one to a number in its memory and
 * writes that into the second sector of its disk, by the BIOS. A guest that is started anew begins
 * with one.
 */
const BOOT_SECTOR: readonly number[] = [
  ...[0x66, 0x31, 0xc0], //                                 xor eax, eax
  ...[0x8e, 0xd8, 0x8e, 0xd0], //                           mov ds, ax; mov ss, ax
  ...[0xbc, ...word(LOADED_AT)], //                         mov sp, 7c00h
  ...[0x66, 0xa3, ...word(COUNTER_AT)], //                  mov [counter], eax
  ...[0xfb, 0xf4], //                                again: sti; hlt
  ...[0x66, 0xff, 0x06, ...word(COUNTER_AT)], //            inc dword [counter]
  ...[0xbe, ...word(REQUEST_AT)], //                        mov si, request
  ...[0xb8, ...word(0x4300)], //                            mov ax, 4300h: write
  ...[0xb2, 0x80, 0xcd, 0x13], //                           mov dl, 80h; int 13h
  ...[0xeb, 0xed], //                                       jmp again
];
const REQUEST: readonly number[] = [
  ...[0x10, 0, 1, 0, ...word(COUNTER_AT), 0, 0], // one sector, from there
  ...[1, 0, 0, 0, 0, 0, 0, 0], //                   to sector 1
];

function word(value: number): readonly number[] {
  return [value & 0xff, value >> 8];
}

/** Makes a disk one of a counting guest, on a host where it is active. */
export async function writeCounter(host: LifeHost, disk: string): Promise<void> {
  const bytes = Buffer.alloc(2 * SECTOR);
  bytes.set(BOOT_SECTOR, 0);
  bytes.set(REQUEST, REQUEST_AT - LOADED_AT);
  bytes.set([0x55, 0xaa], SECTOR - 2);
  const base64 = bytes.toString('base64');
  await host.does(`echo ${base64} | base64 -d | dd of=${disk} oflag=direct bs=1024 count=1`);
}

/** What the guest wrote last, as a host sees it on which the disk is active. */
export async function countOf(host: LifeHost, disk: string): Promise<number> {
  const read = `dd if=${disk} iflag=direct bs=512 skip=1 count=1 status=none`;
  return Number(await host.does(`${read} | od -An -tu4 -N4`));
}

/** Defines a guest that boots from a block device; it is not started. */
export async function define(
  host: LifeHost,
  { name, uuid, disk }: { readonly name: string; readonly uuid: string; readonly disk: string },
): Promise<void> {
  const xml = `<disk type='block' device='disk'><driver name='qemu' type='raw' cache='none'/>
    <source dev='${disk}'/><target dev='vda' bus='virtio'/></disk>`;
  await host.does(`cat >/run/${name}.xml <<END
    ${guestXml({ name, uuid, disks: [{ xml }] })}
END
    virsh define /run/${name}.xml`);
}
