import { caution, type Finding, note, problem } from '../../base/finding.ts';

/** A program that AppArmor confines. */
export interface Confined {
  readonly program: string;
  readonly profile: string;
  /** Complaints alone stop nothing. */
  readonly isEnforced: boolean;
  /** The text of the profile, and of what this site has added to it; null: not found. */
  readonly text: string | null;
}

export interface ConfinementFacts {
  readonly appArmor: readonly Confined[];
  /** Booleans of SELinux that are there, by name; null: SELinux does not enforce anything here. */
  readonly seLinux: ReadonlyMap<string, boolean> | null;
  readonly usesPlugin: boolean;
  /** Of the file system of the leases. */
  readonly fsType: string | null;
}

/** What AppArmor or SELinux keep libvirt and sanlock from, as far as it can be seen. */
export function confinementFindings(facts: ConfinementFacts): readonly Finding[] {
  const { appArmor, seLinux } = facts;
  return [
    ...appArmor.filter(({ isEnforced }) => isEnforced).flatMap((one) => appArmorOf(one, facts)),
    ...(seLinux === null ? [] : seLinuxOf(seLinux, facts)),
  ];
}

/** Debian's profile has both (12 and 13): `/etc/libvirt/hooks/** rmix`, `/** rwmkl`. */
const HOOKS = /^\s*\/etc\/libvirt\/hooks\/\S*\s+\S*x\S*,/m;
const ALL_FILES = /^\s*(file,|\/\*\* \w*w\w*,)/m;
const SANLOCK = /sanlock\.sock|\/run\/sanlock/;
/** The hook reaches Node through it. */
const ENV = /^\s*\/(usr\/bin|\{usr\/,\}bin|\{,usr\/\}bin)\/(\*|env)\s+\S*[pPuU]x,|^\s*file,/m;

function appArmorOf(
  { program, profile, text }: Confined,
  { usesPlugin }: ConfinementFacts,
): readonly Finding[] {
  const local = `/etc/apparmor.d/local/${profileFile(profile)}`;
  const cure = (rule: string) => `add "${rule}" to ${local}, then apparmor_parser -r the profile`;
  if (text === null) {
    const found = `AppArmor confines ${program} by the profile ${profile}, whose text was not found`;
    const how = 'if a guest is refused with "Permission denied", see journalctl -k -g DENIED';
    return [note('appArmor', found, how)];
  }
  const found: Finding[] = [];
  if (!HOOKS.test(text)) {
    const what = `the AppArmor profile of ${program} does not let it run hooks: no guest starts`;
    found.push(problem('appArmorHooks', what, cure('/etc/libvirt/hooks/** rmix,')));
  }
  if (!ENV.test(text)) {
    const what = `the AppArmor profile of ${program} does not let hooks run /usr/bin/env`;
    found.push(problem('appArmorEnv', what, cure('/usr/bin/* PUx,')));
  }
  if (usesPlugin && !ALL_FILES.test(text) && !SANLOCK.test(text)) {
    const what = `the AppArmor profile of ${program} does not name sanlock's socket, which the plugin needs`;
    found.push(problem('appArmorSanlock', what, cure('/run/sanlock/sanlock.sock rw,')));
  }
  return found;
}

/** In /etc/apparmor.d. */
export function profileFile(profile: string): string {
  return (PROFILE_FILES[profile] ?? profile).replaceAll('/', '.').replace(/^\./, '');
}

const PROFILE_FILES: Readonly<Record<string, string>> = {
  libvirtd: 'usr.sbin.libvirtd',
  virtqemud: 'usr.sbin.virtqemud',
};

function seLinuxOf(
  booleans: ReadonlyMap<string, boolean>,
  { usesPlugin, fsType }: ConfinementFacts,
): readonly Finding[] {
  const isNfs = fsType === 'nfs' || fsType === 'nfs4';
  const isFuse = fsType?.startsWith('fuse.') ?? false;
  const wanted: readonly (readonly [boolean, string, string])[] = [
    [usesPlugin, 'virt_use_sanlock', "libvirt's plugin may not speak with sanlock"],
    [isNfs, 'sanlock_use_nfs', 'sanlock may not use leases on NFS'],
    [isNfs, 'virt_use_nfs', 'libvirt may not use what is on NFS'],
    [isFuse, 'sanlock_use_fusefs', 'sanlock may not use leases on a FUSE file system'],
    [isFuse, 'virt_use_fusefs', 'libvirt may not use what is on a FUSE file system'],
    [true, 'virt_hooks_unconfined', 'hooks of libvirt may be kept from the guard'],
  ];
  return wanted.flatMap(([isWanted, name, effect]) => {
    if (!isWanted || booleans.get(name) !== false) return [];
    const found = `SELinux enforces its policy, and ${name} is off: ${effect}`;
    const cure = `setsebool -P ${name} on; ausearch -m avc -ts recent shows what was denied`;
    return [caution('seLinuxBoolean', found, cure)];
  });
}
