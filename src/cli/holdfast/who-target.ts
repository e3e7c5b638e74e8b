import { execFile } from 'node:child_process';
import { type ByteString, textToName } from '../../base/bytes.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { sanlockSpaceName } from '../../lvmlockd/managers/sanlock/layout.ts';
import { parseResource } from '../../wire/sanlock/strings.ts';
import { GUEST_LOCKSPACE } from '../guard/paths.ts';

/** Where the lease is. The lockspace's area identifies the hosts. */
export interface WhoTarget {
  /** As the asker would call it: 'vg0/root', 'LS1:RA'. */
  readonly label: string;
  readonly path: ByteString;
  readonly offset: number;
  readonly spacePath: ByteString;
  readonly spaceOffset: number;
  /** What the lease there must be called; null when the asker does not know. */
  readonly expected: { readonly lockspaceName: ByteString; readonly name: ByteString } | null;
}

const LVS_TIMEOUT_MS = 30_000;
/** LV leases of a sanlock VG: `1.0.0:<byte offset>` (spec 31 §1). */
const LV_LOCK_ARGS = /^\d+\.\d+\.\d+:(\d+)$/;

/** `lockspace:resource:path:offset`, with the lockspace at offset 0 of the same device. */
export function resourceTarget(text: string): Result<WhoTarget, string> {
  const parsed = parseResource(textToName(text));
  const disk = parsed.ok ? parsed.value.disks[0] : undefined;
  if (!parsed.ok || disk === undefined) {
    return fail(
      `"${text}" is neither <vg>/<lv> nor <lockspace>:<resource>:<path>:<offset>: ` +
        'give one of the two, or --path and --offset',
    );
  }
  const { lockspaceName, name } = parsed.value;
  return ok({
    label: `${lockspaceName}:${name}`,
    path: disk.path,
    offset: Number(disk.offset),
    spacePath: disk.path,
    spaceOffset: 0,
    expected: { lockspaceName, name },
  });
}

const LIBVIRT_LEASE = /^(.*\/)[0-9a-f]{32}$/s;

/** libvirt has its lockspace in a file of its own, in the directory of its leases. */
export function besideLibvirtSpace(
  target: WhoTarget,
  isThere: (path: ByteString) => boolean,
): WhoTarget {
  const directory = LIBVIRT_LEASE.exec(target.path)?.[1];
  if (directory === undefined || target.offset !== 0) return target;
  const spacePath = `${directory}${GUEST_LOCKSPACE}`;
  return isThere(spacePath) ? { ...target, spacePath, spaceOffset: 0 } : target;
}

/** Asks lvm, which only reads for this and takes no lock: it answers without lvmlockd. */
export async function volumeTarget(name: string): Promise<Result<WhoTarget, string>> {
  const listed = await listVolume(name);
  if (!listed.ok) return listed;
  const [uuid = '', lockArgs = '', lockType = '', vgName = ''] = listed.value;
  if (lockType !== 'sanlock') {
    const kind = lockType === '' ? 'a local VG' : `a VG of lock type ${lockType}`;
    return fail(`${name} is in ${kind}: only LVs of a VG with lock type sanlock have a lease`);
  }
  const offset = LV_LOCK_ARGS.exec(lockArgs)?.[1];
  if (offset === undefined) {
    const found = lockArgs === '' ? 'no lock args' : `the lock args "${lockArgs}"`;
    return fail(
      `${name} has ${found}, so no lease of its own: ask about the LV that lvm locks ` +
        'in its place (the thin pool, the origin)',
    );
  }
  const path = textToName(`/dev/mapper/${mapperName(vgName)}-lvmlock`);
  const lockspaceName = sanlockSpaceName(vgName);
  return ok({
    label: name,
    path,
    offset: Number(offset),
    spacePath: path,
    spaceOffset: 0,
    expected: { lockspaceName, name: uuid },
  });
}

const FIELDS = 'lv_uuid,lv_lockargs,vg_lock_type,vg_name';

function listVolume(name: string): Promise<Result<readonly string[], string>> {
  const args = [
    '--readonly',
    '--shared',
    '--nolocking',
    '--noheadings',
    '--all',
    '--separator',
    '|',
    '-o',
    FIELDS,
    name,
  ];
  const env = { ...process.env, LVM_SUPPRESS_FD_WARNINGS: '1' };
  return new Promise((resolve) => {
    execFile('lvs', args, { env, timeout: LVS_TIMEOUT_MS }, (failure, stdout, stderr) => {
      if (failure === null) {
        resolve(ok(stdout.trim().split('|')));
        return;
      }
      const isMissing = Reflect.get(failure, 'code') === 'ENOENT';
      const said = stderr.split('\n').filter((line) => /\S/.test(line) && !/WARNING:/.test(line));
      const reason = isMissing
        ? 'there is no lvs program here'
        : said.map((line) => line.trim()).join('; ');
      resolve(fail(`lvm does not report where the lease of ${name} is: ${reason}`));
    });
  });
}

/** Device-mapper doubles every dash of a VG name. */
function mapperName(vgName: string): string {
  return vgName.replaceAll('-', '--');
}
