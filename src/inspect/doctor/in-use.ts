import type { DoctorFacts } from './facts.ts';

/**
 * LVs of a VG, or of all, that the kernel has active on this host, without those of the leases.
 * While there are any, nothing may have this host join a lockspace anew: in a new generation, what
 * it held before counts as free, and other hosts lock LVs that are in use here.
 */
export function activeLvs({ mappings }: DoctorFacts, vgName: string | null): readonly string[] {
  const names = (mappings ?? [])
    .filter(({ isLv, isErrorTable }) => isLv && isErrorTable !== true)
    .flatMap(({ lv, vg }) => (lv !== null && (vgName === null || vg === vgName) ? [lv] : []));
  return [...new Set(names)].filter((name) => !/\/lvmlock[^/]*$/.test(name)).sort();
}

const MOST_NAMED = 3;

/** `vg1/a, vg1/b and 3 more` */
export function namesText(names: readonly string[]): string {
  const more = names.length - MOST_NAMED;
  const listed = names.slice(0, MOST_NAMED).join(', ');
  return more > 0 ? `${listed} and ${more} more` : listed;
}
