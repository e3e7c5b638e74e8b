import type { DoctorFacts, Mapping } from './facts.ts';

/**
 * LVs of a shared VG, or of all of them, that the kernel has active on this host, without those of
 * the leases. While there are any, nothing may have this host join a lockspace anew: in a new
 * generation, what it held before counts as free, and other hosts lock LVs that are in use here.
 * Where lvm did not say of which VG a mapping is, it may be of that one.
 */
export function activeLvs(facts: DoctorFacts, vgName: string | null): readonly string[] {
  const { vgs } = facts.snapshot;
  const ofLeases = new Set(
    vgs.map(({ name, lockArgs }) => `${name}/${lockArgs.split(':')[1] ?? ''}`),
  );
  const vgUuid = vgs.find(({ name }) => name === vgName)?.uuid.replaceAll('-', '') ?? '';
  const isMeant = ({ uuid, vg }: Mapping) =>
    vgName === null || (vg === null ? uuid.startsWith(`LVM-${vgUuid}`) : vg === vgName);
  const names = (facts.mappings ?? [])
    .filter(({ isLv, isErrorTable }) => isLv && isErrorTable !== true)
    .filter((mapping) => mapping.isShared !== false && isMeant(mapping))
    .flatMap(({ name, lv, vg }) => (vg === null ? [name] : lv === null ? [] : [lv]));
  return [...new Set(names)].filter((name) => !ofLeases.has(name)).sort();
}

const MOST_NAMED = 3;

/** `vg1/a, vg1/b and 3 more` */
export function namesText(names: readonly string[]): string {
  const more = names.length - MOST_NAMED;
  const listed = names.slice(0, MOST_NAMED).join(', ');
  return more > 0 ? `${listed} and ${more} more` : listed;
}
