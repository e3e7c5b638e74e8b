import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { decode, encodeInto } from '../codec/struct.ts';
import type { Geometry } from '../format/geometry.ts';
import { PAXOS_DISK_MAGIC, paxosLeader } from '../format/leader.ts';
import { INDEX_LEASE_NAME, indexHeader } from '../format/resource-index.ts';
import { initResource } from './initialise.ts';
import { errnoError, ioError, leaseError, readSpan, writeSpan } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import type { Member } from './member.ts';
import {
  entryAt,
  entryNumber,
  entrySector,
  findEntry,
  type IndexArea,
  type IndexPlace,
  type IndexShape,
  indexHeaderOf,
  isFree,
  listedAt,
  maxResourcesFor,
  putEntry,
  readIndexArea,
  readIndexShape,
  resourceOffset,
} from './rindex-area.ts';
import { recoverIndexLease, type Touched, withIndexLease } from './rindex-lease.ts';
import type { Steps } from './steps.ts';

/**
 * The index of resource names: which areas behind it hold a resource, and of what name.
 *
 * Its lease makes create, delete, update and rebuild of all hosts take turns. An area is formatted
 * before it is listed, and no longer listed before it is cleared: a crash anywhere leaves an area
 * that is not found, never a name without a lease behind it. @see spec 10 §11
 */

/** One name and its place; '' and 0 = none. */
export interface NamedPlace {
  readonly name: ByteString;
  readonly offset: number;
}

/** No name and no place. */
export const NOWHERE: NamedPlace = { name: '', offset: 0 };

/**
 * Formats an empty index and the lease that guards it, without holding it. Destroys what was there.
 * @param wish.maxResources 0 = 4096; more than the area can list is cut
 * @returns RINDEX_OFFSET at no multiple of the area; AIO_TIMEOUT or ERRNO.
 * @see spec 10 §11
 */
export function* formatIndex(
  place: IndexPlace,
  wish: {
    readonly geometry: Geometry;
    readonly maxResources: number;
    readonly nowMs: number;
  },
): Steps<Result<null, LeaseError>> {
  const { geometry } = wish;
  const { offset, lockspaceName: name } = place;
  if (offset % geometry.areaBytes !== 0) {
    return fail(leaseError('RINDEX_OFFSET', 'index format', { offset, area: geometry.areaBytes }));
  }
  const area = new Uint8Array(geometry.areaBytes);
  const maxResources = maxResourcesFor(geometry, wish.maxResources);
  encodeInto(indexHeader, indexHeaderOf(geometry, { maxResources, offset, name }), area);
  const at = { disk: 'resource', offset, timeoutMs: place.writeTimeoutMs } as const;
  const wrote = yield* writeSpan(at, area);
  if (wrote.outcome !== 'done') return fail(ioError(wrote, 'index format'));
  return yield* initResource({
    ...newResource(place, geometry, wish.nowMs),
    offset: offset + geometry.areaBytes,
    resourceName: INDEX_LEASE_NAME,
    clear: false,
  });
}

function newResource(place: IndexPlace, geometry: Geometry, nowMs: number) {
  const { lockspaceName, writeTimeoutMs } = place;
  return { lockspaceName, geometry, numHosts: 0, writeTimeoutMs, nowMs };
}

/**
 * Formats a resource in the first free place, then lists it. A name that is there already is listed
 * a second time, as in C.
 * @returns its place; ERRNO ENOENT when the index is full, ERRNO EINVAL without a name; RINDEX_*;
 *   what the acquire of the index lease was refused with.
 */
export function* createInIndex(
  member: Member,
  place: IndexPlace,
  wish: { readonly name: ByteString; readonly nowMs: number },
): Steps<Result<NamedPlace, LeaseError>> {
  const { name } = wish;
  if (name === '') return fail(errnoError(ERRNO.EINVAL, 'index create, no name'));
  const shape = yield* readIndexShape(place);
  if (!shape.ok) return shape;
  return yield* withIndexLease(member, place, shape.value, function* (touched) {
    const read = yield* readIndexArea(place, shape.value);
    if (!read.ok) return read;
    const index = read.value;
    const n = findEntry(index, isFree);
    if (n === null) return fail(notFound('index create, no free entry'));
    const offset = resourceOffset(index, n);
    touched.push({ offset, length: index.geometry.areaBytes });
    const resource = { ...newResource(place, index.geometry, wish.nowMs), offset, clear: false };
    const formatted = yield* initResource({ ...resource, resourceName: name });
    if (!formatted.ok) return formatted;
    return yield* writeEntry(place, { index, n, touched, entry: { name, offset } });
  });
}

/**
 * Takes a name out of the index, then clears its area. The caller must own the resource: as with a
 * format, no holder is sought.
 * @param wish.offset 0 = the first of that name
 * @returns NOWHERE; ERRNO ENOENT for an unknown name, RINDEX_DIFF where another name is at that
 *   offset.
 */
export function* deleteFromIndex(
  member: Member,
  place: IndexPlace,
  wish: NamedPlace & { readonly nowMs: number },
): Steps<Result<NamedPlace, LeaseError>> {
  const { name } = wish;
  if (name === '') return fail(notFound('index delete, no name'));
  const shape = yield* readIndexShape(place);
  if (!shape.ok) return shape;
  return yield* withIndexLease(member, place, shape.value, function* (touched) {
    const read = yield* readIndexArea(place, shape.value);
    if (!read.ok) return read;
    const index = read.value;
    const found = findForDelete(index, wish);
    if (!found.ok) return found;
    const n = found.value;
    const unlisted = yield* writeEntry(place, { index, n, touched, entry: null });
    if (!unlisted.ok) return unlisted;
    const offset = resourceOffset(index, n);
    touched.push({ offset, length: index.geometry.areaBytes });
    const resource = { ...newResource(place, index.geometry, wish.nowMs), offset, clear: true };
    const cleared = yield* initResource({ ...resource, resourceName: name });
    return cleared.ok ? ok(NOWHERE) : cleared;
  });
}

function findForDelete(index: IndexArea, wish: NamedPlace): Result<number, LeaseError> {
  const { name, offset } = wish;
  const first = findEntry(index, (entry) => entry.resourceName === name);
  if (first === null) return fail(notFound('index delete', { name }));
  const n = offset === 0 ? first : entryNumber(index, offset);
  const entry = n === null ? null : entryAt(index, n);
  if (n === null || entry?.resourceName !== name) {
    return fail(leaseError('RINDEX_DIFF', 'index delete', { name, offset }));
  }
  // The area to be cleared is that of the entry's own place, or none.
  const listed = listedAt(index, n, 'index delete');
  return listed.ok ? ok(n) : listed;
}

/** What a lookup found. */
export interface LookedUp extends NamedPlace {
  /** Both name and offset were given, and do not belong together; what is at the offset. */
  readonly differs: boolean;
}

/**
 * Name: its place. Offset: its name. Neither: the first free place. Both: whether they belong
 * together. Without the lease: what stood there at one moment.
 * @returns ERRNO ENOENT where no entry fits, RINDEX_OFFSET where the index has no entry for that
 *   place; RINDEX_*.
 */
export function* lookUpIndex(
  place: IndexPlace,
  wish: NamedPlace,
): Steps<Result<LookedUp, LeaseError>> {
  const { name, offset } = wish;
  const shape = yield* readIndexShape(place);
  if (!shape.ok) return shape;
  const n = offset === 0 ? null : entryNumber({ ...shape.value, offset: place.offset }, offset);
  if (offset !== 0 && n === null) return fail(leaseError('RINDEX_OFFSET', 'lookup', { offset }));
  const read = yield* readIndexArea(place, shape.value);
  if (!read.ok) return read;
  const index = read.value;
  if (n !== null) {
    const listed = listedAt(index, n, 'lookup');
    if (!listed.ok) return listed;
    const found = listed.value.resourceName;
    return ok({ name: found, offset, differs: name !== '' && name !== found });
  }
  const at = findEntry(index, (entry) =>
    name === '' ? isFree(entry) : entry.resourceName === name,
  );
  if (at === null) return fail(notFound('index lookup', { name }));
  const listed = listedAt(index, at, 'lookup');
  if (!listed.ok) return listed;
  return ok({ name, offset: resourceOffset(index, at), differs: false });
}

/**
 * Sets or empties the entry of one place, whatever it said; the area of the resource is not read.
 * @param member null: this host is not in the lockspace, and the lease is not taken
 * @returns the entry; ERRNO EINVAL where name or offset is missing, RINDEX_OFFSET.
 */
export function* updateIndex(
  member: Member | null,
  place: IndexPlace,
  wish: NamedPlace & { readonly remove: boolean },
): Steps<Result<NamedPlace, LeaseError>> {
  const { name, offset, remove } = wish;
  if (offset === 0 || (!remove && name === '')) {
    return fail(errnoError(ERRNO.EINVAL, 'index update, name or offset missing', { name, offset }));
  }
  const shape = yield* readIndexShape(place);
  if (!shape.ok) return shape;
  const n = entryNumber({ ...shape.value, offset: place.offset }, offset);
  if (n === null) return fail(leaseError('RINDEX_OFFSET', 'index update', { offset }));
  // C writes without the lease; another host's entry in the same sector could be lost by that.
  return yield* withIndexLease(member, place, shape.value, function* (touched) {
    const read = yield* readIndexArea(place, shape.value);
    if (!read.ok) return read;
    const entry = remove ? null : { name, offset };
    return yield* writeEntry(place, { index: read.value, n, touched, entry });
  });
}

function* writeEntry(
  place: IndexPlace,
  what: {
    readonly index: IndexArea;
    readonly n: number;
    readonly touched: Touched;
    readonly entry: NamedPlace | null;
  },
): Steps<Result<NamedPlace, LeaseError>> {
  const { index, n, entry } = what;
  assert(n >= 0 && n < index.maxResources, 'an entry lies inside of the index');
  assert(
    entry === null || entry.offset === resourceOffset(index, n),
    'an entry says its own place',
  );
  putEntry(index.bytes, index.geometry, n, entry);
  const { offset, bytes } = entrySector(index, n);
  what.touched.push({ offset, length: bytes.length });
  const at = { disk: 'resource', offset, timeoutMs: place.readTimeoutMs } as const;
  const wrote = yield* writeSpan(at, bytes);
  return wrote.outcome === 'done' ? ok(entry ?? NOWHERE) : fail(ioError(wrote, 'index entry'));
}

/**
 * Lists every resource found behind the index, and nothing else, up to the end of the device.
 * @param member null: this host is not in the lockspace, and the lease is not taken
 * @returns NOWHERE; ERRNO EAGAIN when it was cancelled; any failed read, as a lease would be
 *   forgotten.
 */
export function* rebuildIndex(
  member: Member | null,
  place: IndexPlace,
): Steps<Result<NamedPlace, LeaseError>> {
  const shape = yield* readIndexShape(place);
  if (!shape.ok) return shape;
  return yield* withIndexLease(member, place, shape.value, function* (touched) {
    const { geometry } = shape.value;
    const area = new Uint8Array(geometry.areaBytes);
    const filled = yield* listResources(member, place, shape.value, area);
    if (!filled.ok) return filled;
    touched.push({ offset: place.offset, length: area.length });
    const timeoutMs = place.writeTimeoutMs;
    const wrote = yield* writeSpan({ disk: 'resource', offset: place.offset, timeoutMs }, area);
    return wrote.outcome === 'done' ? ok(NOWHERE) : fail(ioError(wrote, 'index rebuild'));
  });
}

/**
 * Takes back what a create, delete, update or rebuild of this membership left that was cut: its
 * hold of the index. What it had begun is not gone on with; it is as after a crash of its host.
 * @returns NOWHERE; RINDEX_*; AIO_TIMEOUT or ERRNO: to be asked again
 */
export function* recoverIndex(
  member: Member,
  place: IndexPlace,
): Steps<Result<NamedPlace, LeaseError>> {
  const shape = yield* readIndexShape(place);
  if (!shape.ok) return shape;
  const taken = yield* recoverIndexLease(member, place, shape.value);
  return taken.ok ? ok(NOWHERE) : taken;
}

/** Fills a new index area. Any error but the device's end refuses: a lease would be forgotten. */
function* listResources(
  member: Member | null,
  place: IndexPlace,
  before: IndexShape,
  area: Uint8Array,
): Steps<Result<null, LeaseError>> {
  const read = yield* readIndexArea(place, before);
  if (!read.ok) return read;
  const { geometry, maxResources } = read.value;
  const header = { maxResources, offset: place.offset, name: place.lockspaceName };
  encodeInto(indexHeader, indexHeaderOf(geometry, header), area);
  const length = geometry.sectorSize;
  for (let n = 0; n < maxResources; n++) {
    if (member?.cancelled() === true) return fail(errnoError(ERRNO.EAGAIN, 'index rebuild'));
    const offset = resourceOffset(read.value, n);
    const timeoutMs = place.readTimeoutMs;
    const first = yield* readSpan({ disk: 'resource', offset, length, timeoutMs }, 'index rebuild');
    if (!first.ok && first.error.errno === ERRNO.EMSGSIZE) break; // the end of the device
    if (!first.ok) return first;
    const leader = decode(paxosLeader, first.value.value);
    if (leader.magic !== PAXOS_DISK_MAGIC) continue;
    putEntry(area, geometry, n, { name: leader.resourceName, offset });
  }
  return ok(null);
}

function notFound(during: string, facts: LeaseError['facts'] = {}): LeaseError {
  return errnoError(ERRNO.ENOENT, during, facts);
}
