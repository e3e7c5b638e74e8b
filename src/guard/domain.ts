import { hasControl, shown } from '../base/plain-text.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { attribute, child, children, descend, parseXml, type XmlElement } from './xml.ts';

/** How a guest uses a disk: alone; together with guests that say so too; without writing. */
export type Access = 'exclusive' | 'shared' | 'readonly';

export interface NetworkHost {
  /** A name or an address; '' where the protocol finds its servers by itself. */
  readonly name: string;
  readonly port: string | null;
  /** Of a unix socket, in the place of name and port. */
  readonly socket: string | null;
}

/** Where the bytes of a disk are, as the domain XML of libvirt writes it. */
export type DiskSource =
  | { readonly kind: 'file' | 'block' | 'dir'; readonly path: string }
  | {
      readonly kind: 'network';
      /** 'rbd', 'nbd', 'iscsi', 'gluster', … */
      readonly protocol: string;
      /** 'pool/image', an export, an IQN with its LUN, 'volume/path'; '' where there is none. */
      readonly name: string;
      readonly hosts: readonly NetworkHost[];
      /** Of the cluster, as a path to its configuration on this host; null: the default one. */
      readonly config: string | null;
      /** A snapshot, which nobody can write; null: the image itself. */
      readonly snapshot: string | null;
    }
  | VolumeSource
  /** Of a type that has no name on other hosts: a PCI address, a socket of another process. */
  | { readonly kind: 'local'; readonly type: string };

/** A volume of a storage pool of libvirt: where it is, the pool says. */
export interface VolumeSource {
  readonly kind: 'volume';
  readonly pool: string;
  readonly volume: string;
  /** Of an iSCSI target: whether QEMU itself is its initiator, or the host, as is the default. */
  readonly mode: 'direct' | 'host';
}

export interface GuestDisk {
  /** As the guest sees it: 'vda'. */
  readonly target: string;
  readonly source: DiskSource;
  readonly access: Access;
}

/** What of a guest of libvirt its leases depend on. */
export interface Guest {
  readonly name: string;
  /** Lower case, with dashes. */
  readonly uuid: string;
  /** Those that have a source: an empty drive has none. */
  readonly disks: readonly GuestDisk[];
  /** `<on_lockfailure>`; null: the default. */
  readonly onLockFailure: string | null;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** What stands for bytes that are no UTF-8: two such paths look the same. */
const UNREADABLE = /[\ufffd\ud800-\udfff]/u;
const MAX_NAME_BYTES = 255;
const MAX_SOURCE_BYTES = 4096;
const MAX_DISKS = 1000;

/**
 * Reads a domain XML of libvirt, as a hook is given it. Whatever is odd is refused: a disk that is
 * misread would have no lease, or the wrong one.
 * @returns the guest, or why this is none, in a sentence
 */
export function parseGuest(xml: string): Result<Guest, string> {
  const tree = parseXml(xml);
  return tree.ok ? guestOf(tree.value) : fail(`the domain XML cannot be read: ${tree.error}`);
}

/** @param root of a domain XML, or of a status file */
export function guestOf(root: XmlElement): Result<Guest, string> {
  const domain = root.name === 'domstatus' ? child(root, 'domain') : root;
  if (domain?.name !== 'domain') {
    return fail(`the XML describes no domain: its root is <${shown(root.name)}>`);
  }
  const name = child(domain, 'name')?.text ?? '';
  const badName = whyBad(name, MAX_NAME_BYTES);
  if (badName !== null) return fail(`the name of the domain ${badName}`);
  const uuid = (child(domain, 'uuid')?.text ?? '').trim().toLowerCase();
  if (!UUID.test(uuid)) return fail(`domain ${name} has no UUID but "${shown(uuid)}"`);
  const found = descend(domain, 'devices');
  const elements = found === null ? [] : children(found, 'disk');
  if (elements.length > MAX_DISKS) return fail(`domain ${name} has ${elements.length} disks`);
  const disks: GuestDisk[] = [];
  for (const element of elements) {
    const disk = diskOf(element);
    if (!disk.ok) return fail(`domain ${name}: ${disk.error}`);
    if (disk.value !== null) disks.push(disk.value);
  }
  const onLockFailure = child(domain, 'on_lockfailure')?.text.trim() ?? null;
  return ok({ name, uuid, disks, onLockFailure });
}

/** null: a drive without a medium. */
function diskOf(element: XmlElement): Result<GuestDisk | null, string> {
  const target = attribute(child(element, 'target'), 'dev') ?? '';
  const badTarget = whyBad(target, MAX_NAME_BYTES);
  if (badTarget !== null) return fail(`the target of a disk ${badTarget}`);
  const element_ = child(element, 'source');
  if (element_ === null) return ok(null);
  const source = sourceOf(attribute(element, 'type') ?? 'file', element_);
  if (!source.ok) return fail(`the source of disk ${target} ${source.error}`);
  return source.value === null
    ? ok(null)
    : ok({ target, source: source.value, access: accessOf(element, source.value) });
}

function accessOf(element: XmlElement, source: DiskSource): Access {
  if (child(element, 'readonly') !== null) return 'readonly';
  if (source.kind === 'network' && source.snapshot !== null) return 'readonly';
  return child(element, 'shareable') === null ? 'exclusive' : 'shared';
}

const PATH_ATTRIBUTE = { file: 'file', block: 'dev', dir: 'dir' } as const;

function sourceOf(type: string, source: XmlElement): Result<DiskSource | null, string> {
  switch (type) {
    case 'file':
    case 'block':
    case 'dir': {
      const path = attribute(source, PATH_ATTRIBUTE[type]);
      if (path === null || path === '') return ok(null);
      const bad = whyBad(path, MAX_SOURCE_BYTES) ?? whyNotAbsolute(path);
      return bad === null ? ok({ kind: type, path }) : fail(bad);
    }
    case 'network':
      return networkOf(source);
    case 'volume': {
      const pool = attribute(source, 'pool') ?? '';
      const volume = attribute(source, 'volume') ?? '';
      const bad = whyBad(pool, MAX_NAME_BYTES) ?? whyBad(volume, MAX_SOURCE_BYTES);
      const mode = attribute(source, 'mode') === 'direct' ? 'direct' : 'host';
      return bad === null ? ok({ kind: 'volume', pool, volume, mode }) : fail(bad);
    }
    default:
      return ok({ kind: 'local', type: shown(type) });
  }
}

function networkOf(source: XmlElement): Result<DiskSource, string> {
  const protocol = attribute(source, 'protocol') ?? '';
  if (!/^[a-z][a-z0-9+.-]{0,31}$/.test(protocol)) {
    return fail(`has the protocol "${shown(protocol)}"`);
  }
  const name = attribute(source, 'name') ?? '';
  const hosts = children(source, 'host').map(hostOf);
  const config = attribute(child(source, 'config'), 'file');
  const snapshot = attribute(child(source, 'snapshot'), 'name');
  const texts = [name, config, snapshot, ...hosts.flatMap((host) => Object.values(host))];
  for (const text of texts) {
    const bad = text === null || text === '' ? null : whyBad(text, MAX_SOURCE_BYTES);
    if (bad !== null) return fail(bad);
  }
  return ok({ kind: 'network', protocol, name, hosts, config, snapshot });
}

function hostOf(element: XmlElement): NetworkHost {
  return {
    name: attribute(element, 'name') ?? '',
    port: attribute(element, 'port'),
    socket: attribute(element, 'socket'),
  };
}

/** libvirtd and QEMU have a working directory, which is not the guard's. */
function whyNotAbsolute(path: string): string | null {
  return path.startsWith('/') ? null : `is no absolute path: "${shown(path)}"`;
}

/** Why a text cannot be a name; null: it can. */
function whyBad(text: string, maxBytes: number): string | null {
  if (text === '') return 'is empty';
  if (hasControl(text)) return `has a control character: "${shown(text)}"`;
  if (UNREADABLE.test(text)) return `has bytes that are no UTF-8: "${shown(text)}"`;
  const bytes = new TextEncoder().encode(text).length;
  return bytes > maxBytes ? `is ${bytes} bytes long, more than ${maxBytes}` : null;
}
