import { hasControl } from '../base/plain-text.ts';
import { fail, ok, type Result } from '../base/result.ts';
import type { DiskSource, NetworkHost, VolumeSource } from './domain.ts';
import { attribute, child, children, descend, parseXml, type XmlElement } from './xml.ts';

/** Where a volume of a storage pool is, as far as the pool says. */
export type VolumePlace =
  | { readonly kind: 'known'; readonly source: DiskSource }
  /** A device of this host. Its path is the first link to it in `folder`, or `/dev/NAME`. */
  | { readonly kind: 'device'; readonly device: PoolDevice; readonly folder: string };

export type PoolDevice =
  | {
      readonly kind: 'lun';
      /** The SCSI host by its number, or by the iSCSI target that it has a session with. */
      readonly host: number | { readonly iqn: string };
      readonly bus: number;
      readonly target: number;
      readonly lun: number;
    }
  /** A partition by its name; in the folder of its disk, links followed. */
  | { readonly kind: 'partition'; readonly disk: string; readonly name: string };

const MAX_PATH_BYTES = 4096;

/**
 * What libvirt makes of a disk that is a volume of a pool (spec 60 §1.4).
 * @param xml the pool's, of a file of libvirt
 * @returns the place, or why it is not known, in half a sentence
 */
export function placeOfVolume(xml: string, volume: VolumeSource): Result<VolumePlace, string> {
  const tree = parseXml(xml);
  if (!tree.ok) return fail(`the XML of that pool cannot be read: ${tree.error}`);
  const root = tree.value;
  const pool = root.name === 'poolstate' ? child(root, 'pool') : root;
  if (pool?.name !== 'pool') return fail('the file of that pool describes none');
  if (child(pool, 'name')?.text !== volume.pool) return fail('the file of that pool names another');
  if (volume.volume.includes('/') || volume.volume === '.' || volume.volume === '..') {
    return fail('a volume of a pool has no such name');
  }
  return placeIn(pool, volume);
}

function placeIn(pool: XmlElement, { volume, mode }: VolumeSource): Result<VolumePlace, string> {
  const type = attribute(pool, 'type') ?? '';
  const folder = descend(pool, 'target', 'path')?.text ?? '';
  switch (type) {
    case 'dir':
    case 'fs':
    case 'netfs':
    case 'vstorage':
      return inFolder('file', folder, volume);
    case 'logical':
    case 'zfs':
      return inFolder('block', folder, volume);
    case 'disk':
      return partitionOf(pool, { folder, volume });
    case 'scsi':
      return hostLunOf(pool, { folder, volume });
    case 'iscsi':
      return mode === 'direct' ? overNetwork(pool, volume) : sessionLunOf(pool, { folder, volume });
    case 'iscsi-direct':
      return overNetwork(pool, volume);
    case 'rbd':
    case 'gluster':
      return ofCluster(pool, type, volume);
    default:
      return fail('libvirt gives no guest a volume of a pool of that type');
  }
}

interface InPool {
  readonly folder: string;
  readonly volume: string;
}

function inFolder(
  kind: 'file' | 'block',
  folder: string,
  volume: string,
): Result<VolumePlace, string> {
  if (!isPath(folder)) return fail('that pool has no target path');
  // As libvirt does: the plugin's name is the MD5 of this very text.
  return ok({ kind: 'known', source: { kind, path: `${folder}/${volume}` } });
}

function partitionOf(pool: XmlElement, { folder, volume }: InPool): Result<VolumePlace, string> {
  const disk = attribute(descend(pool, 'source', 'device'), 'path') ?? '';
  if (!isPath(disk)) return fail('that pool names no disk');
  return ok({ kind: 'device', device: { kind: 'partition', disk, name: volume }, folder });
}

function hostLunOf(pool: XmlElement, { folder, volume }: InPool): Result<VolumePlace, string> {
  const adapter = attribute(descend(pool, 'source', 'adapter'), 'name') ?? '';
  const host = /^(?:scsi_)?host(\d{1,6})$/.exec(adapter)?.[1];
  if (host === undefined) return fail('the SCSI host of that pool is not named by its number');
  return lunOf(Number(host), { folder, volume });
}

function sessionLunOf(pool: XmlElement, { folder, volume }: InPool): Result<VolumePlace, string> {
  const iqn = iqnOf(pool);
  return iqn === null
    ? fail('that pool names no iSCSI target')
    : lunOf({ iqn }, { folder, volume });
}

function lunOf(
  host: number | { readonly iqn: string },
  { folder, volume }: InPool,
): Result<VolumePlace, string> {
  const unit = unitOf(volume);
  if (unit === null) return fail('a volume of a SCSI pool has no such name');
  const [bus = 0, target = 0, lun = 0] = unit;
  return ok({ kind: 'device', device: { kind: 'lun', host, bus, target, lun }, folder });
}

/** QEMU itself is the initiator. */
function overNetwork(pool: XmlElement, volume: string): Result<VolumePlace, string> {
  const iqn = iqnOf(pool);
  const lun = unitOf(volume)?.[2];
  if (iqn === null || lun === undefined) return fail('it has no iSCSI target, or no LUN');
  const source = child(pool, 'source');
  const hosts = source === null ? [] : children(source, 'host').map(hostOf);
  return network({ protocol: 'iscsi', name: `${iqn}/${lun}`, hosts });
}

function ofCluster(pool: XmlElement, type: string, volume: string): Result<VolumePlace, string> {
  const source = child(pool, 'source');
  const name = source === null ? '' : (child(source, 'name')?.text ?? '');
  if (source === null || name === '' || hasControl(name)) return fail('that pool has no source');
  const folder = attribute(child(source, 'dir'), 'path') ?? '/';
  const parts = type === 'rbd' ? [] : folder.split('/').filter((part) => part !== '');
  const hosts = children(source, 'host').map(hostOf);
  return network({ protocol: type, name: [name, ...parts, volume].join('/'), hosts });
}

function network(of: {
  readonly protocol: string;
  readonly name: string;
  readonly hosts: readonly NetworkHost[];
}): Result<VolumePlace, string> {
  return ok({ kind: 'known', source: { kind: 'network', ...of, config: null, snapshot: null } });
}

function hostOf(element: XmlElement): NetworkHost {
  const port = attribute(element, 'port');
  return { name: attribute(element, 'name') ?? '', port, socket: null };
}

function iqnOf(pool: XmlElement): string | null {
  const iqn = attribute(descend(pool, 'source', 'device'), 'path') ?? '';
  return iqn === '' || iqn.includes('/') || hasControl(iqn) ? null : iqn;
}

/** 'unit:BUS:TARGET:LUN', as libvirt names what it finds. */
function unitOf(volume: string): readonly number[] | null {
  const numbers = /^unit:(\d{1,9}):(\d{1,9}):(\d{1,9})$/.exec(volume);
  return numbers === null ? null : numbers.slice(1).map(Number);
}

function isPath(text: string): boolean {
  return text.startsWith('/') && !hasControl(text) && text.length <= MAX_PATH_BYTES;
}
