import { unreachable } from '../base/assert.ts';
import { shown } from '../base/plain-text.ts';
import { fail, ok, type Result } from '../base/result.ts';
import type { DiskSource, GuestDisk, NetworkHost, VolumeSource } from './domain.ts';

/** How the names of leases are found; the same on all hosts. */
export interface Naming {
  /** 'uri': the key has the protocol and the cluster. 'sourceName': the name attribute alone. */
  readonly network: 'uri' | 'sourceName';
  /** Of a server ('nbd:10.0.0.1:10809', 'rbd:mon-a') or a configuration ('rbd:/etc/ceph/b.conf'). */
  readonly clusters: ReadonlyMap<string, string>;
  /** Whether a read-only disk has a shared lease, so that nobody writes it meanwhile. */
  readonly readonlyIsShared: boolean;
  /** libvirt's plugin takes the lease of each path as it is written; a second one would be refused. */
  readonly isBesidePlugin: boolean;
}

/** What this host finds out about a disk that is a path of it. */
export interface PathFacts {
  /** Absolute and without symbolic links; as written where that would be named by this host alone. */
  readonly realPath: string;
  /** Of a block device, the same on each host: 'lvm:<VG UUID><LV UUID>', 'wwid:…'; null: none. */
  readonly deviceKey: string | null;
}

/** What the host knows beside the domain XML. */
export interface HostFacts {
  readonly path: (path: string) => PathFacts;
  /** What a volume of a storage pool is; why it is not known, in half a sentence. */
  readonly volume: (volume: VolumeSource) => Result<DiskSource, string>;
  /** MD5 of the UTF-8 bytes, 32 lower-case hex digits: the name of the plugin's leases. */
  readonly md5: (text: string) => string;
}

/** A lease that a disk needs. */
export interface DiskLease {
  /** 32 lower-case hex digits: the resource, and the file in the directory of the leases. */
  readonly name: string;
  readonly mode: 'exclusive' | 'shared';
  /** What the name is made of: the path as written, or what stands for the disk. */
  readonly key: string;
  /** Of the disk that needs it: 'vda'. */
  readonly target: string;
}

const DEFAULT_CLUSTER = 'default';
/** As libvirt fills them in, in the XML of some hooks only. */
const PORTS: Readonly<Record<string, string>> = {
  ...{ nbd: '10809', ssh: '22', http: '80', https: '443' },
  ...{ ftp: '21', ftps: '990', tftp: '69', vxhs: '9999' },
};
/** Their servers are all ways to the same thing, and differ from host to host. */
const CLUSTERED: ReadonlySet<string> = new Set(['rbd', 'gluster', 'sheepdog']);

/**
 * The leases of all disks of a guest, each once. Of a path there are two: by the path as it is
 * written, which is the plugin's, and by what is behind it, however it is written.
 * @returns a disk that cannot be named is refused, in a sentence: it would have no lease
 */
export function leasesOf(
  disks: readonly GuestDisk[],
  naming: Naming,
  facts: HostFacts,
): Result<readonly DiskLease[], string> {
  const leases = new Map<string, DiskLease>();
  for (const { target, source, access } of disks) {
    if (access === 'readonly' && !naming.readonlyIsShared) continue;
    const keys = keysOf(source, naming, facts);
    if (!keys.ok) return fail(`disk ${target} ${keys.error}`);
    const mode = access === 'exclusive' ? 'exclusive' : 'shared';
    const { asWritten, behind } = keys.value;
    const isThePlugins = naming.isBesidePlugin && access !== 'readonly'; // it leaves those out
    const own = isThePlugins ? [behind].filter((key) => key !== asWritten) : [asWritten, behind];
    for (const key of own) {
      if (key === null) continue;
      const name = facts.md5(key);
      if (leases.get(name)?.mode !== 'exclusive') leases.set(name, { name, mode, key, target });
    }
  }
  return ok([...leases.values()]);
}

/** Both null: no other host can have this disk. */
interface Keys {
  /** The path, which is what the plugin goes by; null: the plugin knows no such disk. */
  readonly asWritten: string | null;
  readonly behind: string | null;
}

function keysOf(source: DiskSource, naming: Naming, facts: HostFacts): Result<Keys, string> {
  switch (source.kind) {
    case 'file':
    case 'dir':
    case 'block': {
      const { realPath, deviceKey } = facts.path(source.path);
      const behind = deviceKey === null ? realPath : deviceName(deviceKey, naming);
      return ok({ asWritten: source.path, behind });
    }
    case 'network': {
      const key = networkKey(source, naming);
      return key.ok ? ok({ asWritten: null, behind: key.value }) : key;
    }
    case 'volume': {
      const ofPool = `volume ${shown(source.volume)} of pool ${shown(source.pool)}`;
      const found = facts.volume(source);
      if (!found.ok) return fail(`is ${ofPool}, and ${found.error}`);
      return found.value.kind === 'volume'
        ? fail(`is ${ofPool}, which is a volume of another pool`)
        : keysOf(found.value, naming, facts);
    }
    case 'local':
      return ok({ asWritten: null, behind: null });
    default:
      return unreachable(source);
  }
}

/** An image of Ceph that the kernel has mapped is the image that another guest has by librbd. */
function deviceName(key: string, { network, clusters }: Naming): string {
  const [, fsid, image] = /^rbd:([^/]+)\/(.*)$/s.exec(key) ?? [];
  if (fsid === undefined || image === undefined) return key;
  if (network === 'sourceName') return image;
  return `rbd:${clusters.get(`rbd:${fsid}`) ?? DEFAULT_CLUSTER}/${image}`;
}

function networkKey(
  source: Extract<DiskSource, { kind: 'network' }>,
  { network, clusters }: Naming,
): Result<string, string> {
  const { protocol, name } = source;
  if (network === 'sourceName') {
    return name === '' ? fail(`of protocol ${protocol} has no name`) : ok(name);
  }
  if (protocol === 'iscsi') return iscsiKey(name);
  if (CLUSTERED.has(protocol)) {
    if (name === '') return fail(`of protocol ${protocol} has no name`);
    return ok(`${protocol}:${clusterOf(source, clusters)}/${trimmed(name)}`);
  }
  const [host] = source.hosts;
  if (host === undefined) return fail(`of protocol ${protocol} has no server`);
  const server = serverOf(protocol, host);
  return ok(`${protocol}:${clusters.get(`${protocol}:${server}`) ?? server}/${trimmed(name)}`);
}

/** The portals differ from host to host; the target has its own name, of any case. */
function iscsiKey(name: string): Result<string, string> {
  const [target = '', lun = '0', ...more] = name.split('/');
  if (target === '' || more.length > 0 || !/^\d{1,5}$/.test(lun)) {
    return fail(`has the iSCSI name "${shown(name)}", which is no target, or target/LUN`);
  }
  return ok(`iscsi:${target.toLowerCase()}/${Number(lun)}`);
}

/**
 * One cluster is assumed where none is named: images of one name in two clusters then exclude each
 * other without need, where a wrong guess would let two guests write one image.
 */
function clusterOf(
  { protocol, hosts, config }: Extract<DiskSource, { kind: 'network' }>,
  clusters: ReadonlyMap<string, string>,
): string {
  const named = [config, ...hosts.map(({ name }) => name)].map((one) =>
    one === null ? undefined : clusters.get(`${protocol}:${one}`),
  );
  return named.find((alias) => alias !== undefined) ?? DEFAULT_CLUSTER;
}

function serverOf(protocol: string, { name, port, socket }: NetworkHost): string {
  if (socket !== null) return `unix:${socket}`;
  const address = name.includes(':') && !name.startsWith('[') ? `[${name}]` : name;
  const at = port ?? PORTS[protocol] ?? null;
  return (at === null ? address : `${address}:${at}`).toLowerCase();
}

function trimmed(name: string): string {
  return name.replace(/^\/+/, '');
}
