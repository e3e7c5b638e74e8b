import { type ByteString, nameToText, textToName } from '../../../base/bytes.ts';
import { ok, type Result } from '../../../base/result.ts';
import type { GuestDisk } from '../../../guard/domain.ts';
import { GUEST_LOCKSPACE } from '../../guard/paths.ts';
import { leasesAsWritten } from './guests.ts';
import { LeaseWatch } from './look.ts';
import type { Sources } from './sources.ts';
import { GUESTS, leaseTarget, type WhoTarget } from './target.ts';
import { volumeTarget } from './volumes.ts';

const LEASE_NAME = /^[0-9a-f]{32}$/;
/** No folder has more guests' disks. */
const MOST_LEASES = 20_000;

/**
 * The leases of a guest, by its name or UUID: of the disks that libvirt of this host knows it has;
 * else those whose holder says that it has them for that guest, wherever it runs. null: there are
 * none.
 */
export async function guestTargets(
  word: string,
  sources: Sources,
): Promise<Result<readonly WhoTarget[], string> | null> {
  const isIt = (guest: { readonly name: string; readonly uuid: string }) =>
    guest.name === word || guest.uuid === word.toLowerCase();
  const guests = sources.guests().guests.filter(({ guest }) => isIt(guest));
  const [known] = guests;
  if (known !== undefined) {
    const { disks, name } = known.guest;
    const targets = await diskTargets(disks, `guest ${name}`, sources);
    if (targets.length > 0) return ok(targets);
  }
  const elsewhere = await heldFor(word, sources);
  if (elsewhere.length > 0) return ok(elsewhere);
  return known === undefined ? null : ok([]);
}

/** The leases that exist for such disks: libvirt's by name, and those of LVs. */
export async function diskTargets(
  disks: readonly GuestDisk[],
  group: string,
  sources: Sources,
): Promise<readonly WhoTarget[]> {
  const { leaseFolder } = sources;
  const targets: WhoTarget[] = [];
  const named = await sources.names.leasesOf(disks);
  const there = new Set((await sources.list(leaseFolder)) ?? []);
  for (const { name, target, key } of named.ok ? named.value : []) {
    if (!there.has(name)) continue;
    const label = target === '' ? key : `${target} ${key}`;
    targets.push({ ...ofFolder(name, sources), label, name: label, group });
  }
  const lvs = await volumesOf(disks, sources);
  return [...targets, ...lvs.map((lv) => ({ ...lv, group }))];
}

async function volumesOf(
  disks: readonly GuestDisk[],
  sources: Sources,
): Promise<readonly WhoTarget[]> {
  const paths = disks.flatMap(({ source }) => ('path' in source ? [source.path] : []));
  const behind = await Promise.all(paths.map((path) => sources.keysOf(textToName(path))));
  const keys = new Set(behind.flat());
  const lvs = keys.size === 0 ? null : await sources.lvs();
  const targets: WhoTarget[] = [];
  for (const { vgUuid, uuid, vgName, name } of lvs?.ok ? lvs.value : []) {
    if (!keys.has(`lvm:${vgUuid}${uuid}`.replaceAll('-', ''))) continue;
    const target = await volumeTarget(`${vgName}/${name}`, sources);
    if (target.ok) targets.push(target.value);
  }
  return targets;
}

/** Every lease in libvirt's folder, if its lockspace is there; null: its file system hangs. */
export async function folderTargets(sources: Sources): Promise<readonly WhoTarget[] | null> {
  const names = await sources.list(sources.leaseFolder);
  if (names === null) return null;
  if (!names.includes(textToName(GUEST_LOCKSPACE))) return [];
  const leases = names.filter((name) => LEASE_NAME.test(name)).sort();
  const known = leasesAsWritten(sources.guests().guests, sources.naming);
  const disks = new Map(known.map(({ name, guest, target }) => [name, `${guest} ${target}`]));
  return leases.slice(0, MOST_LEASES).map((name) => {
    const target = ofFolder(name, sources);
    return { ...target, name: disks.get(name) ?? target.name };
  });
}

function ofFolder(name: ByteString, { leaseFolder }: Sources): WhoTarget {
  const path = `${leaseFolder}/${name}`;
  const lockspaceName = textToName(GUEST_LOCKSPACE);
  return {
    ...leaseTarget({
      label: nameToText(path),
      path,
      offset: 0,
      expected: { lockspaceName, name },
    }),
    name: nameToText(name),
    group: `${GUESTS}${nameToText(leaseFolder)}`,
    spacePath: `${leaseFolder}/${GUEST_LOCKSPACE}`,
  };
}

/** By the notes of the holders. */
async function heldFor(word: string, sources: Sources): Promise<readonly WhoTarget[]> {
  const targets = (await folderTargets(sources)) ?? [];
  if (targets.length === 0) return [];
  const watch = new LeaseWatch(sources.world, targets);
  await watch.readAll();
  const isFor = (name: ByteString) => nameToText(name) === word;
  return watch.answers().flatMap(({ target, holders }) => {
    const notes = holders.flatMap(({ holder }) => holder.note ?? []);
    const isIts = notes.some(({ clientName, uuid }) => isFor(clientName) || isFor(uuid));
    return isIts ? [{ ...target, group: `guest ${word}` }] : [];
  });
}
