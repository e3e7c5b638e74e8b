import { type ByteString, nameToText, textToName } from '../../base/bytes.ts';
import { ERRNO } from '../../base/errno.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import type { LeasesOfVg, LvOfMetadata, SlotOnDevice } from '../../inspect/leases/vg-leases.ts';
import { LVS_FIELDS, readLvsReport } from '../../inspect/snapshot/lvm-report.ts';
import { readLockspace, readResource } from '../../lease/read.ts';
import { lockLvOfArgs, lockLvPath, UNUSED_NAME } from '../../lvmlockd/managers/sanlock/layout.ts';
import { DirectDisk, DiskFailure } from '../../platform/disk-direct.ts';
import { askLvm } from '../observe/ask-program.ts';
import { leaseCode, runDirectly } from '../sanlock/direct-disk.ts';

/** A VG's metadata as lvm reports it, and its leases as they are on the device. */

const LVS_TIMEOUT_MS = 60_000;
const READ_MS = 10_000;
const FIRST_SLOT = 65;
const MAX_SLOTS = 10_000;
const ZERO_CHUNK_BYTES = 64 * 1024;
const HOSTS_TRIED = 3;

interface Metadata {
  readonly lvs: readonly LvOfMetadata[];
  readonly vgLockArgs: string;
}

export async function readLeases(vgName: string): Promise<Result<LeasesOfVg, string>> {
  const metadata = await metadataOf(vgName);
  if (!metadata.ok) return metadata;
  const name = textToName(vgName);
  const lockLv = lockLvOfArgs(textToName(metadata.value.vgLockArgs));
  if (lockLv === null) {
    return fail(`VG ${vgName} has the lock args "${metadata.value.vgLockArgs}": of a later kind`);
  }
  const path = lockLvPath(name, lockLv);
  try {
    return onDevice(path, metadata.value.lvs);
  } catch (thrown) {
    if (!(thrown instanceof DiskFailure)) throw thrown;
    return fail(`${thrown.message}: is VG ${vgName} started here (vgchange --lockstart)?`);
  }
}

/** lvm takes no lock for this: the caller has it, or none. */
async function metadataOf(vgName: string): Promise<Result<Metadata, string>> {
  const args = [
    '--all',
    '--shared',
    '--nolocking',
    '--reportformat',
    'json',
    '-o',
    LVS_FIELDS,
    vgName,
  ];
  const printed = await askLvm('lvs', args, LVS_TIMEOUT_MS);
  if (!printed.ok) return fail(`lvm does not report VG ${vgName}: ${printed.error}`);
  const rows = readLvsReport(printed.value);
  if (!rows.ok) return fail(`lvm reported VG ${vgName} unreadably: ${rows.error}`);
  const [one] = rows.value; // the LV of the leases is always there
  if (one?.vgLockType !== 'sanlock') {
    const found = one === undefined ? 'it has no lock type' : `its lock type is ${one.vgLockType}`;
    return fail(`VG ${vgName} has no leases: ${found}`);
  }
  return ok({ lvs: rows.value, vgLockArgs: one.vgLockArgs });
}

function onDevice(path: ByteString, lvs: readonly LvOfMetadata[]): Result<LeasesOfVg, string> {
  const disk = new DirectDisk(nameToText(path), 'read');
  const space = lockspaceOn(disk);
  if (!space.ok) return fail(`${nameToText(path)}: no host lease can be read (${space.error})`);
  const { geometry, name } = space.value;
  const { areaBytes } = geometry;
  const slots: SlotOnDevice[] = [];
  for (let slot = FIRST_SLOT; slot < MAX_SLOTS; slot++) {
    const holds = slotAt(disk, slot * areaBytes, { ...geometry, name });
    if (holds === null) break;
    slots.push({ offset: slot * areaBytes, holds });
  }
  return ok({ lockspace: nameToText(name), areaBytes, lvs, slots });
}

function lockspaceOn(lockspace: DirectDisk) {
  let code = 0;
  for (let hostId = 1; hostId <= HOSTS_TRIED; hostId++) {
    const wish = { offset: 0, name: '', hostId, timeoutMs: READ_MS };
    const found = runDirectly(readLockspace(wish), { lockspace });
    if (found.ok) return found;
    code = leaseCode(found.error);
  }
  return fail(`${code}`);
}

/** null: past the end of the device. */
function slotAt(
  resource: DirectDisk,
  offset: number,
  space: { readonly sectorSize: number; readonly areaBytes: number; readonly name: ByteString },
): SlotOnDevice['holds'] | null {
  const names = { lockspaceName: '', resourceName: '' };
  const wish = { ...names, offset, sectorSize: space.sectorSize, timeoutMs: READ_MS };
  const read = runDirectly(readResource(wish), { resource });
  if (read.ok) {
    const { spaceName, resourceName } = read.value.leader;
    const isFree = resourceName === UNUSED_NAME && spaceName === space.name;
    if (isFree) return { kind: 'free' };
    const lockspace = nameToText(spaceName);
    return { kind: 'lease', lockspace, name: nameToText(resourceName) };
  }
  if (read.error.code === 'ERRNO') {
    if (read.error.errno === ERRNO.EMSGSIZE) return null;
    throw new DiskFailure('read', 'the leases', read.error.errno ?? ERRNO.EIO);
  }
  if (read.error.code === 'LEADER_MAGIC') {
    const zero = isZero(resource, offset, space.areaBytes);
    if (zero === null) return null;
    if (zero) return { kind: 'unwritten' };
  }
  return { kind: 'damaged', code: leaseCode(read.error) };
}

/** null: the device ends within the area. */
function isZero(disk: DirectDisk, offset: number, areaBytes: number): boolean | null {
  try {
    for (let at = 0; at < areaBytes; at += ZERO_CHUNK_BYTES) {
      if (disk.read(offset + at, ZERO_CHUNK_BYTES).some((byte) => byte !== 0)) return false;
    }
    return true;
  } catch (thrown) {
    if (thrown instanceof DiskFailure && thrown.errno === ERRNO.EMSGSIZE) return null;
    throw thrown;
  }
}
