import type { ByteString } from '../base/bytes.ts';
import { withoutDashes } from './adopt-locks.ts';
import { type ManagerSteps, type ProgramReply, runProgram } from './managers/steps.ts';

/** A VG's LVs as lvm reads them from its metadata. */

export interface MetadataLv {
  /** Without dashes. */
  readonly lvUuid: ByteString;
  readonly name: ByteString;
  /** lvm shows it in brackets: a part of another LV. */
  readonly isHidden: boolean;
  readonly sizeBytes: number;
  readonly hasLease: boolean;
}

export type VgMetadata =
  | { readonly kind: 'read'; readonly vgUuid: ByteString | null; readonly lvs: MetadataLvs }
  | { readonly kind: 'unread'; readonly reason: ByteString };

export type MetadataLvs = ReadonlyMap<ByteString, MetadataLv>;

const READ_DEADLINE_MS = 60_000;
const FIELDS = 'lv_uuid,vg_uuid,lv_size,lv_lockargs,lv_name';
const REPORT = ['-a', '--noheadings', '--nosuffix', '--units', 'b', '--separator', ':'];
/** Names that lvm itself allows; none is taken for an option. */
const NAME = /^[A-Za-z0-9+_.][A-Za-z0-9+_.-]*$/;

export function isVgName(name: ByteString): boolean {
  return NAME.test(name);
}

/**
 * Without locks: lvm commits metadata in one write, so what is read was true a moment ago. With the
 * VG's lock, which lvm takes from this very lvmlockd: no command changes the VG meanwhile.
 */
export function* readMetadata(
  vgName: ByteString,
  how: 'unlocked' | 'locked',
): ManagerSteps<VgMetadata> {
  const locking = how === 'locked' ? [] : ['--nolocking'];
  const words = ['lvm', 'lvs', ...REPORT, ...locking, '-o', FIELDS, vgName];
  return metadataOf(yield* runProgram({ words, deadlineMs: READ_DEADLINE_MS }));
}

export function metadataOf({ status, output, trouble }: ProgramReply): VgMetadata {
  if (status !== 0) {
    const ending = status === null ? 'lvs did not end' : `lvs ended with ${status}`;
    return { kind: 'unread', reason: `${ending}: ${trouble}` };
  }
  const lvs = new Map<ByteString, MetadataLv>();
  let found: ByteString | null = null;
  for (const line of output.split('\n')) {
    if (line.trim() === '') continue;
    const words = /^\s*([\w-]+):([\w-]+):(\d+):([^:]*|\d+\.\d+\.\d+:\d+):(\[?)([^:[\]]+)\]?$/.exec(
      line,
    );
    if (words === null) return { kind: 'unread', reason: `lvs printed ${line.slice(0, 80)}` };
    const [, uuid = '', vgUuid = '', size = '', args = '', bracket = '', name = ''] = words;
    const isOther = found !== null && found !== withoutDashes(vgUuid);
    if (isOther || !NAME.test(name)) {
      return { kind: 'unread', reason: `lvs printed ${line.slice(0, 80)}` };
    }
    found = withoutDashes(vgUuid);
    const lvUuid = withoutDashes(uuid);
    const isHidden = bracket !== '';
    const hasLease = args !== '';
    lvs.set(lvUuid, { lvUuid, name, isHidden, sizeBytes: Number(size), hasLease });
  }
  return { kind: 'read', vgUuid: found, lvs };
}
