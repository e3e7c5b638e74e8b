import { fail, ok, type Result } from '../base/result.ts';
import type { Naming } from './lease-names.ts';
import { type ConfValue, parseLibvirtConf } from './libvirt-conf.ts';

/** What the guard does about a guest that it finds without a lease that another guest has. */
export type Policy = 'kill' | 'warn';

/** What the guard is told; the same on all hosts but for `hostId`. */
export interface GuardConfig {
  /** 1..2000, of this host in the lockspace. */
  readonly hostId: number;
  /** The directory of the lockspace file and the lease files. */
  readonly leaseDir: string;
  /** Seconds, 1..; null: sanlock's default. */
  readonly ioTimeoutS: number | null;
  /** Owner of the files that are made, by name or number; null: as whoever runs the guard. */
  readonly user: string | null;
  readonly group: string | null;
  readonly naming: Naming;
  /** A disk was plugged into a running guest, and belongs to another. */
  readonly onConflict: Policy;
  /** libvirtd was restarted, and a running guest has lost its lease to another. */
  readonly onReconnect: Policy;
}

/** The text of a configuration file, and what it is called in a sentence. */
export interface ConfFile {
  readonly path: string;
  /** null: there is no such file, or it cannot be read. */
  readonly text: string | null;
  /** Why it cannot be read, as `EACCES`. */
  readonly failure?: string;
}

/** The three files by which the guard and the plugin go. */
export interface ConfFiles {
  /** qemu.conf: whether the plugin is used. */
  readonly qemu: ConfFile;
  /** qemu-sanlock.conf: the plugin's. */
  readonly plugin: ConfFile;
  readonly own: ConfFile;
}

/** Of plugin and guard; libvirt's package makes it. */
export const DEFAULT_LEASE_DIR = '/var/lib/libvirt/sanlock';
const MAX_HOST_ID = 2000;
const MAX_CLUSTERS = 1000;
/** Of guard.conf; packaging/guard.conf explains each. */
export const OWN_KEYS: ReadonlySet<string> = new Set([
  ...['host_id', 'disk_lease_dir', 'io_timeout', 'user', 'group'],
  ...['network_names', 'clusters', 'readonly_disks', 'on_conflict', 'on_reconnect'],
]);

/**
 * The guard's configuration: what libvirt's plugin is told counts for both, and the guard's own file
 * adds to it, or replaces it.
 * @returns the configuration, or the first thing that is wrong, in a sentence
 */
export function readGuardConfig(files: ConfFiles): Result<GuardConfig, string> {
  const [qemu, plugin, own] = [parsed(files.qemu), parsed(files.plugin), parsed(files.own)];
  for (const file of [qemu, plugin, own]) if (!file.ok) return file;
  if (!qemu.ok || !plugin.ok || !own.ok) return fail('');
  for (const key of own.value.keys()) {
    if (!OWN_KEYS.has(key)) return fail(`${files.own.path}: there is no setting ${key}`);
  }
  const values = new Values([
    { path: files.own.path, values: own.value },
    { path: files.plugin.path, values: plugin.value },
  ]);
  const usesPlugin = qemu.value.get('lock_manager') === 'sanlock';
  const isBesidePlugin = usesPlugin && Number(plugin.value.get('auto_disk_leases') ?? 0) !== 0;
  const config: GuardConfig = {
    hostId: values.number('host_id', { least: 1, most: MAX_HOST_ID }) ?? 0,
    leaseDir: values.path('disk_lease_dir') ?? DEFAULT_LEASE_DIR,
    ioTimeoutS: values.number('io_timeout', { least: 0, most: 3600 }) || null,
    user: values.account('user'),
    group: values.account('group'),
    naming: {
      network: values.oneOf('network_names', { uri: 'uri', 'source-name': 'sourceName' }) ?? 'uri',
      clusters: values.clusters(),
      readonlyIsShared: values.oneOf('readonly_disks', { none: false, shared: true }) ?? false,
      isBesidePlugin,
    },
    onConflict: values.oneOf('on_conflict', { kill: 'kill', warn: 'warn' } as const) ?? 'kill',
    onReconnect: values.oneOf('on_reconnect', { kill: 'kill', warn: 'warn' } as const) ?? 'kill',
  };
  if (values.wrong !== null) return fail(values.wrong);
  if (config.hostId === 0) {
    return fail(
      `no host_id is set in ${files.own.path} or ${files.plugin.path}: ` +
        `give each host a number of its own, 1 to ${MAX_HOST_ID}`,
    );
  }
  return ok(config);
}

function parsed(file: ConfFile): Result<ReadonlyMap<string, ConfValue>, string> {
  if (file.failure !== undefined) return fail(`${file.path} cannot be read: ${file.failure}`);
  if (file.text === null) return ok(new Map());
  const values = parseLibvirtConf(file.text);
  return values.ok ? values : fail(`${file.path}, ${values.error}`);
}

interface Layer {
  readonly path: string;
  readonly values: ReadonlyMap<string, ConfValue>;
}

/** Settings of several files, the first that has one counts; remembers the first wrong one. */
class Values {
  readonly #layers: readonly Layer[];
  wrong: string | null = null;

  constructor(layers: readonly Layer[]) {
    this.#layers = layers;
  }

  number(key: string, range: { readonly least: number; readonly most: number }): number | null {
    return this.#get(key, `a whole number, ${range.least} to ${range.most}`, (value) =>
      typeof value === 'number' && value >= range.least && value <= range.most ? value : null,
    );
  }

  account(key: string): string | null {
    return this.#get(key, 'a name or a number', (value) => {
      if (typeof value === 'number') return value >= 0 ? `+${value}` : null;
      return typeof value === 'string' && value !== '' ? value : null;
    });
  }

  path(key: string): string | null {
    return this.#get(key, 'an absolute path', (value) =>
      typeof value === 'string' && value.startsWith('/') ? value : null,
    );
  }

  oneOf<T>(key: string, choices: Readonly<Record<string, T>>): T | null {
    const words = Object.keys(choices).map((word) => `"${word}"`);
    const found = this.#get(key, words.join(' or '), (value) =>
      typeof value === 'string' && Object.hasOwn(choices, value) ? value : null,
    );
    return found === null ? null : (choices[found] ?? null);
  }

  /** `[ "rbd:mon1=ceph-a" ]`: what stands left of the last `=` belongs to the cluster right of it. */
  clusters(): ReadonlyMap<string, string> {
    const wanted = 'a list of texts such as "rbd:mon1=ceph-a"';
    const items = this.#get('clusters', wanted, (value) => {
      if (!Array.isArray(value) || value.length > MAX_CLUSTERS) return null;
      const pairs = value.map((one) => /^([a-z][^=]*:.+)=([^=/]+)$/.exec(String(one)));
      return pairs.every((pair) => pair !== null) ? pairs : null;
    });
    return new Map((items ?? []).map(([, place = '', alias = '']) => [place, alias]));
  }

  #get<T>(key: string, wanted: string, take: (value: ConfValue) => T | null): T | null {
    const layer = this.#layers.find(({ values }) => values.has(key));
    const value = layer?.values.get(key);
    if (layer === undefined || value === undefined) return null;
    const taken = take(value);
    if (taken === null) {
      this.wrong ??= `${layer.path}: ${key} is ${JSON.stringify(value)}, wanted ${wanted}`;
    }
    return taken;
  }
}
