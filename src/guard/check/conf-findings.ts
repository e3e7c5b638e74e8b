import { caution, type Finding, problem } from '../../base/finding.ts';
import { type ConfFiles, DEFAULT_LEASE_DIR, readGuardConfig } from '../config.ts';
import { type ConfValue, parseLibvirtConf } from '../libvirt-conf.ts';

/** Settings of libvirt, its plugin and the guard that do not go together. */
export function confFindings(files: ConfFiles): readonly Finding[] {
  const { qemu, plugin, own } = files;
  const config = readGuardConfig(files);
  const wereRead = [qemu, plugin, own].every(({ failure }) => failure === undefined);
  const all = [qemu, plugin, own].map(({ text }) => parseLibvirtConf(text ?? ''));
  const [ofQemu, ofPlugin, ofGuard] = all.map((one) => (one.ok ? one.value : NO_VALUES));
  const found: Finding[] = [];
  if (!config.ok) {
    const areRight = wereRead && all.every(({ ok }) => ok);
    const isUnset = areRight && !hasHostId(ofPlugin) && !hasHostId(ofGuard);
    const kind = isUnset ? 'hostIdUnset' : 'confWrong';
    const cure = `edit it: ${own.path} explains every setting; then restart holdfast-guard`;
    found.push(problem(kind, `the guard cannot start: ${config.error}`, cure));
  }
  const usesPlugin = ofQemu?.get('lock_manager') === 'sanlock';
  const makesLeases = Number(ofPlugin?.get('auto_disk_leases') ?? 0) !== 0;
  if (makesLeases && !usesPlugin) found.push(withoutPlugin(files));
  if (usesPlugin && !makesLeases && needsLeases(ofPlugin)) found.push(refusing(files));
  if (usesPlugin && makesLeases) found.push(...differing(files, ofPlugin, ofGuard));
  return found;
}

type Values = ReadonlyMap<string, ConfValue> | undefined;
const NO_VALUES: ReadonlyMap<string, ConfValue> = new Map();

function hasHostId(values: Values): boolean {
  return values?.has('host_id') ?? false;
}

function withoutPlugin({ qemu, plugin }: ConfFiles): Finding {
  const found =
    `${plugin.path} has auto_disk_leases = 1, which has no effect: ${qemu.path} does not have ` +
    'lock_manager = "sanlock", so libvirt takes no lease at all; the guard takes those of all disks';
  const cure =
    'take auto_disk_leases out, or set lock_manager = "sanlock", restart libvirtd, then holdfast-guard';
  return caution('autoLeasesWithoutPlugin', found, cure);
}

/** The opposite of auto_disk_leases, unless it is set (spec 60 §1.1). */
function needsLeases(values: Values): boolean {
  return Number(values?.get('require_lease_for_disks') ?? 1) !== 0;
}

function refusing({ plugin }: ConfFiles): Finding {
  const found =
    `libvirt's plugin is used without auto_disk_leases: it refuses every guest that writes a disk ` +
    'and has no <lease>, also where the guard has a lease for it';
  const cure = `set auto_disk_leases = 1 or require_lease_for_disks = 0 in ${plugin.path}`;
  return caution('pluginRefuses', found, cure);
}

/** Both join one lockspace, on this host: by one number, in one directory. */
function differing(files: ConfFiles, ofPlugin: Values, ofGuard: Values): readonly Finding[] {
  const { plugin, own } = files;
  const found: Finding[] = [];
  for (const [key, other, what] of [
    ['host_id', 0, 'two numbers in the lockspace'],
    ['disk_lease_dir', DEFAULT_LEASE_DIR, 'two directories for their leases'],
  ] as const) {
    const ours = ofGuard?.get(key);
    const theirs = ofPlugin?.get(key) ?? other;
    if (ours === undefined || ours === theirs) continue;
    const text =
      `${key} is ${JSON.stringify(ours)} in ${own.path} and ${JSON.stringify(theirs)} in ` +
      `${plugin.path}: this host would have ${what}`;
    const kind = key === 'host_id' ? 'twoHostIds' : 'twoLeaseDirs';
    found.push(
      problem(kind, text, `take ${key} out of ${own.path}: that of the plugin counts for both`),
    );
  }
  return found;
}
