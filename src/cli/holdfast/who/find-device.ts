import { type ByteString, nameToText } from '../../../base/bytes.ts';
import { fail, ok, type Result } from '../../../base/result.ts';
import { areasOf, isUnused } from './areas.ts';
import { diskTargets } from './find-guest.ts';
import { vgByName } from './find-vg.ts';
import { withLockspace } from './lockspace-places.ts';
import type { Sources } from './sources.ts';
import { type Found, leaseTarget, type WhoTarget } from './target.ts';
import { volumeTarget } from './volumes.ts';

/**
 * What a path of this host has to do with leases: it is an LV, or lies on some; it is a PV of a
 * shared VG; it has leases on it; it is a disk of a guest.
 */
export async function deviceTargets(
  path: ByteString,
  sources: Sources,
): Promise<Result<Found, string>> {
  const kind = sources.kindOf(path);
  if (kind === null) return await absentVolume(path, sources);
  if (kind === 'folder') return fail(`${nameToText(path)} is a folder`);
  const looks = kind === 'block' ? [volumesUnder, vgOnDevice] : [];
  for (const look of [...looks, leasesOn, leasesFor]) {
    const found = await look(path, sources);
    if (found !== null) return found;
  }
  return fail(
    `${nameToText(path)} is neither an LV or PV of a shared VG nor a disk of a guest with a lease, ` +
      'and there is no lease on it',
  );
}

type Look = (path: ByteString, sources: Sources) => Promise<Result<Found, string> | null>;

/** An LV that is not active has no device here: its name says which it is. */
async function absentVolume(path: ByteString, sources: Sources): Promise<Result<Found, string>> {
  const text = nameToText(path);
  const mapped = /^\/dev\/mapper\/((?:[^-]|--)+)-((?:[^-]|--)+)$/.exec(text);
  const plain = /^\/dev\/([^/]+)\/([^/]+)$/.exec(text);
  const [, vgName, lvName] = mapped ?? plain ?? [];
  if (vgName === undefined || lvName === undefined) return fail(`there is no ${text} here`);
  const undouble = (name: string) => (mapped === null ? name : name.replaceAll('--', '-'));
  const target = await volumeTarget(`${undouble(vgName)}/${undouble(lvName)}`, sources);
  if (target.ok) return ok({ targets: [target.value], isList: false });
  return fail(`there is no ${text} here, and ${target.error}`);
}

/** By device-mapper's UUIDs, whatever the path is called; of a LUKS device too. */
const volumesUnder: Look = async (path, sources) => {
  const keys = (await sources.keysOf(path)).filter((key) => key.startsWith('lvm:'));
  const lvs = keys.length === 0 ? null : await sources.lvs();
  if (lvs === null || !lvs.ok) return null;
  const targets: WhoTarget[] = [];
  for (const row of lvs.value) {
    const key = `lvm:${row.vgUuid}${row.uuid}`.replaceAll('-', '');
    if (!keys.includes(key)) continue;
    const target = await volumeTarget(`${row.vgName}/${row.name}`, sources);
    if (!target.ok) return target;
    targets.push(target.value);
  }
  return targets.length === 0 ? null : ok({ targets, isList: targets.length > 1 });
};

const vgOnDevice: Look = async (path, sources) => {
  const options = ['--readonly', '--nolocking', '--shared', '--noheadings', '-o', 'vg_name'];
  const printed = await sources.lvm('pvs', [...options, nameToText(path)]);
  const vgName = printed.ok ? printed.value.trim() : '';
  const vg = vgName === '' ? null : await vgByName(vgName, sources);
  if (vg === null) return null;
  return vg.ok ? ok({ targets: vg.value, isList: true }) : vg;
};

const leasesOn: Look = async (path, sources) => {
  const { areas, failure } = await areasOf(sources.world, path);
  const leases = areas.flatMap((area) => (area.kind === 'lease' && !isUnused(area) ? [area] : []));
  const hasSpace = areas.some(({ kind }) => kind === 'lockspace');
  if (leases.length === 0 && !hasSpace) return failure === null ? null : fail(failure);
  const targets: WhoTarget[] = [];
  for (const { offset, lockspaceName, name } of leases) {
    const label = `${nameToText(lockspaceName)}:${nameToText(name)}`;
    const expected = { lockspaceName, name };
    const target = await withLockspace(leaseTarget({ label, path, offset, expected }), sources);
    targets.push({ ...target, name: nameToText(name), group: nameToText(path) });
  }
  const isAlone = targets.length === 1 && !hasSpace && failure === null;
  const unlisted = failure === null ? [] : [{ of: nameToText(path), why: failure }];
  return ok({ targets, isList: !isAlone, unlisted });
};

/** A disk image, or a device that a guest has: by the lease that is named after it. */
const leasesFor: Look = async (path, sources) => {
  const text = nameToText(path);
  const source = { kind: 'file', path: text } as const;
  const disk = { target: '', source, access: 'exclusive' } as const;
  const targets = await diskTargets([disk], text, sources);
  return targets.length === 0 ? null : ok({ targets, isList: targets.length > 1 });
};
