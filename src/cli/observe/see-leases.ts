import { leaseOffsetOf } from '../../inspect/leases/vg-leases.ts';
import type { ReportedLv } from '../../inspect/snapshot/lvm-report.ts';
import type { LockspaceSeen, Unread } from '../../inspect/snapshot/snapshot.ts';
import { type DiskHolder, leaseKey } from '../../inspect/snapshot/vgs-seen.ts';
import { readBriefHolders } from '../../lease/brief-holders.ts';
import type { LeaseState } from '../../lease/read-holders.ts';
import type { Steps } from '../../lease/steps.ts';
import { SLOT_VG } from '../../lvmlockd/managers/sanlock/layout.ts';
import type { FreshReads, ReadPiece } from '../../platform/fresh-reads.ts';

/** A read has no deadline of its own here: the whole look has one. */
const TIMEOUT_MS = 10_000;
export interface SeenLeases {
  readonly leases: ReadonlyMap<string, readonly DiskHolder[]>;
  readonly unread: readonly Unread[];
}

/** Who holds the leases of VGs, by their disks. A disk that does not answer is left out. */
export async function seeLeases(
  reads: FreshReads,
  vgs: readonly { readonly space: LockspaceSeen; readonly lvs: readonly ReportedLv[] }[],
): Promise<SeenLeases> {
  const leases = new Map<string, readonly DiskHolder[]>();
  const unread: Unread[] = [];
  await Promise.all(
    vgs.map(async ({ space, lvs }) => {
      const why = await reads.look(space.path, (piece) =>
        readVg(piece, space, lvs, leases, unread),
      );
      if (why !== null) unread.push({ what: 'lockspace', of: space.name, why });
    }),
  );
  return { leases, unread };
}

async function readVg(
  piece: ReadPiece,
  space: LockspaceSeen,
  lvs: readonly ReportedLv[],
  leases: Map<string, readonly DiskHolder[]>,
  unread: Unread[],
): Promise<null> {
  const { sectorSize, areaBytes, members, offsetBytes } = space;
  const knownHosts = Math.max(0, ...members.map(({ hostId }) => hostId));
  const vgName = lvs[0]?.vgName ?? '';
  const wanted = [
    { uuid: '', name: 'the VG lock', offset: offsetBytes + SLOT_VG * areaBytes },
    ...lvs.flatMap(({ uuid, name, lockArgs }) => {
      const offset = leaseOffsetOf(lockArgs);
      return offset === null ? [] : [{ uuid, name, offset }];
    }),
  ];
  for (const { uuid, name, offset } of wanted) {
    const wish = { offset, sectorSize, knownHosts, timeoutMs: TIMEOUT_MS };
    const found = await holdersAt(piece, wish);
    const of = `${vgName}/${name}`;
    if (typeof found === 'string') unread.push({ what: 'lease', of, why: found });
    else leases.set(leaseKey(vgName, uuid), found.holders.map(diskHolder));
  }
  return null;
}

async function holdersAt(
  piece: ReadPiece,
  wish: Parameters<typeof readBriefHolders>[0],
): Promise<LeaseState | string> {
  let failure: string | null = null;
  const found = await runReads(readBriefHolders(wish), async (at) => {
    const bytes = await piece(at);
    if (typeof bytes !== 'string') return bytes;
    failure = bytes;
    return null;
  });
  if (failure !== null) return failure;
  if (found === null) return 'it could not be read';
  if (found.ok) return found.value;
  const { kind } = found.error;
  return kind === 'damaged'
    ? `it is damaged (${found.error.error.code})`
    : `no lease is there (${kind})`;
}

/** Carries out a procedure that only reads. @returns null: a read failed */
async function runReads<T>(
  steps: Steps<T>,
  read: (at: { readonly offset: number; readonly length: number }) => Promise<Uint8Array | null>,
): Promise<T | null> {
  let turn = steps.next();
  while (turn.done !== true) {
    const effect = turn.value;
    if (effect.op !== 'read') return null;
    const bytes = await read(effect);
    if (bytes === null) return null;
    turn = steps.next({ outcome: 'done', bytes, nowMs: 0 });
  }
  return turn.value;
}

function diskHolder({ hostId, generation, mode }: LeaseState['holders'][number]): DiskHolder {
  return { hostId, generation: Number(generation), mode: mode === 'exclusive' ? 'ex' : 'sh' };
}
