import type { ByteString } from '../../../base/bytes.ts';
import { nameToText } from '../../../base/bytes.ts';
import { decode } from '../../../codec/struct.ts';
import { type Geometry, hostBlockSector } from '../../../format/geometry.ts';
import { leaderGeometry, paxosLeader } from '../../../format/leader.ts';
import type { DamagedBlock, SlotsOfVg } from '../../../inspect/doctor/facts.ts';
import { compareLeases, type SlotOnDevice } from '../../../inspect/leases/vg-leases.ts';
import type { LockspaceSeen } from '../../../inspect/snapshot/snapshot.ts';
import { scanBlocks } from '../../../lease/paxos-area.ts';
import { PROBE_BYTES, resourceIn } from '../../../lease/read.ts';
import {
  SLOT_FIRST_LV,
  SLOT_GL,
  SLOT_VG,
  UNUSED_NAME,
} from '../../../lvmlockd/managers/sanlock/layout.ts';
import type { FreshReads, TryPiece } from '../../../platform/fresh-reads.ts';
import { leaseCode } from '../../sanlock/direct-disk.ts';
import { reportVgs, type VgReport } from './vg-facts.ts';

const MAX_SLOTS = 10_000;
/** A command under way is over then. */
const LOOK_AGAIN_MS = 3000;

export interface SlotsSeen {
  readonly slots: SlotsOfVg;
  readonly damagedBlocks: readonly DamagedBlock[];
}

/**
 * The leases of a VG that is started here. Nothing is locked: what does not agree is read again,
 * with the metadata, as a command may be under way. null: they could not be read.
 */
export async function slotsOf(
  world: { readonly reads: FreshReads; readonly sleep: (forMs: number) => Promise<void> },
  vg: VgReport,
  space: LockspaceSeen,
): Promise<SlotsSeen | null> {
  const first = await readSlots(world.reads, vg, space);
  if (first === null || compareLeases(first.slots.leases).length === 0) return first;
  await world.sleep(LOOK_AGAIN_MS);
  const again = (await reportVgs())?.find(({ name }) => name === vg.name);
  return again === undefined ? null : await readSlots(world.reads, again, space);
}

async function readSlots(
  reads: FreshReads,
  vg: VgReport,
  space: LockspaceSeen,
): Promise<SlotsSeen | null> {
  const attempt = await reads.attempt(space.path, (piece) => slotsAt(piece, vg, space));
  return attempt.kind === 'done' ? attempt.value : null;
}

async function slotsAt(
  piece: TryPiece,
  vg: VgReport,
  space: LockspaceSeen,
): Promise<SlotsSeen | null> {
  const { sectorSize, areaBytes, offsetBytes, members } = space;
  const knownHosts = Math.max(0, ...members.map(({ hostId }) => hostId));
  const length = Math.max(PROBE_BYTES, hostBlockSector(knownHosts + 1) * sectorSize);
  const slots: SlotOnDevice[] = [];
  const damagedBlocks: DamagedBlock[] = [];
  for (let slot = SLOT_GL; slot < MAX_SLOTS; slot++) {
    const offset = slot * areaBytes;
    const bytes = await piece({ offset: offsetBytes + offset, length });
    if ('errno' in bytes) {
      if (bytes.errno === 'EMSGSIZE') break; // past the end
      return null;
    }
    const holds = holdsOf(bytes, space.name);
    slots.push({ offset, holds });
    const resource = holds.kind === 'lease' ? holds.name : '';
    const of = { ...leaseName(vg, slot, offset), resource, offsetBytes: offsetBytes + offset };
    damagedBlocks.push(...blocksIn(bytes, knownHosts).map((block) => ({ ...of, ...block })));
  }
  const { name, lvs, freeMib } = vg;
  return {
    slots: { vg: name, freeMib, leases: { lockspace: space.name, areaBytes, lvs, slots } },
    damagedBlocks,
  };
}

function leaseName({ name, lvs }: VgReport, slot: number, offset: number): LeaseName {
  if (slot === SLOT_GL) return { lease: `${name} (global lock)`, lv: null };
  if (slot === SLOT_VG) return { lease: `${name} (VG lock)`, lv: null };
  const found = lvs.find(({ lockArgs }) => lockArgs.endsWith(`:${offset}`));
  const lv = found === undefined ? null : `${name}/${found.name}`;
  return { lease: lv ?? `${name}, slot ${slot - SLOT_FIRST_LV}`, lv };
}

type LeaseName = Pick<DamagedBlock, 'lease' | 'lv'>;

function holdsOf(bytes: Uint8Array, lockspace: string): SlotOnDevice['holds'] {
  const read = resourceIn(bytes, { lockspaceName: '', resourceName: '' });
  if (read.ok) {
    const { spaceName, resourceName } = read.value.leader;
    const isFree = isUnused(resourceName) && nameToText(spaceName) === lockspace;
    if (isFree) return { kind: 'free' };
    return { kind: 'lease', lockspace: nameToText(spaceName), name: nameToText(resourceName) };
  }
  if (read.error.code === 'LEADER_MAGIC' && bytes.every((byte) => byte === 0)) {
    return { kind: 'unwritten' };
  }
  return { kind: 'damaged', code: leaseCode(read.error) };
}

function isUnused(name: ByteString): boolean {
  return name === UNUSED_NAME;
}

/** Those of hosts that were ever in the lockspace; of a damaged leader nothing is known. */
function blocksIn(
  bytes: Uint8Array,
  knownHosts: number,
): Pick<DamagedBlock, 'hostId' | 'damage'>[] {
  if (!resourceIn(bytes, { lockspaceName: '', resourceName: '' }).ok) return [];
  const geometry: Geometry | null = leaderGeometry(decode(paxosLeader, bytes));
  if (geometry === null) return [];
  return scanBlocks(bytes, geometry, knownHosts).flatMap(({ hostId, damage }) =>
    damage === null ? [] : [{ hostId, damage: `wrong ${damage.field}` }],
  );
}
