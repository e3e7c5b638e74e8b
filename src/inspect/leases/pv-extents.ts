import { fail, ok, type Result } from '../../base/result.ts';

/** A piece of an LV, as lvm reports it. */
export interface LvSegment {
  /** `linear` is read; others are not. */
  readonly type: string;
  readonly startExtent: number;
  readonly extents: number;
  /** `/dev/sdb:0-63`; of a linear piece there is one. */
  readonly ranges: string;
}

/** Where on a device some bytes of an LV are. */
export interface DevicePlace {
  readonly device: string;
  readonly offset: number;
  readonly length: number;
}

interface Layout {
  readonly segments: readonly LvSegment[];
  readonly extentBytes: number;
  /** Where the first extent of each PV begins. */
  readonly firstExtentAt: ReadonlyMap<string, number>;
}

/** One range as lvm reports it, `/dev/sdb:0-63`; null: it is no PV, or several. */
export function pvRange(
  range: string,
): { readonly device: string; readonly firstExtent: number } | null {
  const [, device, first] = /^(\/\S+):(\d+)-\d+$/.exec(range) ?? [];
  return device === undefined ? null : { device, firstExtent: Number(first) };
}

/**
 * Where the bytes of an LV are that is not active: on its PVs, by the metadata of its VG. An area
 * of leases may lie on several.
 * @returns a sentence without its full stop: why they cannot be read so
 */
export function devicePlaces(
  layout: Layout,
  offset: number,
  length: number,
): Result<readonly DevicePlace[], string> {
  const { extentBytes, firstExtentAt } = layout;
  const places: DevicePlace[] = [];
  for (let at = offset; at < offset + length; ) {
    const extent = Math.floor(at / extentBytes);
    const segment = layout.segments.find(
      ({ startExtent, extents }) => extent >= startExtent && extent < startExtent + extents,
    );
    if (segment === undefined) return fail(`it ends before byte ${at}`);
    const range = segment.type === 'linear' ? pvRange(segment.ranges) : null;
    const begins = firstExtentAt.get(range?.device ?? '');
    if (range === null || begins === undefined) {
      return fail(`a piece of it, ${segment.type} on ${segment.ranges}, cannot be read directly`);
    }
    const within = at - segment.startExtent * extentBytes;
    const left = segment.extents * extentBytes - within;
    const here = Math.min(left, offset + length - at);
    const { device, firstExtent } = range;
    places.push({ device, offset: begins + firstExtent * extentBytes + within, length: here });
    at += here;
  }
  return ok(places);
}
