import { type ByteString, nameToText } from '../../../base/bytes.ts';
import { MIB } from '../../../base/units.ts';
import { decode } from '../../../codec/struct.ts';
import {
  DELTA_DISK_MAGIC,
  deltaLeader,
  leaderGeometry,
  PAXOS_DISK_CLEAR,
  PAXOS_DISK_MAGIC,
  paxosLeader,
} from '../../../format/leader.ts';
import { endsBeforeText, type ReadPiece } from '../../../platform/fresh-reads.ts';
import type { WhoWorld } from './world.ts';

/** What begins at a place of a device. */
export type AreaFound =
  | {
      readonly kind: 'lockspace' | 'lease';
      readonly offset: number;
      readonly areaBytes: number;
      readonly lockspaceName: ByteString;
      /** Of a lease. */
      readonly name: ByteString;
    }
  | { readonly kind: 'cleared' | 'other'; readonly offset: number; readonly areaBytes: number };

const PROBE_BYTES = 4096;
/** What belongs to an area of no known kind is looked at no further than the next mebibyte. */
const STEP = MIB;
/** So many places without an area end a device: vdsm keeps an index before its leases. */
const MOST_OTHERS = 8;
/** No device has more leases than an index of the largest kind names. */
const MOST_AREAS = 130_000;
/** In one look, which has a deadline. */
const AREAS_A_LOOK = 256;
/** Nothing follows, or nothing that is wanted. */
const END = Symbol('end');

/** What begins there. @returns a sentence: it cannot be read */
export async function areaAt(
  world: WhoWorld,
  path: ByteString,
  offset: number,
): Promise<AreaFound | string> {
  return await world.look(path, (piece) => probe(piece, offset));
}

async function probe(piece: ReadPiece, offset: number): Promise<AreaFound | string> {
  const bytes = await piece({ offset, length: PROBE_BYTES });
  return typeof bytes === 'string' ? bytes : areaIn(bytes, offset);
}

function areaIn(bytes: Uint8Array, offset: number): AreaFound {
  const { magic } = decode(paxosLeader, bytes);
  if (magic === DELTA_DISK_MAGIC) {
    const leader = decode(deltaLeader, bytes);
    const areaBytes = leaderGeometry(leader)?.areaBytes ?? STEP;
    return { kind: 'lockspace', offset, areaBytes, lockspaceName: leader.spaceName, name: '' };
  }
  const leader = decode(paxosLeader, bytes);
  const areaBytes = leaderGeometry(leader)?.areaBytes ?? STEP;
  if (magic === PAXOS_DISK_CLEAR) return { kind: 'cleared', offset, areaBytes };
  if (magic !== PAXOS_DISK_MAGIC) return { kind: 'other', offset, areaBytes: STEP };
  const { spaceName: lockspaceName, resourceName: name } = leader;
  return { kind: 'lease', offset, areaBytes, lockspaceName, name };
}

/** The areas of a device, as far as it could be read. */
export interface AreasFound {
  readonly areas: readonly AreaFound[];
  /** A sentence: what follows the last of them, if anything, could not be read. */
  readonly failure: string | null;
}

/**
 * The areas of a device, one behind the other.
 * @param isWanted where the first one that is ends the search
 */
export async function areasOf(
  world: WhoWorld,
  path: ByteString,
  isWanted: (area: AreaFound) => boolean = () => false,
): Promise<AreasFound> {
  const areas: AreaFound[] = [];
  let others = 0;
  for (let offset = 0; others < MOST_OTHERS && areas.length < MOST_AREAS; ) {
    const stopped = await world.look(path, async (piece) => {
      for (let n = 0; n < AREAS_A_LOOK && others < MOST_OTHERS; n++) {
        const area = await probe(piece, offset);
        if (typeof area === 'string') {
          const isEnd = area === endsBeforeText(nameToText(path), offset + PROBE_BYTES);
          return isEnd ? END : area;
        }
        areas.push(area);
        if (isWanted(area)) return END;
        others = area.kind === 'other' ? others + 1 : 0;
        offset += area.areaBytes;
      }
      return null;
    });
    if (typeof stopped === 'string') return { areas, failure: stopped };
    if (stopped === END) break;
  }
  return { areas, failure: null };
}

/** Of lvm's places for leases that no LV has. */
export function isUnused(area: AreaFound): boolean {
  return area.kind === 'lease' && (area.name === '' || nameToText(area.name).startsWith('#unused'));
}
