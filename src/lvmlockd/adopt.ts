import type { ByteString } from '../base/bytes.ts';
import { isInUse } from './lockspace-phase.ts';
import type { AdoptedLock } from './managers/manager.ts';
import type { DaemonState, RememberedVg } from './state.ts';

/**
 * The adopt file: facts that a later lvmlockd cannot learn from the lock manager, in the format of
 * the C daemon (spec 30 §7). It is written when LVs are locked, and not when they are unlocked: an
 * LV in it may be inactive by now.
 */

export function adoptText(state: DaemonState): ByteString | null {
  const vgs = [...startedVgs(state), ...notAdopted(state)];
  if (vgs.length === 0) return null;
  const lines = [`lvmlockd adopt_version 1.0 pid 0 updates ${state.lvGrants}`];
  for (const vg of vgs) {
    const vgUuid = (vg.vgUuid === '' ? '.' : vg.vgUuid).padStart(UUID_COLUMNS);
    lines.push(`VG: ${vgUuid} ${vg.vgName} ${vg.lockType} ${vg.vgLockArgs}`);
    for (const { resource, mode } of vg.locks) {
      if (resource.lvLockArgs === '') continue;
      const lvUuid = resource.name.padStart(UUID_COLUMNS);
      lines.push(`LV: ${vgUuid} ${lvUuid} ${resource.lvLockArgs} ${mode} 0`);
    }
  }
  return `${lines.join('\n')}\n`;
}

const UUID_COLUMNS = 38;

function startedVgs({ lockspaces }: DaemonState): readonly RememberedVg[] {
  return lockspaces
    .filter(({ phase, manager }) => isInUse(phase) && manager.traits.adoptsLocks)
    .map(({ vg, manager, resources }) => ({
      ...vg,
      lockType: manager.lockType,
      locks: resources.flatMap(({ ref, locks }) => {
        const lock = locks.find(({ clientId }) => clientId === 0);
        return ref.scope !== 'lv' || lock === undefined
          ? []
          : [{ resource: { ...ref }, mode: lock.mode }];
      }),
    }));
}

/** What this lvmlockd was told, and could not adopt yet. */
function notAdopted({ remembered, lockspaces }: DaemonState): readonly RememberedVg[] {
  return [...remembered.values()].filter(
    ({ vgName }) => !lockspaces.some(({ vg, phase }) => vg.vgName === vgName && isInUse(phase)),
  );
}

export interface AdoptFacts {
  /** By VG name. */
  readonly vgs: Map<ByteString, RememberedVg>;
  /** Lines that say nothing to us: of a newer format, or damaged. */
  readonly unread: number;
}

/** A line without its end was cut, by a crash of the original: it counts as unread. */
export function readAdoptText(text: ByteString): AdoptFacts {
  const vgs = new Map<ByteString, WrittenVg>();
  const byUuid = new Map<ByteString, WrittenVg>();
  const lines = text.split('\n');
  let unread = lines.pop() === '' ? 0 : 1;
  let last: WrittenVg | undefined; // LVs follow their VG, whose uuid may not be known
  for (const line of lines) {
    const words = line.trim().split(/\s+/);
    const [kind = '', uuid = ''] = words;
    if (kind === 'VG:') {
      const vg = vgOf(words);
      if (vg === null) unread += 1;
      else {
        vgs.set(vg.vgName, vg);
        byUuid.set(uuid, vg);
        last = vg;
      }
    } else if (kind === 'LV:') {
      const lock = lockOf(words);
      const vg = uuid === '.' ? last : byUuid.get(uuid);
      if (lock === null || vg === undefined) unread += 1;
      else vg.locks.push(lock);
    } else if (kind !== '' && !kind.startsWith('#') && kind !== 'lvmlockd') {
      unread += 1;
    }
  }
  return { vgs, unread };
}

type WrittenVg = RememberedVg & { readonly locks: AdoptedLock[] };

function vgOf(words: readonly ByteString[]): WrittenVg | null {
  const [, vgUuid = '', vgName, lockType = '', vgLockArgs] = words;
  if (vgName === undefined || vgLockArgs === undefined) return null;
  return { vgName, vgUuid: vgUuid === '.' ? '' : vgUuid, vgLockArgs, lockType, locks: [] };
}

function lockOf(words: readonly ByteString[]): AdoptedLock | null {
  const [, , name, lvLockArgs, mode] = words;
  if (name === undefined || lvLockArgs === undefined) return null;
  if (mode !== 'ex' && mode !== 'sh') return null;
  return { resource: { scope: 'lv', name, lvLockArgs }, mode };
}
