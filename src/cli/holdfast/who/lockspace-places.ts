import { type ByteString, textToName } from '../../../base/bytes.ts';
import { GUEST_LOCKSPACE } from '../../guard/paths.ts';
import { areaAt } from './areas.ts';
import type { WhoTarget } from './target.ts';
import type { WhoWorld } from './world.ts';

/** A lockspace that sanlock of this host has. */
export interface KnownSpace {
  readonly name: ByteString;
  readonly path: ByteString;
  readonly offset: number;
}

export interface PlacePorts {
  readonly world: WhoWorld;
  /** The names in a folder, none where there is no such folder; null: its file system hangs. */
  readonly list: (folder: ByteString) => Promise<readonly ByteString[] | null>;
  /** Of sanlock, if it runs here. */
  readonly spaces: () => Promise<readonly KnownSpace[]>;
}

/** libvirt's; vdsm's, which lies beside `leases` and `xleases` in dom_md, or in its VG. */
const USUAL_NAMES = [textToName(GUEST_LOCKSPACE), 'ids'];
/** Of a folder with many leases its other files are not all read. */
const MOST_FILES = 64;

/**
 * The lease with its lockspace, where that is not at the start of the same device: in a file beside
 * it, or where sanlock of this host has it. Not found: as it was.
 */
export async function withLockspace(target: WhoTarget, ports: PlacePorts): Promise<WhoTarget> {
  const { world } = ports;
  const { path, offset } = target;
  const lease = await areaAt(world, path, offset);
  const name = typeof lease !== 'string' && lease.kind === 'lease' ? lease.lockspaceName : null;
  if (name === null) return target; // what is wrong there is told when it is read
  const isIt = async (place: { path: ByteString; offset: number }) => {
    const area = await areaAt(world, place.path, place.offset);
    return typeof area !== 'string' && area.kind === 'lockspace' && area.lockspaceName === name;
  };
  const here = { path, offset: 0 };
  const places = [here, ...(await otherPlaces(target, name, ports))];
  for (const place of places) {
    if (await isIt(place)) return { ...target, spacePath: place.path, spaceOffset: place.offset };
  }
  return target;
}

async function otherPlaces(
  { path }: WhoTarget,
  name: ByteString,
  { list, spaces }: PlacePorts,
): Promise<readonly { readonly path: ByteString; readonly offset: number }[]> {
  const end = path.lastIndexOf('/');
  const folder = path.slice(0, end);
  const names = end < 0 ? [] : ((await list(folder)) ?? []);
  const usual = USUAL_NAMES.filter((usualName) => names.includes(usualName));
  const own = path.slice(end + 1);
  const others = names.filter((other) => other !== own && !usual.includes(other));
  const few = others.length <= MOST_FILES && folder !== '/dev' && folder !== '/dev/mapper';
  const beside = [...usual, ...(few ? others : [])];
  const known = (await spaces()).filter((space) => space.name === name);
  return [...known, ...beside.map((file) => ({ path: `${folder}/${file}`, offset: 0 }))];
}
