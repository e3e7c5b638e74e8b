import { type ByteString, nameToText, textToName } from '../../../base/bytes.ts';
import { fail, ok, type Result } from '../../../base/result.ts';
import { GUEST_LOCKSPACE } from '../../guard/paths.ts';
import { type AreaFound, areasOf, isUnused } from './areas.ts';
import { deviceTargets } from './find-device.ts';
import { folderTargets, guestTargets } from './find-guest.ts';
import { sanlockVgs, vgByName } from './find-vg.ts';
import { withLockspace } from './lockspace-places.ts';
import type { Sources } from './sources.ts';
import { type Found, leaseTarget, typedResource, type Unlisted, type WhoTarget } from './target.ts';
import { volumeTarget } from './volumes.ts';

/** A path of a file system that hangs, as one of NFS may; null: it answers. */
export async function hungText(path: ByteString, sources: Sources): Promise<string | null> {
  return (await sources.answers(path)) ? null : hangsText(path);
}

function hangsText(path: ByteString): string {
  return `${nameToText(path)} does not answer: it lies on a file system that hangs`;
}

/** @returns a sentence: it means none, and what it was looked for as */
export async function find(word: string, sources: Sources): Promise<Result<Found, string>> {
  if (/^\.{0,2}\//.test(word)) return await pathTargets(textToName(word), sources);
  if (/^[^:/]+\/[^:/]+$/.test(word)) return one(await volumeTarget(word, sources));
  if (word.includes(':')) return await resourceTargets(word, sources);
  if (word.includes('/')) return await pathTargets(textToName(word), sources);
  const vg = await vgByName(word, sources);
  if (vg !== null) return vg.ok ? ok({ targets: vg.value, isList: true }) : vg;
  const guest = await guestTargets(word, sources);
  if (guest !== null) return guest.ok ? ok({ targets: guest.value, isList: true }) : guest;
  const space = await spaceTargets(textToName(word), sources);
  if (space !== null) return ok({ ...space, isList: true });
  const lvs = await sources.lvs();
  const lvm = lvs.ok ? '' : ` (lvm does not answer: ${lvs.error})`;
  return fail(
    `there is no shared VG${lvm}, no guest and no lockspace of sanlock called "${word}" here`,
  );
}

async function pathTargets(path: ByteString, sources: Sources): Promise<Result<Found, string>> {
  const hung = await hungText(path, sources);
  return hung === null ? await deviceTargets(path, sources) : fail(hung);
}

function one(target: Result<WhoTarget, string>): Result<Found, string> {
  return target.ok ? ok({ targets: [target.value], isList: false }) : target;
}

/** `LOCKSPACE:RESOURCE`, with or without a place. */
async function resourceTargets(word: string, sources: Sources): Promise<Result<Found, string>> {
  const typed = typedResource(word);
  if (!typed.ok) return fail(`"${word}": ${typed.error}`);
  const { lockspaceName, name, path, offset } = typed.value;
  const hung = path === null ? null : await hungText(path, sources);
  if (hung !== null) return fail(hung);
  const label = `${nameToText(lockspaceName)}:${nameToText(name)}`;
  const expected = { lockspaceName, name };
  const target = (at: { readonly path: ByteString; readonly offset: number }) =>
    withLockspace(leaseTarget({ label, expected, path: at.path, offset: at.offset }), sources);
  if (path !== null && offset !== null) return one(ok(await target({ path, offset })));
  if (path !== null) {
    const found = await searched([path], expected, sources);
    if (found !== null) return one(ok(await target(found)));
    return fail(`${nameToText(path)} has no lease ${label}, as far as it could be read`);
  }
  const held = (await sources.leases()).find(
    (lease) => lease.lockspaceName === lockspaceName && lease.name === name,
  );
  if (held !== undefined) return one(ok(await target(held)));
  const vgName = /^lvm_(.+)$/s.exec(nameToText(lockspaceName))?.[1];
  const vg = vgName === undefined ? null : await vgByName(vgName, sources);
  const inVg = vg?.ok ? vg.value.find((lease) => lease.expected?.name === name) : undefined;
  if (inVg !== undefined) return one(ok({ ...inVg, label, group: null }));
  if (vg !== null && !vg.ok) return vg;
  const places = await placesOf(lockspaceName, sources);
  const found = await searched(places, expected, sources);
  if (found !== null) return one(ok(await target(found)));
  const where =
    places.length === 0
      ? 'sanlock of this host has no such lockspace, and lvm no such VG'
      : `it is not in ${places.slice(0, 3).map(nameToText).join(', ')}`;
  return fail(`the lease ${label} was not found: ${where}; give its place, ${label}:PATH:OFFSET`);
}

/** Devices that may have leases of a lockspace which sanlock of this host has. */
async function placesOf(lockspaceName: ByteString, sources: Sources): Promise<ByteString[]> {
  const spaces = (await sources.spaces()).filter(({ name }) => name === lockspaceName);
  const held = (await sources.leases()).filter((one) => one.lockspaceName === lockspaceName);
  const beside: ByteString[] = [];
  for (const { path } of spaces) {
    const folder = path.slice(0, path.lastIndexOf('/'));
    const names = (await sources.list(folder)) ?? [];
    const files = LEASE_FILES.filter((file) => names.includes(file));
    beside.push(...files.map((file) => `${folder}/${file}`));
  }
  return [
    ...new Set([...spaces.map(({ path }) => path), ...beside, ...held.map(({ path }) => path)]),
  ];
}

/** vdsm's, beside its lockspace in `ids`. */
const LEASE_FILES = ['leases', 'xleases'];

async function searched(
  paths: readonly ByteString[],
  wanted: { readonly lockspaceName: ByteString; readonly name: ByteString },
  { world }: Sources,
): Promise<{ readonly path: ByteString; readonly offset: number } | null> {
  const isIt = (area: AreaFound) =>
    area.kind === 'lease' &&
    area.lockspaceName === wanted.lockspaceName &&
    area.name === wanted.name;
  for (const path of paths) {
    const found = (await areasOf(world, path, isIt)).areas.find(isIt);
    if (found !== undefined) return { path, offset: found.offset };
  }
  return null;
}

interface Listed {
  readonly targets: readonly WhoTarget[];
  readonly unlisted: readonly Unlisted[];
}

/** All leases of a lockspace that sanlock of this host has; null: it has none of that name. */
async function spaceTargets(lockspaceName: ByteString, sources: Sources): Promise<Listed | null> {
  const spaces = await sources.spaces();
  const space = spaces.find(({ name }) => name === lockspaceName);
  if (space === undefined) return null;
  const targets: WhoTarget[] = [];
  const unlisted: Unlisted[] = [];
  for (const path of await placesOf(lockspaceName, sources)) {
    const { areas, failure } = await areasOf(sources.world, path);
    if (failure !== null) unlisted.push({ of: nameToText(path), why: failure });
    for (const area of areas) {
      if (area.kind !== 'lease' || area.lockspaceName !== lockspaceName || isUnused(area)) continue;
      const name = nameToText(area.name);
      targets.push({
        ...leaseTarget({
          label: `${nameToText(lockspaceName)}:${name}`,
          path,
          offset: area.offset,
          expected: { lockspaceName, name: area.name },
        }),
        ...{ name, group: `lockspace ${nameToText(lockspaceName)}` },
        ...{ spacePath: space.path, spaceOffset: space.offset },
      });
    }
  }
  return { targets, unlisted };
}

/** Every lease of every shared VG, of every lockspace of sanlock here, and of libvirt's guests. */
export async function findAll(sources: Sources): Promise<Listed> {
  const unlisted: Unlisted[] = [];
  const targets: WhoTarget[] = [];
  const lvs = await sources.lvs();
  if (!lvs.ok) unlisted.push({ of: 'lvm', why: lvs.error });
  for (const vgName of await sanlockVgs(sources)) {
    const vg = await vgByName(vgName, sources);
    if (vg?.ok) targets.push(...vg.value);
    else if (vg !== null) unlisted.push({ of: `VG ${vgName}`, why: vg.error });
  }
  const known = new Set(targets.map(({ expected }) => expected?.lockspaceName ?? ''));
  const spaces = (await sources.spaces()).filter(({ name }) => !known.has(name));
  for (const { name } of spaces) {
    const space = name === GUEST_LOCKSPACE ? null : await spaceTargets(name, sources);
    targets.push(...(space?.targets ?? []));
    unlisted.push(...(space?.unlisted ?? []));
  }
  const ofGuests = await folderTargets(sources);
  if (ofGuests !== null) targets.push(...ofGuests);
  else unlisted.push({ of: 'guests', why: hangsText(sources.leaseFolder) });
  return { targets, unlisted };
}
